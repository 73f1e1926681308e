// @ts-check
/** Loudness for the eye: from samples to a value of 0..1 that moves like a meter. */

const FLOOR_DB = -54;
const CEILING_DB = -9;
const FALL_PER_READ = 0.88;

/** RMS of samples. @param {Float32Array} samples */
export function rms(samples) {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  return Math.sqrt(sum / Math.max(1, samples.length));
}

/** Part of the meter that an RMS value fills, in decibels between -54 and -9. @param {number} value */
export function meter(value) {
  if (value <= 0) return 0;
  const db = 20 * Math.log10(value);
  return Math.max(0, Math.min(1, (db - FLOOR_DB) / (CEILING_DB - FLOOR_DB)));
}

/** Rises at once, falls slowly. */
export class Needle {
  #value = 0;

  /** @param {number} target 0..1 */
  next(target) {
    this.#value = Math.max(target, this.#value * FALL_PER_READ);
    if (this.#value < 0.004) this.#value = 0;
    return this.#value;
  }
}

/** Reads the level of whatever flows through its node. */
export class Tap {
  #samples;

  /** @param {AudioContext} context */
  constructor(context) {
    this.node = context.createAnalyser();
    this.node.fftSize = 1024;
    this.node.smoothingTimeConstant = 0.3;
    this.#samples = new Float32Array(this.node.fftSize);
  }

  level() {
    this.node.getFloatTimeDomainData(this.#samples);
    return meter(rms(this.#samples));
  }
}
