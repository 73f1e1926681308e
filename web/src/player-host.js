// @ts-check
/** Runs a `Player` behind messages: commands in, reports out. For either kind of audio node. */

import { Player } from "./player.js";

/** @typedef {import("./player.js").Report} Report */
/** @typedef {import("./player.js").PlaybackCommand} PlaybackCommand */

const REPORT_MS = 100;

export class PlayerHost {
  #player;
  #reportSamples;
  #untilReport = 0;
  #post;

  /**
   * @param {number} sampleRateHz of the device
   * @param {() => number} clockMs the clock of the microphone's timestamps
   * @param {(report: Report) => void} post takes a report when a stream starts or ends, and every
   *   100 ms while one plays
   */
  constructor(sampleRateHz, clockMs, post) {
    this.#player = new Player(sampleRateHz, (report) => post({ ...report, clockMs: clockMs() }));
    this.#reportSamples = (sampleRateHz * REPORT_MS) / 1000;
    this.#post = post;
  }

  /** @param {PlaybackCommand} command */
  execute(command) {
    switch (command.type) {
      case "open":
        return this.#player.open(command.stream, command.sampleRateHz);
      case "audio":
        return this.#player.push(command.stream, command.firstSample, command.pcm);
      case "end":
        return this.#player.end(command.stream);
      case "pause":
        return this.#player.pause(command.paused);
      case "flush":
        return this.#player.flush();
    }
  }

  /** Fill `out` with the next samples. @param {Float32Array} out */
  render(out) {
    this.#player.render(out);
    this.#untilReport -= out.length;
    if (this.#untilReport > 0) return;
    this.#untilReport = this.#reportSamples;
    const report = this.#player.progress();
    if (report) this.#post(report);
  }
}
