import assert from "node:assert/strict";
import { test } from "node:test";
import { LocalDuck } from "../src/local-duck.js";

const CHUNK_MS = 20;

/** What becomes of a voice that speaks for so long; [time, quiet] pairs. */
function speak(duck, fromMs, durationMs, { sounding = true, tailMs = 1_000 } = {}) {
  const changes = [];
  for (let atMs = fromMs; atMs < fromMs + durationMs + tailMs; atMs += CHUNK_MS) {
    const voiced = atMs < fromMs + durationMs;
    const change = duck.onChunk(voiced, sounding, atMs);
    if (change !== null) changes.push([atMs - fromMs, change]);
  }
  return changes;
}

test("a voice over a reply ducks it within 80 ms, and 400 ms later it is loud again", () => {
  assert.deepEqual(speak(new LocalDuck(), 0, 600), [[60, true], [460, false]]);
});

test("a click is no voice, and with no reply there is nothing to duck", () => {
  assert.deepEqual(speak(new LocalDuck(), 0, 60), []);
  assert.deepEqual(speak(new LocalDuck(), 0, 600, { sounding: false }), []);
});

test("after a mistake it rests", () => {
  const duck = new LocalDuck();
  assert.equal(speak(duck, 0, 600).length, 2);
  assert.deepEqual(speak(duck, 1_000, 300, { tailMs: 0 }), []);
  assert.equal(speak(duck, 3_000, 300).length, 2);
});

test("once the server has decided it has nothing more to say", () => {
  const duck = new LocalDuck();
  for (let n = 0; n < 4; n++) duck.onChunk(true, true, n * CHUNK_MS);
  assert.equal(duck.on, true);
  duck.settle();
  assert.deepEqual(speak(duck, 80, 0), []);
});
