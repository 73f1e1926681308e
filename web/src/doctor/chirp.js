// @ts-check
/** A sound that is found again in a recording, however faint: three chirps, unevenly spaced. Pure. */

import { Fft } from "../fft.js";

export const DURATION_S = 2;
const STARTS_S = [0.2, 0.75, 1.45];
const CHIRP_S = 0.25;
const FROM_HZ = 500;
const TO_HZ = 3_500;
const FADE_S = 0.02;
const PEAK = 0.3;
/** A real echo stands out of the correlation this much; chance does not. */
const PEAK_TO_RMS = 12;
/** Samples around the peak that belong to it: the room's own echoes. */
const SKIRT_S = 0.05;

/** @param {number} rateHz @returns {Float32Array} mono, 2 s */
export function chirps(rateHz) {
  const samples = new Float32Array(Math.round(DURATION_S * rateHz));
  for (const start of STARTS_S) {
    const first = Math.round(start * rateHz);
    const length = Math.round(CHIRP_S * rateHz);
    for (let i = 0; i < length; i++) {
      const t = i / rateHz;
      const phase = 2 * Math.PI * (FROM_HZ * t + ((TO_HZ - FROM_HZ) * t * t) / (2 * CHIRP_S));
      const edge = Math.min(1, t / FADE_S, (CHIRP_S - t) / FADE_S);
      samples[first + i] = PEAK * edge * Math.sin(phase);
    }
  }
  return samples;
}

/**
 * How much of the chirps is in a recording of the same rate: their gain in decibels, and whether they
 * are there at all.
 * @param {Float32Array} recording @param {number} rateHz
 * @returns {{found: boolean, gainDb: number}}
 */
export function findChirps(recording, rateHz) {
  const template = chirps(rateHz);
  const size = 2 ** Math.ceil(Math.log2(recording.length + template.length));
  const fft = new Fft(size);
  const [hearRe, hearIm] = transformed(fft, recording);
  const [playRe, playIm] = transformed(fft, template);
  for (let i = 0; i < size; i++) {
    const a = /** @type {number} */ (hearRe[i]);
    const b = /** @type {number} */ (hearIm[i]);
    const c = /** @type {number} */ (playRe[i]);
    const d = /** @type {number} */ (playIm[i]);
    hearRe[i] = a * c + b * d;
    hearIm[i] = b * c - a * d;
  }
  fft.inverse(hearRe, hearIm);
  const energy = template.reduce((sum, sample) => sum + sample * sample, 0);
  const { peak, rms } = strongest(hearRe, recording.length, Math.round(SKIRT_S * rateHz));
  const gainDb = 20 * Math.log10(Math.max(1e-6, peak / energy));
  return { found: peak > PEAK_TO_RMS * rms && gainDb > -90, gainDb };
}

/** @param {Fft} fft @param {Float32Array} samples @returns {[Float64Array, Float64Array]} */
function transformed(fft, samples) {
  const re = new Float64Array(fft.size);
  const im = new Float64Array(fft.size);
  re.set(samples);
  fft.forward(re, im);
  return [re, im];
}

/** The peak, and the RMS of the rest. @param {Float64Array} values @param {number} count @param {number} skirt */
function strongest(values, count, skirt) {
  let at = 0;
  for (let i = 1; i < count; i++) {
    if (Math.abs(/** @type {number} */ (values[i])) > Math.abs(/** @type {number} */ (values[at]))) at = i;
  }
  let sum = 0;
  let others = 0;
  for (let i = 0; i < count; i++) {
    if (Math.abs(i - at) <= skirt) continue;
    sum += /** @type {number} */ (values[i]) ** 2;
    others++;
  }
  return { peak: Math.abs(/** @type {number} */ (values[at])), rms: Math.sqrt(sum / Math.max(1, others)) };
}
