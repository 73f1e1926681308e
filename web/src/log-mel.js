// @ts-check
/**
 * The loudness of mel bands: Hann window, power spectrum, triangular bands, logarithm. The reference
 * for the graphics card's version. Pure.
 */

import { Fft } from "./fft.js";

export const FFT_SAMPLES = 1024;
export const BINS = FFT_SAMPLES / 2 + 1;
export const BANDS = 64;
export const TOP_HZ = 8_000;
/** Below it the scale is about linear, above logarithmic, as in hearing. */
const BEND_HZ = 700;
/** What is quieter counts as this; a sine at full scale has about 0.06. */
export const FLOOR_POWER = 1e-10;

/** The frequency at a part of the scale, 0 at the bottom. @param {number} part */
export function frequencyAt(part) {
  return BEND_HZ * Math.expm1(part * Math.log1p(TOP_HZ / BEND_HZ));
}

/** @returns {Float32Array} [FFT_SAMPLES] */
export function hann() {
  return Float32Array.from({ length: FFT_SAMPLES }, (_, i) => {
    return 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / FFT_SAMPLES);
  });
}

/** Weights of the bins in each band, which sum to one. @param {number} rateHz @returns {Float32Array} [BANDS * BINS] */
export function melFilters(rateHz) {
  const filters = new Float32Array(BANDS * BINS);
  const binHz = rateHz / FFT_SAMPLES;
  for (let band = 0; band < BANDS; band++) {
    const row = filters.subarray(band * BINS, (band + 1) * BINS);
    const [low, middle, high] = [0, 1, 2].map((edge) => frequencyAt((band + edge) / (BANDS + 1)));
    fillTriangle(row, binHz, Number(low), Number(middle), Number(high));
  }
  return filters;
}

/** @param {Float32Array} row @param {number} binHz @param {number} low @param {number} middle @param {number} high */
function fillTriangle(row, binHz, low, middle, high) {
  let sum = 0;
  for (let bin = 0; bin < BINS; bin++) {
    const hz = bin * binHz;
    const weight = Math.min((hz - low) / (middle - low), (high - hz) / (high - middle));
    row[bin] = Math.max(0, weight);
    sum += Math.max(0, weight);
  }
  if (sum === 0) row[Math.round(middle / binHz)] = sum = 1; // a band narrower than a bin
  for (let bin = 0; bin < BINS; bin++) row[bin] = Number(row[bin]) / sum;
}

/** The same on the processor. */
export class LogMel {
  #fft = new Fft(FFT_SAMPLES);
  #window = hann();
  #filters;
  #re = new Float64Array(FFT_SAMPLES);
  #im = new Float64Array(FFT_SAMPLES);

  /** @param {number} rateHz */
  constructor(rateHz) {
    this.#filters = melFilters(rateHz);
  }

  /** @param {Float32Array} samples [FFT_SAMPLES] @returns {Float32Array} [BANDS] log10 of the mean power */
  analyse(samples) {
    for (let i = 0; i < FFT_SAMPLES; i++) this.#re[i] = Number(samples[i]) * Number(this.#window[i]);
    this.#im.fill(0);
    this.#fft.forward(this.#re, this.#im);
    return Float32Array.from({ length: BANDS }, (_, band) => {
      let power = 0;
      for (let bin = 0; bin < BINS; bin++) {
        const weight = Number(this.#filters[band * BINS + bin]);
        if (weight) power += weight * (Number(this.#re[bin]) ** 2 + Number(this.#im[bin]) ** 2);
      }
      return Math.log10(Math.max(FLOOR_POWER, power / FFT_SAMPLES ** 2));
    });
  }
}
