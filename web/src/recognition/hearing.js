// @ts-check
/**
 * From samples to utterances to words: what the server's listener does, in small. While a pause is not
 * yet the end, the words are made out already; going on makes them void.
 */

import { DEFAULT_END_MS, Utterance, WINDOW_MS, WINDOW_SAMPLES } from "./utterance.js";

/** Audio kept from before the first window of speech. */
const BEFORE_WINDOWS = 10;
const PARTIAL_EVERY_MS = 400;
/** A partial transcript that takes long is made less often. */
const PARTIAL_COST_FACTOR = 2;

/**
 * @typedef {{type: "started"} | {type: "dropped"} | {type: "partial", text: string}
 *   | {type: "final", text: string, audioMs: number, endpointMs: number, recognitionMs: number}} Heard
 *   endpointMs: silence that was waited for; recognitionMs: what the words took beyond it
 */

/** @typedef {{hear: (window: Float32Array) => Promise<number>}} Voice */
/** @typedef {{transcribe: (samples: Float32Array) => Promise<string>}} Words */

export class Hearing {
  #voice;
  #words;
  #tell;
  #endMs;
  #utterance;
  #rest = new Float32Array(0);
  /** @type {Float32Array[]} windows of the utterance, or of what may come before one */
  #windows = [];
  /** @type {{text: string, tookMs: number} | null} made at the pause */
  #ahead = null;
  #sincePartialMs = 0;
  #partialCostMs = 0;

  /** @param {Voice} voice @param {Words} words @param {(heard: Heard) => void} tell @param {number} endMs */
  constructor(voice, words, tell, endMs = DEFAULT_END_MS) {
    this.#voice = voice;
    this.#words = words;
    this.#tell = tell;
    this.#endMs = endMs;
    this.#utterance = new Utterance(endMs);
  }

  /** @param {Float32Array} samples at 16 kHz, any number */
  async hear(samples) {
    const all = joined([this.#rest, samples]);
    const whole = all.length - (all.length % WINDOW_SAMPLES);
    for (let at = 0; at < whole; at += WINDOW_SAMPLES) {
      await this.#hearWindow(all.slice(at, at + WINDOW_SAMPLES));
    }
    this.#rest = all.slice(whole);
  }

  /** The utterance is over, whatever is heard. */
  async end() {
    if (this.#utterance.speaking) await this.#finish();
    else this.#forget();
  }

  /** @param {Float32Array} window */
  async #hearWindow(window) {
    this.#windows.push(window);
    const edge = this.#utterance.push(await this.#voice.hear(window));
    if (!this.#utterance.windows && this.#windows.length > BEFORE_WINDOWS) this.#windows.shift();
    switch (edge) {
      case "started":
        return this.#tell({ type: "started" });
      case "dropped":
        return this.#forget();
      case "paused":
        this.#ahead = await this.#transcribe();
        return;
      case "resumed":
        this.#ahead = null;
        return;
      case "ended":
        return this.#finish();
      default:
        return this.#utterance.speaking ? this.#partial() : undefined;
    }
  }

  async #partial() {
    this.#sincePartialMs += WINDOW_MS;
    const dueMs = Math.max(PARTIAL_EVERY_MS, PARTIAL_COST_FACTOR * this.#partialCostMs);
    if (this.#sincePartialMs < dueMs || this.#utterance.silenceMs > 0) return;
    const { text, tookMs } = await this.#transcribe();
    this.#partialCostMs = tookMs;
    this.#sincePartialMs = 0;
    if (text) this.#tell({ type: "partial", text });
  }

  async #finish() {
    const audioMs = this.#windows.length * WINDOW_MS;
    const endpointMs = this.#utterance.silenceMs;
    const ahead = this.#ahead;
    const made = ahead ?? (await this.#transcribe());
    const recognitionMs = ahead ? Math.max(0, ahead.tookMs - this.#endMs) : made.tookMs;
    this.#forget();
    this.#tell({ type: "final", text: made.text, audioMs, endpointMs, recognitionMs });
  }

  async #transcribe() {
    const began = performance.now();
    const text = await this.#words.transcribe(joined(this.#windows));
    return { text, tookMs: performance.now() - began };
  }

  #forget() {
    this.#utterance = new Utterance(this.#endMs);
    this.#windows = this.#windows.slice(-BEFORE_WINDOWS);
    this.#ahead = null;
    this.#sincePartialMs = 0;
  }
}

/** @param {Float32Array[]} pieces */
function joined(pieces) {
  const all = new Float32Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

