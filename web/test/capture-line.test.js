import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { CAPTURE_RATE_HZ, CaptureLine } from "../src/capture-line.js";
import { throughTheGate } from "./gated.js";
import { seeded } from "./random.js";

const CORPUS = new URL("../../tests/data/speech/", import.meta.url);
const AROUND_S = 6;

/** Speech of people with where it begins and ends, in seconds. */
const RECORDINGS = readFileSync(new URL("manifest.csv", CORPUS), "utf8")
  .trim()
  .split("\n")
  .slice(1)
  .map((line) => {
    const [file, ...rest] = line.match(/("[^"]*"|[^,]*)(,|$)/g).map((cell) => cell.replace(/,$/, ""));
    const wav = readFileSync(new URL(file, CORPUS));
    const pcm = new Int16Array(wav.buffer.slice(wav.byteOffset + 44, wav.byteOffset + wav.length & ~1));
    return { file, pcm, from: Number(rest[1]), to: Number(rest[2]) };
  });

/** A recording in a room: noise of this level before, beneath and after it. */
function inARoom(pcm, noiseDb, random) {
  const amplitude = 10 ** (noiseDb / 20) * Math.sqrt(3);
  const around = AROUND_S * CAPTURE_RATE_HZ;
  return Float32Array.from({ length: pcm.length + 2 * around }, (_, n) => {
    const speech = (pcm[n - around] ?? 0) / 32_768;
    return speech + (random() * 2 - 1) * amplitude;
  });
}

test("the corpus is there", () => {
  assert.equal(RECORDINGS.length, readdirSync(CORPUS).filter((f) => f.endsWith(".wav")).length);
});

for (const noiseDb of [-90, -65, -50]) {
  test(`no word is clipped in a room of ${noiseDb} dB, and silence is not sent`, (t) => {
    const random = seeded(7);
    let [sent, all] = [0, 0];
    for (const { file, pcm, from, to } of RECORDINGS) {
      const room = inARoom(pcm, noiseDb, random);
      const gated = throughTheGate(room, CAPTURE_RATE_HZ);
      const whole = throughTheGate(room, CAPTURE_RATE_HZ, false);
      const first = Math.round((AROUND_S + from - 0.1) * CAPTURE_RATE_HZ);
      const last = Math.round((AROUND_S + to + 0.1) * CAPTURE_RATE_HZ);
      assert.ok(gated.sent.subarray(first, last).every((one) => one === 1), file);
      assert.deepEqual(gated.pcm.subarray(first, last), whole.pcm.subarray(first, last), file);
      assert.equal(gated.sent[(AROUND_S - 1) * CAPTURE_RATE_HZ], 0, `${file}: silence was sent`);
      sent += gated.sentSamples;
      all += whole.sentSamples;
    }
    t.diagnostic(`sent ${((100 * sent) / all).toFixed(0)} % of the audio`);
    assert.ok(sent < 0.62 * all);
  });
}

for (const rateHz of [16_000, 44_100, 48_000]) {
  test(`chunks at 16 kHz say when they were captured, from ${rateHz} Hz`, () => {
    const click = Math.round(0.5 * rateHz);
    const samples = new Float32Array(rateHz);
    samples[click] = 1;
    const { pcm } = throughTheGate(samples, rateHz, false);
    const loudest = pcm.reduce((best, sample, n) => (sample > pcm[best] ? n : best), 0);
    assert.ok(Math.abs(loudest - 0.5 * CAPTURE_RATE_HZ) <= 1, `${loudest}`);
    assert.equal(pcm.length % 320, 0);
  });
}

test("what the device leaves out moves the time of what follows", () => {
  const times = [];
  const line = new CaptureLine(16_000, 0, {
    chunk: (buffer, timestampUs) => times.push(timestampUs),
    silence: () => undefined,
  });
  const quantum = new Float32Array(160).fill(0.1);
  for (let frame = 0; frame < 1_600; frame += 160) line.push(quantum, frame);
  for (let frame = 9_600; frame < 11_200; frame += 160) line.push(quantum, frame);
  assert.equal(times[0], 0);
  assert.ok(times.at(-1) > 600_000);
  assert.ok(times.every((time, n) => n === 0 || time > times[n - 1]));
});

test("silence is told ten times a second at first and then once", () => {
  const samples = new Float32Array(16_000 * 30);
  const { tells, sentSamples } = throughTheGate(samples, 16_000);
  assert.ok(tells >= 50 + 18 && tells <= 50 + 24, `${tells}`);
  assert.ok(sentSamples < 16_000 * 3.5);
});

test("turned off it sends everything, at once", () => {
  const { sentSamples, tells } = throughTheGate(new Float32Array(16_000 * 10), 16_000, false);
  assert.equal(tells, 0);
  assert.ok(sentSamples >= 16_000 * 10 - 640);
});
