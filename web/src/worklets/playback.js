// @ts-check
/** The loudspeaker on the audio thread: `Player` behind a message port. */

import { Player } from "../player.js";

const REPORT_MS = 100;

class PlaybackProcessor extends AudioWorkletProcessor {
  #player = new Player(sampleRate, (report) =>
    this.port.postMessage({ ...report, clockMs: (currentFrame * 1000) / sampleRate }),
  );
  #untilReport = 0;

  constructor() {
    super();
    this.port.onmessage = ({ data }) => this.#onMessage(data);
  }

  /** @param {import("../player.js").PlaybackCommand} command */
  #onMessage(command) {
    switch (command.type) {
      case "open":
        return this.#player.open(command.stream, command.sampleRateHz);
      case "audio":
        return this.#player.push(command.stream, command.firstSample, command.pcm);
      case "end":
        return this.#player.end(command.stream);
      case "flush":
        return this.#player.flush();
    }
  }

  /** @param {Float32Array[][]} _inputs @param {Float32Array[][]} outputs */
  process(_inputs, outputs) {
    const out = outputs[0]?.[0];
    if (!out) return true;
    this.#player.render(out);
    this.#untilReport -= out.length;
    if (this.#untilReport <= 0) {
      this.#untilReport = (sampleRate * REPORT_MS) / 1000;
      const report = this.#player.progress();
      if (report) this.port.postMessage(report);
    }
    return true;
  }
}

registerProcessor("antiphon-playback", PlaybackProcessor);
