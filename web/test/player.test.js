import assert from "node:assert/strict";
import { test } from "node:test";
import { FIRST_JITTER_MS, MIN_JITTER_MS } from "../src/jitter.js";
import { MAX_BUFFER_S, Player } from "../src/player.js";
import { seeded, sine } from "./random.js";

const DEVICE_HZ = 48_000;
const RATE_HZ = 24_000;
const QUANTUM = 128;

function setUp() {
  const reports = [];
  const player = new Player(DEVICE_HZ, (report) => reports.push(report));
  const render = (durationMs) => {
    const out = new Float32Array(Math.ceil((durationMs * DEVICE_HZ) / 1000 / QUANTUM) * QUANTUM);
    for (let at = 0; at < out.length; at += QUANTUM) {
      player.render(out.subarray(at, at + QUANTUM));
    }
    return out;
  };
  const events = () => reports.map(({ stream, event }) => `${stream} ${event}`);
  return { player, reports, render, events };
}

function tone(durationMs, amplitude = 0.5) {
  return sine(300, RATE_HZ, (durationMs * RATE_HZ) / 1000, amplitude);
}

/** The largest step between neighbouring samples: a click is a large one. */
function largestStep(samples) {
  let largest = 0;
  for (let i = 1; i < samples.length; i++) {
    largest = Math.max(largest, Math.abs(samples[i] - samples[i - 1]));
  }
  return largest;
}

/** What a 300 Hz sine of this amplitude steps at most, with a little room for the fades. */
const SMOOTH = 0.5 * ((2 * Math.PI * 300) / DEVICE_HZ) * 1.3;

test("nothing is played before the jitter buffer is filled", () => {
  const { player, render, events } = setUp();
  player.open(1, RATE_HZ);
  player.push(1, 0, tone(FIRST_JITTER_MS - 10));
  assert.ok(render(50).every((x) => x === 0));
  assert.deepEqual(events(), []);
  player.push(1, ((FIRST_JITTER_MS - 10) * RATE_HZ) / 1000, tone(20));
  assert.ok(render(50).some((x) => x !== 0));
  assert.deepEqual(events(), ["1 started"]);
});

test("a short stream that has ended starts at once and is played to its last sample", () => {
  const { player, reports, render, events } = setUp();
  player.open(1, RATE_HZ);
  player.push(1, 0, tone(30));
  player.end(1);
  const out = render(60);
  assert.deepEqual(events(), ["1 started", "1 ended"]);
  assert.equal(reports[1].playedSamples, 720);
  assert.equal(reports[1].bufferedSamples, 0);
  assert.ok(out.subarray(31 * 48 + 5 * 48).every((x) => x === 0));
});

test("streams play one after the other in the order of their announcement", () => {
  const { player, reports, render, events } = setUp();
  player.open(1, RATE_HZ);
  player.open(2, RATE_HZ);
  player.push(2, 0, tone(100));
  player.end(2);
  assert.ok(render(50).every((x) => x === 0));
  player.push(1, 0, tone(100));
  player.end(1);
  render(250);
  assert.deepEqual(events(), ["1 started", "1 ended", "2 started", "2 ended"]);
  assert.deepEqual(reports.filter((r) => r.event === "ended").map((r) => r.playedSamples), [2400, 2400]);
});

test("a flush fades within 5 ms, reports the position and ignores what comes after", () => {
  const { player, reports, render, events } = setUp();
  player.open(1, RATE_HZ);
  player.open(2, RATE_HZ);
  player.push(1, 0, tone(500));
  const before = render(201);
  player.flush();
  player.push(1, 12_000, tone(100));
  const after = render(100);
  assert.deepEqual(events(), ["1 started", "2 flushed", "1 flushed"]);
  const { playedSamples } = reports[2];
  assert.ok(playedSamples >= 4_800 && playedSamples <= 4_800 + 256);
  assert.equal(reports[1].playedSamples, 0);
  assert.ok(after.subarray(5 * 48 + QUANTUM).every((x) => x === 0));
  assert.ok(largestStep([...before, ...after]) < SMOOTH);
  assert.equal(player.progress(), undefined);
});

test("a pause fades within 5 ms and what follows goes on from the same sample", () => {
  const { player, reports, render, events } = setUp();
  player.open(1, RATE_HZ);
  player.push(1, 0, tone(400));
  const before = render(200);
  player.pause(true);
  const paused = render(300);
  const { playedSamples } = player.progress();
  player.push(1, (400 * RATE_HZ) / 1000, tone(200));
  player.end(1);
  player.pause(false);
  const after = render(600);
  assert.ok(paused.subarray(5 * 48 + QUANTUM).every((x) => x === 0));
  const startedMs = before.findIndex((x) => x !== 0) / 48;
  assert.ok(Math.abs(playedSamples / 24 - (200 - startedMs) - 5) < 1);
  const whole = Float32Array.of(...before, ...paused, ...after);
  assert.ok(largestStep(whole) < SMOOTH);
  assert.equal(after.findLastIndex((x) => x !== 0) + 1 >= (600 * 24 - playedSamples) * 2, true);
  assert.equal(reports.at(-1).playedSamples, 600 * 24);
  assert.deepEqual(reports.at(-1).underruns, 0);
  assert.deepEqual(events(), ["1 started", "1 ended"]);
});

test("nothing starts in a pause, and a flush ends it", () => {
  const { player, render, events } = setUp();
  player.pause(true);
  player.open(1, RATE_HZ);
  player.push(1, 0, tone(200));
  assert.ok(render(300).every((x) => x === 0));
  player.flush();
  player.open(2, RATE_HZ);
  player.push(2, 0, tone(200));
  player.end(2);
  render(400);
  assert.deepEqual(events(), ["1 flushed", "2 started", "2 ended"]);
});

test("audio that arrives in a pause is not late", () => {
  const { player, reports, render } = setUp();
  player.open(1, RATE_HZ);
  player.push(1, 0, tone(200));
  render(150);
  player.pause(true);
  render(1_000);
  player.pause(false);
  player.push(1, (200 * RATE_HZ) / 1000, tone(200));
  player.end(1);
  render(600);
  assert.ok(reports.at(-1).neededMs < 10, `${reports.at(-1).neededMs}`);
});

test("a stream opened after a flush is played in full", () => {
  const { player, reports, render } = setUp();
  player.open(1, RATE_HZ);
  player.push(1, 0, tone(500));
  render(100);
  player.flush();
  player.open(2, RATE_HZ);
  player.push(2, 0, tone(100));
  player.end(2);
  render(200);
  assert.deepEqual(reports.at(-1).event, "ended");
  assert.equal(reports.at(-1).playedSamples, 2_400);
});

test("an underrun goes quiet without a click, counts once and asks for a larger buffer", () => {
  const { player, reports, render } = setUp();
  player.open(1, RATE_HZ);
  player.push(1, 0, tone(120));
  const dry = render(170);
  assert.equal(player.jitterMs, FIRST_JITTER_MS);
  player.push(1, 2_880, tone(110));
  assert.equal(player.jitterMs, FIRST_JITTER_MS + 20);
  assert.ok(render(20).every((x) => x === 0));
  player.push(1, 5_520, tone(110));
  player.end(1);
  const wet = render(300);
  assert.ok(largestStep([...dry, ...wet]) < SMOOTH);
  assert.equal(reports.at(-1).playedSamples, 8_160);
  assert.equal(reports.at(-1).underruns, 1);
});

test("an end announced after the last sample was played is no underrun", () => {
  const { player, reports, render } = setUp();
  player.open(1, RATE_HZ);
  player.push(1, 0, tone(120));
  render(220);
  player.end(1);
  render(10);
  assert.equal(reports.at(-1).event, "ended");
  assert.equal(reports.at(-1).underruns, 0);
  assert.equal(player.jitterMs, MIN_JITTER_MS);
});

test("repeated audio is skipped and missing audio is silence", () => {
  const { player, reports, render } = setUp();
  player.open(1, RATE_HZ);
  player.push(1, 0, tone(100));
  player.push(1, 1_200, tone(100));
  player.push(1, 4_800, tone(100));
  player.end(1);
  const out = render(320);
  assert.equal(reports.at(-1).playedSamples, 7_200);
  assert.ok(out.subarray(160 * 48, 190 * 48).every((x) => Math.abs(x) < 0.001));
  assert.ok(out.subarray(210 * 48, 290 * 48).some((x) => x > 0.4));
});

test("more audio than the limit is dropped and counted", () => {
  const { player } = setUp();
  player.open(1, RATE_HZ);
  const minute = new Int16Array(MAX_BUFFER_S * RATE_HZ);
  player.push(1, 0, minute);
  player.push(1, minute.length, tone(100));
  player.end(1);
  player.render(new Float32Array(QUANTUM));
  assert.equal(player.progress().droppedSamples, 2_400);
});

for (const seed of [1, 2, 3]) {
  test(`every sample is played once under random arrival (seed ${seed})`, () => {
    const random = seeded(seed);
    const { player, reports, render } = setUp();
    player.open(1, RATE_HZ);
    let sent = 0;
    while (sent < 2 * RATE_HZ) {
      const count = 1 + Math.floor(random() * 2_000);
      player.push(1, sent, new Int16Array(count).fill(8_000));
      sent += count;
      const played = player.progress()?.playedSamples ?? 0;
      render(random() * 60);
      assert.ok((player.progress()?.playedSamples ?? 0) >= played);
    }
    player.end(1);
    render(3_000);
    assert.equal(reports.at(-1).event, "ended");
    assert.equal(reports.at(-1).playedSamples, sent);
  });
}
