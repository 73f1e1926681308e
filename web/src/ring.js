// @ts-check
/** First in, first out: float samples in a bounded ring. One thread only. */
export class SampleRing {
  #samples;
  #read = 0;
  #length = 0;
  #limit;

  /**
   * @param {number} capacity samples held without growing
   * @param {number} limit samples held at most; what does not fit is refused
   */
  constructor(capacity, limit = capacity) {
    this.#samples = new Float32Array(Math.min(capacity, limit));
    this.#limit = limit;
  }

  get length() {
    return this.#length;
  }

  /**
   * Append PCM16 samples scaled to -1..1. Grows by doubling up to the limit.
   * @param {Int16Array} pcm
   * @returns {number} how many were taken
   */
  pushPcm16(pcm) {
    const taken = this.#reserve(pcm.length);
    const samples = this.#samples;
    let write = (this.#read + this.#length) % samples.length;
    for (let i = 0; i < taken; i++) {
      samples[write] = /** @type {number} */ (pcm[i]) / 32768;
      if (++write === samples.length) write = 0;
    }
    this.#length += taken;
    return taken;
  }

  /**
   * Append samples in -1..1.
   * @param {Float32Array} added
   * @returns {number} how many were taken
   */
  pushFloats(added) {
    const taken = this.#reserve(added.length);
    const samples = this.#samples;
    let write = (this.#read + this.#length) % samples.length;
    for (let i = 0; i < taken; i++) {
      samples[write] = /** @type {number} */ (added[i]);
      if (++write === samples.length) write = 0;
    }
    this.#length += taken;
    return taken;
  }

  /**
   * Append silence.
   * @param {number} count
   * @returns {number} how many were taken
   */
  pushSilence(count) {
    const taken = this.#reserve(count);
    const samples = this.#samples;
    let write = (this.#read + this.#length) % samples.length;
    for (let i = 0; i < taken; i++) {
      samples[write] = 0;
      if (++write === samples.length) write = 0;
    }
    this.#length += taken;
    return taken;
  }

  /** Take the oldest sample. The ring must not be empty. */
  shift() {
    const sample = /** @type {number} */ (this.#samples[this.#read]);
    if (++this.#read === this.#samples.length) this.#read = 0;
    this.#length--;
    return sample;
  }

  /** @param {number} count */
  #reserve(count) {
    const wanted = this.#length + count;
    if (wanted > this.#samples.length && this.#samples.length < this.#limit) this.#grow(wanted);
    return Math.min(count, this.#samples.length - this.#length);
  }

  /** @param {number} wanted */
  #grow(wanted) {
    let capacity = Math.max(1, this.#samples.length);
    while (capacity < wanted) capacity *= 2;
    const grown = new Float32Array(Math.min(capacity, this.#limit));
    const tail = this.#samples.subarray(this.#read, this.#read + this.#length);
    grown.set(tail);
    grown.set(this.#samples.subarray(0, this.#length - tail.length), tail.length);
    this.#samples = grown;
    this.#read = 0;
  }
}
