// @ts-check
/** The loudspeaker on the audio thread: `PlayerHost` behind a message port. */

import { PlayerHost } from "../player-host.js";

class PlaybackProcessor extends AudioWorkletProcessor {
  #host = new PlayerHost(
    sampleRate,
    () => (currentFrame * 1000) / sampleRate,
    (report) => this.port.postMessage(report),
  );

  constructor() {
    super();
    this.port.onmessage = ({ data }) => this.#host.execute(data);
  }

  /** @param {Float32Array[][]} _inputs @param {Float32Array[][]} outputs */
  process(_inputs, outputs) {
    const out = outputs[0]?.[0];
    if (out) this.#host.render(out);
    return true;
  }
}

registerProcessor("antiphon-playback", PlaybackProcessor);
