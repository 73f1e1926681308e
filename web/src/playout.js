// @ts-check
/** Which audio stream speaks which item, and how much of it was heard. Pure. */

import { send } from "./commands.js";

/** @typedef {import("./player.js").Report} Report */

/**
 * @typedef {object} Voice one audio stream of a response
 * @property {number} stream
 * @property {string} responseId
 * @property {string} itemId
 * @property {number} contentIndex
 * @property {number} sampleRateHz
 * @property {number | null} receivedMs when its first audio arrived, by the microphone's clock
 * @property {boolean} sounding its first sample was played
 * @property {boolean} complete all its audio has arrived
 * @property {boolean} interrupted
 */

/** Interrupted responses remembered, to ignore what still arrives of them. */
const MAX_INTERRUPTED = 32;

export class Playout {
  /** @type {Map<number, Voice>} */
  #voices = new Map();
  /** @type {string[]} */
  #interrupted = [];

  /** Whether anything is being played or waits to be. */
  get busy() {
    return this.#voices.size > 0;
  }

  get sounding() {
    return this.#some((voice) => voice.sounding);
  }

  /** @param {string} responseId */
  isInterrupted(responseId) {
    return this.#interrupted.includes(responseId);
  }

  /** Whether audio of this stream is wanted. @param {number} stream */
  accepts(stream) {
    const voice = this.#voices.get(stream);
    return voice !== undefined && !voice.interrupted;
  }

  /** Audio of this stream has arrived. @param {number} stream @param {number} clockMs */
  arrived(stream, clockMs) {
    const voice = this.#voices.get(stream);
    if (voice) voice.receivedMs ??= clockMs;
  }

  /** @param {string} itemId */
  speaks(itemId) {
    return this.#some((voice) => voice.itemId === itemId);
  }

  /**
   * Take note of `antiphon.audio.started`.
   * @param {any} event
   * @returns {boolean} false for audio that nobody wants any more
   */
  announce(event) {
    if (this.isInterrupted(event.response_id)) return false;
    this.#voices.set(event.stream, {
      stream: event.stream,
      responseId: event.response_id,
      itemId: event.item_id,
      contentIndex: event.content_index ?? 0,
      sampleRateHz: event.sample_rate_hz,
      receivedMs: null,
      sounding: false,
      complete: false,
      interrupted: false,
    });
    return true;
  }

  /**
   * All audio of these streams has arrived.
   * @param {(voice: Voice) => boolean} which
   * @returns {number[]} the streams that were still open
   */
  complete(which) {
    const done = [...this.#voices.values()].filter((voice) => !voice.complete && which(voice));
    for (const voice of done) voice.complete = true;
    return done.map((voice) => voice.stream);
  }

  /**
   * Nobody listens any more, to anything.
   * @returns {Voice[]} the streams cut off
   */
  interrupt() {
    const cut = [...this.#voices.values()].filter((voice) => !voice.interrupted);
    for (const voice of cut) {
      voice.interrupted = true;
      this.ignore(voice.responseId);
    }
    return cut;
  }

  /** Want no further audio or text of this response. @param {string} responseId */
  ignore(responseId) {
    if (this.isInterrupted(responseId)) return;
    this.#interrupted = [...this.#interrupted, responseId].slice(-MAX_INTERRUPTED);
  }

  /**
   * Take note of a report of the player.
   * @param {Report} report
   * @returns {Voice | undefined} the stream it is about
   */
  report(report) {
    const voice = this.#voices.get(report.stream);
    if (!voice) return undefined;
    if (report.event === "started") voice.sounding = true;
    if (report.event === "ended" || report.event === "flushed") this.#voices.delete(report.stream);
    return voice;
  }

  /** The connection is gone and its stream numbers with it. */
  clear() {
    this.#voices.clear();
    this.#interrupted = [];
  }

  /** @param {(voice: Voice) => boolean} test */
  #some(test) {
    return [...this.#voices.values()].some(test);
  }
}

/**
 * What the server must know about a report: where the item was cut, how far it has come, and once
 * when it began.
 * @param {Voice} voice @param {Report} report @param {number} latencyMs of the output
 * @returns {import("./commands.js").Command[]}
 */
export function heardEvents(voice, report, latencyMs) {
  const { event, playedSamples, bufferedSamples, underruns, clockMs } = report;
  const { itemId: item_id, contentIndex: content_index, sampleRateHz } = voice;
  const played_ms = millisecondsOf(playedSamples, sampleRateHz, event === "ended" ? 0 : latencyMs);
  if (event === "flushed") {
    return [send("conversation.item.truncate", { item_id, content_index, audio_end_ms: played_ms })];
  }
  // What the output holds has arrived and is not heard.
  const buffered_ms = millisecondsOf(playedSamples + bufferedSamples, sampleRateHz, played_ms);
  const played = event === "started" ? firstPlayed(voice, clockMs, latencyMs) : [];
  return [send("antiphon.playout", { item_id, played_ms, buffered_ms, underruns }), ...played];
}

/**
 * Tell when the first sample of a stream was played, so that the server knows the whole wait.
 * @param {Voice} voice @param {number | undefined} startedMs @param {number} latencyMs
 */
function firstPlayed({ itemId: item_id, receivedMs }, startedMs, latencyMs) {
  if (startedMs === undefined || receivedMs === null) return [];
  const started_us = Math.round(startedMs * 1000);
  const received_us = Math.min(Math.round(receivedMs * 1000), started_us);
  const heard_us = started_us + Math.round(latencyMs * 1000);
  return [send("antiphon.turn.played", { item_id, received_us, started_us, heard_us })];
}

/**
 * Milliseconds of a stream, but for the last few.
 * @param {number} samples @param {number} sampleRateHz @param {number} withoutMs
 */
function millisecondsOf(samples, sampleRateHz, withoutMs) {
  return Math.max(0, Math.floor((samples * 1000) / sampleRateHz - withoutMs));
}
