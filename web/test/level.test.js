import assert from "node:assert/strict";
import { test } from "node:test";
import { meter, Needle, rms } from "../src/level.js";

test("the meter is empty in silence, full near full scale and even in decibels", () => {
  assert.equal(meter(rms(new Float32Array(10))), 0);
  assert.equal(meter(1), 1);
  const steps = [-50, -40, -30, -20].map((db) => meter(10 ** (db / 20)));
  for (let i = 2; i < steps.length; i++) {
    assert.ok(Math.abs(steps[i] - steps[i - 1] - (steps[1] - steps[0])) < 1e-9);
  }
});

test("the needle rises at once and falls slowly to nothing", () => {
  const needle = new Needle();
  assert.equal(needle.next(0.8), 0.8);
  const next = needle.next(0);
  assert.ok(next < 0.8 && next > 0.6);
  for (let i = 0; i < 60; i++) needle.next(0);
  assert.equal(needle.next(0), 0);
});
