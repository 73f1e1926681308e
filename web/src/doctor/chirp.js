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
/** Two chirps stand out of the correlation around them this much, or one far more; speech does not. */
const CONTRAST = 12;
/** What is this near to a peak of the correlation belongs to it. */
const LOBE_S = 0.005;
/** What is fainter counts as silence. */
const SILENT_GAIN = 10 ** (-90 / 20);

/** @param {number} rateHz @returns {Float32Array} mono, 2 s */
export function chirps(rateHz) {
  const samples = new Float32Array(Math.round(DURATION_S * rateHz));
  for (const start of STARTS_S) samples.set(chirp(rateHz), Math.round(start * rateHz));
  return samples;
}

/** @param {number} rateHz @returns {Float32Array} one of them */
function chirp(rateHz) {
  return Float32Array.from({ length: Math.round(CHIRP_S * rateHz) }, (_, i) => {
    const t = i / rateHz;
    const phase = 2 * Math.PI * (FROM_HZ * t + ((TO_HZ - FROM_HZ) * t * t) / (2 * CHIRP_S));
    const edge = Math.min(1, t / FADE_S, (CHIRP_S - t) / FADE_S);
    return PEAK * edge * Math.sin(phase);
  });
}

/**
 * Whether the chirps are in a recording of the same rate, and the gain in decibels of the one that is
 * heard best. Each is looked for on its own: a busy machine leaves gaps between them, and in them.
 * @param {Float32Array} recording @param {number} rateHz
 * @returns {{found: boolean, gainDb: number}}
 */
export function findChirps(recording, rateHz) {
  const template = chirp(rateHz);
  const energy = template.reduce((sum, sample) => sum + sample * sample, 0);
  const gains = correlation(recording, template).map((value) => Math.abs(value) / energy);
  const contrasts = contrast(gains, Math.round(CHIRP_S * rateHz), Math.round(LOBE_S * rateHz));
  const peaks = STARTS_S.map(() => {
    const at = largest(contrasts);
    const peak = { gain: valueAt(gains, at), contrast: valueAt(contrasts, at) };
    contrasts.fill(0, Math.max(0, at - template.length), at + template.length);
    return peak;
  });
  const [first = 0, second = 0] = peaks.map((peak) => peak.contrast);
  const heard = peaks.filter((peak) => peak.contrast > CONTRAST).map(({ gain }) => gain);
  return {
    found: Math.sqrt(first * Math.max(1, second)) > CONTRAST,
    gainDb: 20 * Math.log10(Math.max(1e-6, ...heard)),
  };
}

/**
 * How alike a recording is to a template that begins at each of its samples.
 * @param {Float32Array} recording @param {Float32Array} template
 * @returns {Float64Array}
 */
function correlation(recording, template) {
  const fft = new Fft(2 ** Math.ceil(Math.log2(recording.length + template.length)));
  const [hearRe, hearIm] = transformed(fft, recording);
  const [playRe, playIm] = transformed(fft, template);
  for (let i = 0; i < fft.size; i++) {
    const a = valueAt(hearRe, i);
    const b = valueAt(hearIm, i);
    const c = valueAt(playRe, i);
    const d = valueAt(playIm, i);
    hearRe[i] = a * c + b * d;
    hearIm[i] = b * c - a * d;
  }
  fft.inverse(hearRe, hearIm);
  return hearRe.subarray(0, recording.length);
}

/** @param {Fft} fft @param {Float32Array} samples @returns {[Float64Array, Float64Array]} */
function transformed(fft, samples) {
  const re = new Float64Array(fft.size);
  const im = new Float64Array(fft.size);
  re.set(samples);
  fft.forward(re, im);
  return [re, im];
}

/**
 * Each value over the RMS of those around it, up to `reach` away, without those up to `lobe` away.
 * @param {Float64Array} values @param {number} reach @param {number} lobe
 * @returns {Float64Array}
 */
function contrast(values, reach, lobe) {
  const count = values.length;
  const squares = new Float64Array(count + 1);
  for (let i = 0; i < count; i++) squares[i + 1] = valueAt(squares, i) + valueAt(values, i) ** 2;
  /** @param {number} from @param {number} to */
  const energy = (from, to) => valueAt(squares, to) - valueAt(squares, from);
  return values.map((value, i) => {
    const [from, to] = [Math.max(0, i - reach), Math.min(count, i + reach + 1)];
    const [lobeFrom, lobeTo] = [Math.max(0, i - lobe), Math.min(count, i + lobe + 1)];
    const around = Math.max(0, energy(from, to) - energy(lobeFrom, lobeTo));
    const others = Math.max(1, to - from - (lobeTo - lobeFrom));
    return value / (Math.sqrt(around / others) + SILENT_GAIN / CONTRAST);
  });
}

/** The index of the largest. @param {Float64Array} values */
function largest(values) {
  let at = 0;
  for (let i = 1; i < values.length; i++) if (valueAt(values, i) > valueAt(values, at)) at = i;
  return at;
}

/** @param {Float64Array} values @param {number} i @returns {number} */
function valueAt(values, i) {
  return /** @type {number} */ (values[i]);
}
