import assert from "node:assert/strict";
import { test } from "node:test";
import { resumeDelayMs, retryDelayMs } from "../src/backoff.js";

const LOST = { code: 1006, reason: "", attempt: 1, hadSession: true };

test("waiting doubles up to a limit", () => {
  const delays = [1, 2, 3, 4, 5, 6, 7].map((attempt) => retryDelayMs({ ...LOST, attempt }, 0.5));
  assert.deepEqual(delays, [500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
});

test("clients that lost the same server come back spread out", () => {
  assert.deepEqual([retryDelayMs(LOST, 0), retryDelayMs(LOST, 1)], [375, 625]);
});

test("a full server is given time, as much as it asks for", () => {
  assert.equal(retryDelayMs({ ...LOST, code: 1013 }, 0.5), 5_000);
  assert.equal(retryDelayMs({ ...LOST, code: 1013, reason: "full, retry after 12 s" }, 0), 12_000);
});

test("a server never reached is given up after a few tries", () => {
  const tries = [1, 2, 3, 4].map((attempt) =>
    retryDelayMs({ ...LOST, hadSession: false, attempt }, 0.5),
  );
  assert.deepEqual(tries, [500, 1000, 2000, null]);
});

test("a server that restarts or is full is tried again however often", () => {
  for (const code of [1012, 1013, 429, 503]) {
    assert.ok(retryDelayMs({ ...LOST, code, hadSession: false, attempt: 30 }, 0.5));
  }
});

test("a refusal is final", () => {
  assert.equal(retryDelayMs({ ...LOST, code: 1008 }, 0.5), null);
  assert.equal(retryDelayMs({ ...LOST, code: 1009 }, 0.5), null);
  assert.equal(retryDelayMs({ ...LOST, code: 401 }, 0.5), null);
  assert.equal(retryDelayMs({ ...LOST, code: 403 }, 0.5), null);
});

test("a session that waits is asked for soon, and less often later", () => {
  assert.deepEqual([1, 2, 5, 6, 9].map((attempt) => resumeDelayMs(attempt, 1)), [100, 200, 1_600, 2_000, 2_000]);
  assert.equal(resumeDelayMs(1, 0), 50);
});
