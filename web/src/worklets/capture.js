// @ts-check
/** The microphone on the audio thread: `CaptureLine` behind a message port. */

import { CaptureLine } from "../capture-line.js";
import { HEADER_BYTES } from "../frames.js";

class CaptureProcessor extends AudioWorkletProcessor {
  #line = new CaptureLine(sampleRate, HEADER_BYTES, {
    chunk: (buffer, timestampUs, voiced) =>
      this.port.postMessage({ buffer, timestampUs, voiced }, [buffer]),
    silence: (untilUs) => this.port.postMessage({ untilUs }),
  });

  constructor() {
    super();
    this.port.onmessage = ({ data }) => {
      if (data instanceof ArrayBuffer) this.#line.recycle(data);
      else this.#line.gated = data.gated;
    };
  }

  /** @param {Float32Array[][]} inputs */
  process(inputs) {
    const samples = inputs[0]?.[0];
    if (samples) this.#line.push(samples, currentFrame);
    return true;
  }
}

registerProcessor("antiphon-capture", CaptureProcessor);
