// @ts-check
/**
 * Cuts the microphone's samples into 20 ms chunks of PCM16. Each chunk is a buffer with room for the
 * frame header in front, so that it can be sent without another copy. Buffers come from a pool and
 * return to it; the audio thread allocates only when the pool is empty.
 */

const CHUNKS_PER_SECOND = 50;
const POOL_LIMIT = 8;

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

  /**
   * @param {number} sampleRateHz
   * @param {number} headerBytes room left at the start of each buffer; even
   * @param {(buffer: ArrayBuffer, firstSample: number, level: number) => void} emit
   *   gets each full chunk, the index of its first sample and its RMS level (0..1)
   */
  constructor(sampleRateHz, headerBytes, emit) {
    this.#headerBytes = headerBytes;
    this.#chunkSamples = Math.round(sampleRateHz / CHUNKS_PER_SECOND);
    this.#emit = emit;
    for (let i = 0; i < POOL_LIMIT; i++) this.#pool.push(this.#allocate());
    this.#buffer = this.#take();
    this.#pcm = new Int16Array(this.#buffer, headerBytes);
  }

  get chunkSamples() {
    return this.#chunkSamples;
  }

  /** @param {Float32Array} samples in -1..1 @param {number} position index of the first one */
  push(samples, position) {
    for (let i = 0; i < samples.length; i++) {
      if (this.#filled === 0) this.#position = position + i;
      const sample = Math.max(-1, Math.min(1, /** @type {number} */ (samples[i])));
      this.#pcm[this.#filled] = Math.round(sample * 32767);
      this.#squares += sample * sample;
      if (++this.#filled === this.#chunkSamples) this.#flush();
    }
  }

  /** Give a buffer back for reuse. @param {ArrayBuffer} buffer */
  recycle(buffer) {
    const fits = buffer.byteLength === this.#headerBytes + 2 * this.#chunkSamples;
    if (fits && this.#pool.length < POOL_LIMIT) this.#pool.push(buffer);
  }

  #flush() {
    const level = Math.sqrt(this.#squares / this.#chunkSamples);
    this.#emit(this.#buffer, this.#position, level);
    this.#buffer = this.#take();
    this.#pcm = new Int16Array(this.#buffer, this.#headerBytes);
    this.#filled = 0;
    this.#squares = 0;
  }

  #take() {
    return this.#pool.pop() ?? this.#allocate();
  }

  #allocate() {
    return new ArrayBuffer(this.#headerBytes + 2 * this.#chunkSamples);
  }
}
