import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";

import { DURATION_S, chirps, findChirps } from "../src/doctor/chirp.js";
import { Fft } from "../src/fft.js";
import { seeded } from "./random.js";

const RATE_HZ = 48_000;
const SPEECH = new URL("../../tests/data/speech/", import.meta.url);
const SPEECH_HZ = 16_000;

/**
 * Room noise of 3 s with an echo of this gain in it.
 * @param {number} gain @param {number} noise @param {Float32Array} [played]
 */
function recording(gain, noise, played = chirps(RATE_HZ)) {
  const next = seeded(7);
  const samples = Float32Array.from({ length: 3 * RATE_HZ }, () => noise * (2 * next() - 1));
  played.forEach((sample, i) => {
    samples[i + 9_600] += gain * sample;
  });
  return samples;
}

for (const gainDb of [0, -20, -40, -55]) {
  test(`an echo of ${gainDb} dB is found and measured in a noisy room`, () => {
    const { found, gainDb: measured } = findChirps(recording(10 ** (gainDb / 20), 0.001), RATE_HZ);
    assert.equal(found, true);
    assert.ok(Math.abs(measured - gainDb) < 1, `${measured}`);
  });
}

/**
 * The chirps as a busy machine plays or records them: [where in seconds, how many ms], of silence put in
 * or, below 0, of sound left out.
 * @param {[number, number][]} gaps in order
 */
function withGaps(gaps) {
  /** @type {number[]} */
  const samples = [];
  let done = 0;
  for (const [atS, gapMs] of gaps) {
    samples.push(...chirps(RATE_HZ).subarray(done, atS * RATE_HZ));
    const gap = (gapMs * RATE_HZ) / 1000;
    samples.push(...new Float32Array(Math.max(0, gap)));
    done = atS * RATE_HZ - Math.min(0, gap);
  }
  return Float32Array.from([...samples, ...chirps(RATE_HZ).subarray(done)]);
}

// The chirps are at 0.2 to 0.45, 0.75 to 1.0 and 1.45 to 1.7 s.
for (const [what, gaps] of /** @type {[string, [number, number][]][]} */ ([
  ["a gap before the last chirp", [[1.2, 30]]],
  ["gaps between the chirps", [[0.6, 30], [1.2, 80]]],
  ["gaps of a part of a wave", [[0.6, 0.125], [1.2, 0.125]]],
  ["sound that is lost between the chirps", [[0.5, -30], [1.2, -80]]],
  ["a gap in the first chirp", [[0.3, 30]]],
  ["a gap in the second chirp, and one behind it", [[0.85, 30], [1.2, 80]]],
  ["a gap in the last chirp", [[1.575, 80]]],
  ["gaps in two chirps, and one between them", [[0.325, 30], [0.6, 20], [0.875, 80]]],
  ["sound that is lost in a chirp", [[0.875, -30]]],
])) {
  test(`the gain is the same with ${what}`, () => {
    for (const noise of [0.001, 0.02]) {
      const { found, gainDb } = findChirps(recording(0.25, noise, withGaps(gaps)), RATE_HZ);
      assert.equal(found, true);
      assert.ok(Math.abs(gainDb + 12) < 1, `${gainDb}`);
    }
  });
}

test("one chirp is enough, where an echo canceller has learned by the next", () => {
  const first = chirps(RATE_HZ).fill(0, 0.6 * RATE_HZ);
  const { found, gainDb } = findChirps(recording(0.25, 0.001, first), RATE_HZ);
  assert.equal(found, true);
  assert.ok(Math.abs(gainDb + 12) < 1, `${gainDb}`);
});

for (const file of readdirSync(SPEECH).filter((name) => name.endsWith(".wav"))) {
  test(`${file} is no echo, and does not hide one`, () => {
    const wav = readFileSync(new URL(file, SPEECH));
    const next = seeded(5);
    const said = Float32Array.from({ length: 3 * SPEECH_HZ }, (_, i) => {
      const at = 44 + 2 * i;
      return (at + 1 < wav.length ? wav.readInt16LE(at) / 32_768 : 0) + 0.0003 * (2 * next() - 1);
    });
    assert.equal(findChirps(said, SPEECH_HZ).found, false);
    chirps(SPEECH_HZ).forEach((sample, i) => {
      said[i + 3_200] += 0.25 * sample;
    });
    const { found, gainDb } = findChirps(said, SPEECH_HZ);
    assert.equal(found, true);
    assert.ok(Math.abs(gainDb + 12) < 1, `${gainDb}`);
  });
}

test("noise, silence and speech-like hums alone hold no echo", () => {
  assert.equal(findChirps(recording(0, 0.05), RATE_HZ).found, false);
  assert.equal(findChirps(new Float32Array(3 * RATE_HZ), RATE_HZ).found, false);
  const hum = Float32Array.from({ length: 3 * RATE_HZ }, (_, i) => Math.sin(i / 20) / 4);
  assert.equal(findChirps(hum, RATE_HZ).found, false);
});

test("the chirps last two seconds at any rate and never clip", () => {
  for (const rateHz of [16_000, 44_100, 48_000]) {
    const samples = chirps(rateHz);
    assert.equal(samples.length, DURATION_S * rateHz);
    assert.ok(samples.every((sample) => Math.abs(sample) < 0.301));
  }
});

test("the transform equals the sum that defines it, and its inverse undoes it", () => {
  const size = 64;
  const next = seeded(3);
  const re = Float64Array.from({ length: size }, next);
  const im = Float64Array.from({ length: size }, next);
  const [outRe, outIm] = [re.slice(), im.slice()];
  const fft = new Fft(size);
  fft.forward(outRe, outIm);
  for (let k = 0; k < size; k++) {
    let [sumRe, sumIm] = [0, 0];
    for (let n = 0; n < size; n++) {
      const angle = (-2 * Math.PI * k * n) / size;
      sumRe += re[n] * Math.cos(angle) - im[n] * Math.sin(angle);
      sumIm += re[n] * Math.sin(angle) + im[n] * Math.cos(angle);
    }
    assert.ok(Math.abs(sumRe - outRe[k]) < 1e-9);
    assert.ok(Math.abs(sumIm - outIm[k]) < 1e-9);
  }
  fft.inverse(outRe, outIm);
  re.forEach((value, i) => assert.ok(Math.abs(value - outRe[i]) < 1e-12));
});
