// @ts-check
/** Playback counted over all streams since the page was opened. Pure. */

/** @typedef {import("./player.js").Report} Report */

export class PlaybackStats {
  #before = { playedSamples: 0, underruns: 0, droppedSamples: 0 };
  #now = { playedSamples: 0, underruns: 0, droppedSamples: 0 };
  bufferedSamples = 0;
  jitterMs = 0;
  waitedMs = 0;
  neededMs = 0;

  /** @param {Report} report */
  add({ event, playedSamples, bufferedSamples, underruns, droppedSamples, ...waits }) {
    this.jitterMs = waits.jitterMs;
    this.waitedMs = waits.waitedMs;
    this.neededMs = waits.neededMs;
    this.#now = { playedSamples, underruns, droppedSamples };
    this.bufferedSamples = bufferedSamples;
    if (event === "started" || event === "playing") return;
    this.#before = this.totals;
    this.#now = { playedSamples: 0, underruns: 0, droppedSamples: 0 };
    this.bufferedSamples = 0;
  }

  get totals() {
    return {
      playedSamples: this.#before.playedSamples + this.#now.playedSamples,
      underruns: this.#before.underruns + this.#now.underruns,
      droppedSamples: this.#before.droppedSamples + this.#now.droppedSamples,
    };
  }
}
