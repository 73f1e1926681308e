import assert from "node:assert/strict";
import { test } from "node:test";
import { Resampler } from "../src/resampler.js";
import { SampleRing } from "../src/ring.js";
import { decibels, seeded, sine } from "./random.js";

const AMPLITUDE = 0.5;

/** One second of a tone at `inHz`, pulled at `outHz` in blocks of random size. */
function convert(inHz, outHz, frequencyHz, seed = 1) {
  const random = seeded(seed);
  const ring = new SampleRing(inHz);
  const resampler = new Resampler(inHz, outHz);
  const tone = sine(frequencyHz, inHz, inHz, AMPLITUDE);
  const out = new Float32Array(outHz + 500);
  let fed = 0;
  let count = 0;
  for (let ended = false; !ended; ) {
    const next = Math.min(tone.length, fed + Math.floor(random() * 700));
    ring.pushPcm16(tone.subarray(fed, next));
    fed = next;
    ended = fed === tone.length;
    count += resampler.pull(ring, out, count, ended ? out.length : count + 128, ended, tone.length);
  }
  return { samples: out.subarray(0, count), resampler };
}

/** RMS without the ends, where a tone that starts abruptly is no tone. */
function rms(samples) {
  const middle = samples.subarray(1000, samples.length - 1000);
  return Math.sqrt(middle.reduce((sum, x) => sum + x * x, 0) / middle.length);
}

for (const [inHz, outHz, frequencyHz] of [
  [24_000, 48_000, 1_000],
  [24_000, 48_000, 9_000],
  [24_000, 44_100, 440],
  [22_050, 48_000, 3_000],
  [16_000, 44_100, 1_000],
  [24_000, 16_000, 3_000],
  [24_000, 24_000, 1_000],
]) {
  test(`a tone of ${frequencyHz} Hz stays in place from ${inHz} to ${outHz} Hz`, () => {
    const { samples, resampler } = convert(inHz, outHz, frequencyHz);
    assert.equal(samples.length, outHz);
    assert.equal(resampler.position, inHz);
    const step = (2 * Math.PI * frequencyHz) / outHz;
    const error = samples.map((x, n) => x - AMPLITUDE * Math.sin(step * n));
    assert.ok(decibels(rms(error) / rms(samples)) < -80);
  });
}

for (const [inHz, outHz, frequencyHz] of [
  [24_000, 16_000, 8_200],
  [24_000, 16_000, 10_000],
  [48_000, 24_000, 15_000],
]) {
  test(`a tone of ${frequencyHz} Hz leaves no alias from ${inHz} to ${outHz} Hz`, () => {
    const { samples } = convert(inHz, outHz, frequencyHz);
    assert.ok(decibels(rms(samples) / (AMPLITUDE / Math.SQRT2)) < -80);
  });
}

test("the position never runs ahead of what was fed, nor lags by more than the filter", () => {
  const ring = new SampleRing(24_000);
  const resampler = new Resampler(24_000, 48_000);
  const out = new Float32Array(128);
  let fed = 0;
  for (let round = 0; round < 100; round++) {
    ring.pushPcm16(new Int16Array(64));
    fed += 64;
    resampler.pull(ring, out, 0, 128, false, fed);
    assert.ok(resampler.position <= fed);
    assert.ok(resampler.position >= fed - ring.length - 25);
  }
});
