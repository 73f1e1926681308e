// @ts-check
/**
 * Cuts the microphone's samples into 20 ms chunks of PCM16 and says how they sound. Each chunk is a buffer with room for the
 * frame header in front, so that it can be sent without another copy. Buffers come from a pool and
 * return to it; the audio thread allocates only when the pool is empty.
 */

export const CHUNK_MS = 20;
/** Some on their way to the server, and those held before speech. */
const POOL_LIMIT = 24;

export class Chunker {
  #headerBytes;
  #chunkSamples;
  #emit;
  /** @type {ArrayBuffer[]} */
  #pool = [];
  /** @type {ArrayBuffer} */
  #buffer;
  #pcm;
  #filled = 0;
  #position = 0;
  #squares = 0;
  #products = 0;
  #before = 0;

  /**
   * @param {number} sampleRateHz
   * @param {number} headerBytes room left at the start of each buffer; even
   * @param {(buffer: ArrayBuffer, firstSample: number, power: number, correlation: number) => void} emit
   *   gets each full chunk, the index of its first sample, its mean square (0..1) and the correlation of
   *   neighbouring samples (-1..1)
   */
  constructor(sampleRateHz, headerBytes, emit) {
    this.#headerBytes = headerBytes;
    this.#chunkSamples = Math.round((sampleRateHz * CHUNK_MS) / 1000);
    this.#emit = emit;
    for (let i = 0; i < POOL_LIMIT; i++) this.#pool.push(this.#allocate());
    this.#buffer = this.#take();
    this.#pcm = new Int16Array(this.#buffer, headerBytes);
  }

  get chunkSamples() {
    return this.#chunkSamples;
  }

  /**
   * @param {Float32Array} samples in -1..1 @param {number} count how many of them
   * @param {number} position index of the first one
   */
  push(samples, count, position) {
    for (let i = 0; i < count; i++) {
      if (this.#filled === 0) this.#position = position + i;
      const sample = Math.max(-1, Math.min(1, /** @type {number} */ (samples[i])));
      this.#pcm[this.#filled] = Math.round(sample * 32767);
      this.#squares += sample * sample;
      this.#products += sample * this.#before;
      this.#before = sample;
      if (++this.#filled === this.#chunkSamples) this.#flush();
    }
  }

  /** Give a buffer back for reuse. @param {ArrayBuffer} buffer */
  recycle(buffer) {
    const fits = buffer.byteLength === this.#headerBytes + 2 * this.#chunkSamples;
    if (fits && this.#pool.length < POOL_LIMIT) this.#pool.push(buffer);
  }

  #flush() {
    const correlation = this.#squares > 0 ? this.#products / this.#squares : 0;
    this.#emit(this.#buffer, this.#position, this.#squares / this.#chunkSamples, correlation);
    this.#buffer = this.#take();
    this.#pcm = new Int16Array(this.#buffer, this.#headerBytes);
    this.#filled = 0;
    this.#squares = this.#products = 0;
  }

  #take() {
    return this.#pool.pop() ?? this.#allocate();
  }

  #allocate() {
    return new ArrayBuffer(this.#headerBytes + 2 * this.#chunkSamples);
  }
}
