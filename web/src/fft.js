// @ts-check
/** Fast Fourier transform of a power of two, radix 2, in place (Cooley and Tukey, 1965). Pure. */

export class Fft {
  #cos;
  #sin;
  #reversed;

  /** @param {number} size a power of two */
  constructor(size) {
    this.size = size;
    this.#cos = Float64Array.from({ length: size / 2 }, (_, i) => Math.cos((2 * Math.PI * i) / size));
    this.#sin = Float64Array.from({ length: size / 2 }, (_, i) => Math.sin((2 * Math.PI * i) / size));
    this.#reversed = new Uint32Array(size);
    for (let i = 1, half = size / 2; i < size; i++) {
      this.#reversed[i] = (/** @type {number} */ (this.#reversed[i >> 1]) >> 1) + (i & 1 ? half : 0);
    }
  }

  /** @param {Float64Array} re real parts @param {Float64Array} im imaginary parts */
  forward(re, im) {
    this.#permute(re);
    this.#permute(im);
    for (let span = 1; span < this.size; span *= 2) this.#combine(re, im, span);
  }

  /** The inverse, with its factor 1/size. @param {Float64Array} re @param {Float64Array} im */
  inverse(re, im) {
    this.forward(im, re); // swapping the parts conjugates
    for (let i = 0; i < this.size; i++) {
      re[i] = /** @type {number} */ (re[i]) / this.size;
      im[i] = /** @type {number} */ (im[i]) / this.size;
    }
  }

  /** @param {Float64Array} values */
  #permute(values) {
    for (let i = 0; i < this.size; i++) {
      const other = /** @type {number} */ (this.#reversed[i]);
      if (other <= i) continue;
      const kept = /** @type {number} */ (values[i]);
      values[i] = /** @type {number} */ (values[other]);
      values[other] = kept;
    }
  }

  /** Join transforms of `span` values to those of twice as many. @param {Float64Array} re @param {Float64Array} im @param {number} span */
  #combine(re, im, span) {
    const stride = this.size / (2 * span);
    for (let start = 0; start < this.size; start += 2 * span) {
      for (let k = 0; k < span; k++) {
        const cos = /** @type {number} */ (this.#cos[k * stride]);
        const sin = /** @type {number} */ (this.#sin[k * stride]);
        const a = start + k;
        const b = a + span;
        const bRe = /** @type {number} */ (re[b]);
        const bIm = /** @type {number} */ (im[b]);
        const turnedRe = bRe * cos + bIm * sin;
        const turnedIm = bIm * cos - bRe * sin;
        const aRe = /** @type {number} */ (re[a]);
        const aIm = /** @type {number} */ (im[a]);
        re[b] = aRe - turnedRe;
        im[b] = aIm - turnedIm;
        re[a] = aRe + turnedRe;
        im[a] = aIm + turnedIm;
      }
    }
  }
}
