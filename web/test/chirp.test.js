import assert from "node:assert/strict";
import { test } from "node:test";

import { DURATION_S, chirps, findChirps } from "../src/doctor/chirp.js";
import { Fft } from "../src/fft.js";
import { seeded } from "./random.js";

const RATE_HZ = 48_000;

/** Room noise of 3 s with an echo of this gain in it. @param {number} gain @param {number} noise */
function recording(gain, noise) {
  const next = seeded(7);
  const samples = Float32Array.from({ length: 3 * RATE_HZ }, () => noise * (2 * next() - 1));
  chirps(RATE_HZ).forEach((sample, i) => {
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
