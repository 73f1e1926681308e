// @ts-check
/**
 * Streaming sample-rate conversion by a polyphase windowed-sinc filter (Kaiser window, about 80 dB).
 * Smith, "Digital Audio Resampling Home Page", describes the method.
 *
 * Output sample n lies at source position n * inHz / outHz: the filter's delay is taken out, so the
 * position says exactly which source sample is sounding. Pulling allocates nothing.
 */

/** @typedef {import("./ring.js").SampleRing} SampleRing */

const ZERO_CROSSINGS = 24;
const KAISER_BETA = 8;
/** Cutoff as a part of the lower Nyquist frequency; leaves room for the transition band. */
const ROLLOFF = 0.9;
const MAX_PHASES = 1024;

/** @param {number} a @param {number} b @returns {number} */
function gcd(a, b) {
  return b === 0 ? a : gcd(b, a % b);
}

/** Modified Bessel function of the first kind, order zero, by its power series. @param {number} x */
function besselI0(x) {
  let sum = 1;
  let term = 1;
  for (let k = 1; term > sum * 1e-12; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

/**
 * Filter coefficients, `phases` rows of `2 * half` taps, each row with a gain of one at 0 Hz.
 * @param {number} phases @param {number} half @param {number} cutoff
 */
function designFilter(phases, half, cutoff) {
  const taps = 2 * half;
  const table = new Float32Array(phases * taps);
  const norm = besselI0(KAISER_BETA);
  for (let phase = 0; phase < phases; phase++) {
    let sum = 0;
    for (let tap = 0; tap < taps; tap++) {
      const x = tap - (half - 1) - phase / phases;
      const edge = Math.min(1, Math.abs(x) / half);
      const window = besselI0(KAISER_BETA * Math.sqrt(1 - edge * edge)) / norm;
      const angle = Math.PI * cutoff * x;
      const value = window * (angle === 0 ? 1 : Math.sin(angle) / angle);
      table[phase * taps + tap] = value;
      sum += value;
    }
    for (let tap = 0; tap < taps; tap++) {
      table[phase * taps + tap] = /** @type {number} */ (table[phase * taps + tap]) / sum;
    }
  }
  return table;
}

/** Pulls samples of one rate from a ring as samples of another. One stream each. */
export class Resampler {
  #half;
  #taps;
  #phases;
  #table;
  /** The last `taps` source samples, written twice so that they can always be read in a row. */
  #history;
  #head = 0;
  #up;
  #step;
  /** Position within the current source sample, in units of 1 / `#up`. */
  #fraction = 0;
  /** Source samples (and padding) still to shift in before the next output. */
  #due;
  #consumed = 0;

  /** @param {number} inHz @param {number} outHz */
  constructor(inHz, outHz) {
    const divisor = gcd(inHz, outHz);
    const ratio = Math.min(1, outHz / inHz);
    this.#up = outHz / divisor;
    this.#step = inHz / divisor;
    this.#phases = Math.min(this.#up, MAX_PHASES);
    this.#half = inHz === outHz ? 1 : Math.ceil(ZERO_CROSSINGS / ratio);
    this.#taps = 2 * this.#half;
    this.#table = designFilter(this.#phases, this.#half, inHz === outHz ? 1 : ratio * ROLLOFF);
    this.#history = new Float32Array(2 * this.#taps);
    this.#due = this.#half + 1;
  }

  /** Index of the source sample that the next output sample starts from. */
  get position() {
    return Math.max(0, this.#consumed + this.#due - this.#half - 1);
  }

  /**
   * Fill `out[from..to]` as far as the ring has samples; once `ended`, as far as `total` goes.
   * @param {SampleRing} ring
   * @param {Float32Array} out
   * @param {number} from
   * @param {number} to
   * @param {boolean} ended no more samples will come
   * @param {number} total source samples of the whole stream; counts only when ended
   * @returns {number} how many samples were written
   */
  pull(ring, out, from, to, ended, total) {
    let at = from;
    for (; at < to; at++) {
      if (ended && this.position >= total) break;
      while (this.#due > 0) {
        if (ring.length > 0) this.#shiftIn(ring.shift());
        else if (ended) this.#shiftIn(0);
        else return at - from;
      }
      out[at] = this.#convolve();
      this.#fraction += this.#step;
      while (this.#fraction >= this.#up) {
        this.#fraction -= this.#up;
        this.#due++;
      }
    }
    return at - from;
  }

  /** @param {number} sample */
  #shiftIn(sample) {
    this.#history[this.#head] = sample;
    this.#history[this.#head + this.#taps] = sample;
    if (++this.#head === this.#taps) this.#head = 0;
    this.#consumed++;
    this.#due--;
  }

  #convolve() {
    const phase = Math.floor((this.#fraction * this.#phases) / this.#up);
    const row = phase * this.#taps;
    let sum = 0;
    for (let tap = 0; tap < this.#taps; tap++) {
      sum +=
        /** @type {number} */ (this.#table[row + tap]) *
        /** @type {number} */ (this.#history[this.#head + tap]);
    }
    return sum;
  }
}
