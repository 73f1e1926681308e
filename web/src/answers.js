// @ts-check
/**
 * The replies of the server: which is due, which is heard, which was interrupted. Pure: what
 * happened goes in, commands come out; time is passed in.
 */

import { send } from "./commands.js";
import { LocalDuck } from "./local-duck.js";
import { Playout, heardEvents } from "./playout.js";

/** @typedef {import("./commands.js").Command} Command */
/** @typedef {import("./player.js").Report} Report */

export class Answers {
  /** A question was put that nothing answers yet. */
  awaited = false;
  /** The reply is played quietly: somebody may be speaking over it. */
  ducked = false;
  #transcript;
  #turns;
  /** @type {string | null} the response that is being made */
  #responseId = null;
  #playout = new Playout();
  #localDuck = new LocalDuck();

  /**
   * @param {import("./transcript.js").Transcript} transcript
   * @param {import("./turns.js").Turns} turns
   */
  constructor(transcript, turns) {
    this.#transcript = transcript;
    this.#turns = turns;
  }

  /** Whether an answer is on its way. */
  get due() {
    return this.awaited || this.#responseId !== null;
  }

  get sounding() {
    return this.#playout.sounding;
  }

  /** Whether audio of this stream is to be played. @param {number} stream */
  accepts(stream) {
    return this.#playout.accepts(stream);
  }

  /** Audio of a stream has arrived. @param {number} stream @param {number} clockMs */
  onAudioArrived(stream, clockMs) {
    this.#playout.arrived(stream, clockMs);
  }

  /**
   * @param {Report} report @param {number} latencyMs of the audio output @param {number} nowMs
   * @returns {Command[]}
   */
  onPlayback(report, latencyMs, nowMs) {
    const voice = this.#playout.report(report);
    if (!voice) return [];
    if (report.event === "started") this.#turns.played(voice.responseId, nowMs);
    if (report.event === "ended" && !this.#playout.speaks(voice.itemId)) {
      this.#transcript.finish(voice.itemId);
    }
    const quiet = this.ducked || this.#localDuck.on;
    const loud = report.event === "ended" && quiet ? this.#loud() : [];
    return [...loud, ...heardEvents(voice, report, latencyMs)];
  }

  /**
   * A chunk of the microphone.
   * @param {boolean} voiced it sounds like a voice near by @param {number} nowMs
   * @returns {Command[]}
   */
  onMicrophone(voiced, nowMs) {
    const quiet = this.#localDuck.onChunk(voiced, this.sounding && !this.ducked, nowMs);
    if (quiet === null || this.ducked) return [];
    return [{ do: "duck", to: quiet ? "half-ducked" : "full" }];
  }

  /** An event about a response or its audio. @param {any} event @returns {Command[]} */
  onEvent(event) {
    switch (event.type) {
      case "antiphon.audio.started":
        return this.#openStream(event);
      case "antiphon.duck":
        this.#localDuck.settle();
        this.ducked = event.ducked && this.#playout.speaks(event.item_id);
        return [{ do: "duck", to: this.ducked ? (event.paused ? "paused" : "ducked") : "full" }];
      case "response.created":
        this.#responseId = event.response.id;
        this.awaited = false;
        return [];
      case "response.done":
        return this.#endResponse(event.response);
      default:
        return this.#playout.isInterrupted(event.response_id) ? [] : this.#onOutput(event);
    }
  }

  /** Fall silent; each stream's flush report brings its truncation. @returns {Command[]} */
  interrupt() {
    if (!this.#playout.busy) return [];
    for (const voice of this.#playout.interrupt()) this.#transcript.interrupt(voice.itemId);
    return [{ do: "flush" }, ...this.#loud()];
  }

  /** Somebody may be speaking over the reply; or it was nothing. @param {boolean} ducked @returns {Command[]} */
  duck(ducked) {
    this.ducked = ducked && this.sounding;
    return [{ do: "duck", to: this.ducked ? "ducked" : "full" }];
  }

  /** Make room for another question. @returns {Command[]} */
  silence() {
    const cancel = this.#responseId ? [send("response.cancel")] : [];
    if (this.#responseId) this.#playout.ignore(this.#responseId);
    return [...cancel, ...this.interrupt()];
  }

  /** The connection is gone, and everything that was to come of it. */
  clear() {
    this.awaited = false;
    this.ducked = false;
    this.#localDuck.settle();
    this.#responseId = null;
    this.#playout.clear();
  }

  /** @param {any} event @returns {Command[]} */
  #onOutput(event) {
    this.#transcript.onEvent(event);
    switch (event.type) {
      case "response.output_audio_transcript.done":
      case "response.output_text.done":
        if (!this.#playout.speaks(event.item_id)) this.#transcript.finish(event.item_id);
        return [];
      case "response.output_audio.done":
        return this.#endStreams((voice) => voice.itemId === event.item_id);
      default:
        return [];
    }
  }

  /** @param {any} response @returns {Command[]} */
  #endResponse(response) {
    if (this.#responseId === response.id) this.#responseId = null;
    const ended = this.#endStreams((voice) => voice.responseId === response.id);
    if (response.status !== "cancelled" || this.#playout.isInterrupted(response.id)) return ended;
    this.#playout.ignore(response.id);
    if (this.#playout.busy) return [...ended, ...this.interrupt()];
    for (const item of response.output ?? []) this.#transcript.retract(item);
    return ended;
  }

  /** @param {any} event @returns {Command[]} */
  #openStream(event) {
    if (!this.#playout.announce(event)) return [];
    const { stream, item_id: itemId, sample_rate_hz: sampleRateHz } = event;
    return [{ do: "open-stream", stream, itemId, sampleRateHz }];
  }

  /** @param {(voice: import("./playout.js").Voice) => boolean} which @returns {Command[]} */
  #endStreams(which) {
    return this.#playout.complete(which).map((stream) => ({ do: "end-stream", stream }));
  }

  /** @returns {Command[]} */
  #loud() {
    this.ducked = false;
    this.#localDuck.settle();
    return [{ do: "duck", to: "full" }];
  }
}
