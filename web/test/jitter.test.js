import assert from "node:assert/strict";
import { test } from "node:test";
import { Arrivals, JitterBuffer, MAX_JITTER_MS, MIN_JITTER_MS } from "../src/jitter.js";
import { median, playOver } from "./network.js";

const gaps = (ended) => ended.reduce((sum, { underruns }) => sum + underruns, 0);
const SEEDS = Array.from({ length: 10 }, (_, n) => n + 1);

test("over 100 ms +- 60 ms no gap is heard in 20 replies, which are 100 ms late at most", () => {
  for (const seed of SEEDS) {
    const ended = playOver({ seed, latencyMs: 100, jitterMs: 60 });
    assert.equal(ended.length, 20);
    assert.equal(gaps(ended), 0, `seed ${seed}`);
    assert.ok(median(ended.map(({ waitedMs }) => waitedMs)) <= 100, `seed ${seed}`);
  }
});

test("a voice half as fast as speech is heard without a gap over that network, once it is learnt", () => {
  for (const seed of SEEDS) {
    const ended = playOver({ seed, latencyMs: 100, jitterMs: 60, pace: 0.5, chunkMs: 40 });
    assert.equal(gaps(ended.slice(1)), 0, `seed ${seed}`);
  }
});

for (const latencyMs of [1, 100]) {
  test(`without jitter the buffer settles at 80 ms at most (${latencyMs} ms away)`, () => {
    const ended = playOver({ seed: 1, latencyMs, jitterMs: 0 });
    assert.equal(gaps(ended), 0);
    const settled = ended.slice(1);
    assert.ok(settled.every(({ jitterMs }) => jitterMs >= MIN_JITTER_MS && jitterMs <= 80));
    assert.ok(settled.every(({ waitedMs }) => waitedMs <= 80));
  });
}

test("a voice as slow as speech fills the buffer in real time, and the wait is told", () => {
  const [first, ...rest] = playOver({ seed: 1, latencyMs: 1, jitterMs: 0, pace: 1, chunkMs: 40 });
  // More than 100 ms in pieces of 40 are 120: the third comes 80 ms after the first.
  assert.ok(Math.abs(first.waitedMs - 80) < 12, String(first.waitedMs));
  assert.ok(rest.slice(1).every(({ waitedMs }) => Math.abs(waitedMs - 40) < 12));
  assert.ok([first, ...rest].every(({ neededMs }) => neededMs < 12));
});

test("a voice slower than speech is waited for no longer than the buffer is", () => {
  const ended = playOver({ seed: 1, latencyMs: 1, jitterMs: 0, pace: 2, chunkMs: 40, replies: 8, replyMs: 1_500 });
  assert.ok(gaps(ended) > 0);
  assert.ok(ended.some(({ jitterMs }) => jitterMs === MAX_JITTER_MS));
  assert.ok(ended.every(({ waitedMs }) => waitedMs <= MAX_JITTER_MS + 6));
});

test("what a reply had to wait is what its latest message says", () => {
  const arrivals = new Arrivals();
  arrivals.begin(1_000);
  arrivals.add(1_100, 40, 40, 40);
  arrivals.start(1_100);
  arrivals.add(1_130, 80, 40, 50);
  arrivals.add(1_300, 200, 40, 10);
  assert.equal(arrivals.waitedMs, 100);
  assert.equal(arrivals.neededMs, 100);
});

test("a gap asks for 20 ms more, up to a limit, until 20 replies went well", () => {
  const buffer = new JitterBuffer();
  const before = buffer.targetMs;
  buffer.grow();
  buffer.learn(40, true);
  assert.equal(buffer.targetMs, before + 20);
  for (let reply = 0; reply < 19; reply++) buffer.learn(40, false);
  assert.equal(buffer.targetMs, before + 20);
  buffer.learn(40, false);
  assert.equal(buffer.targetMs, MIN_JITTER_MS);
  for (let gap = 0; gap < 30; gap++) buffer.grow();
  assert.equal(buffer.targetMs, MAX_JITTER_MS);
});

test("one long wait, one of a server that is far ahead and one for words teach nothing", () => {
  const arrivals = new Arrivals();
  arrivals.begin(0);
  arrivals.add(200, 100, 40, 100);
  arrivals.add(280, 200, 40, 500);
  arrivals.add(480, 300, 40, 500);
  arrivals.add(880, 400, 40, 0);
  assert.equal(arrivals.lateMs, 40);
});
