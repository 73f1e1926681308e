// @ts-check
/** Hands every block of the microphone to the page, untouched. */

const BLOCK_SAMPLES = 1024;

class TapProcessor extends AudioWorkletProcessor {
  #block = new Float32Array(BLOCK_SAMPLES);
  #filled = 0;

  /** @param {Float32Array[][]} inputs */
  process(inputs) {
    const samples = inputs[0]?.[0];
    if (!samples) return true;
    this.#block.set(samples, this.#filled);
    this.#filled += samples.length;
    if (this.#filled >= BLOCK_SAMPLES) {
      this.port.postMessage(this.#block);
      this.#filled = 0;
    }
    return true;
  }
}

registerProcessor("antiphon-tap", TapProcessor);
