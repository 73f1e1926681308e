// @ts-check
/** The microphone on the audio thread: 20 ms chunks at the device's rate, sent by transfer. */

import { Chunker } from "../chunker.js";
import { HEADER_BYTES } from "../frames.js";

class CaptureProcessor extends AudioWorkletProcessor {
  #chunker = new Chunker(sampleRate, HEADER_BYTES, (buffer, firstSample, level) => {
    this.port.postMessage({ buffer, firstSample, level }, [buffer]);
  });

  constructor() {
    super();
    this.port.onmessage = ({ data }) => this.#chunker.recycle(data);
  }

  /** @param {Float32Array[][]} inputs */
  process(inputs) {
    const samples = inputs[0]?.[0];
    if (samples) this.#chunker.push(samples, currentFrame);
    return true;
  }
}

registerProcessor("antiphon-capture", CaptureProcessor);
