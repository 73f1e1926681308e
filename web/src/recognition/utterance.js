// @ts-check
/**
 * Where an utterance begins, pauses and ends, from the probability of speech in each window of 32 ms.
 * Pure.
 */

export const WINDOW_SAMPLES = 512;
export const RATE_HZ = 16_000;
export const WINDOW_MS = (1000 * WINDOW_SAMPLES) / RATE_HZ;

const SPEECH = 0.5;
/** Once somebody speaks, less is enough to go on. */
const STILL_SPEECH = 0.35;
const MIN_SPEECH_MS = 96;
/** After so much silence the words are made out, in case that was all. */
const PAUSE_MS = 224;
export const DEFAULT_END_MS = 640;
const MAX_UTTERANCE_MS = 30_000;

/** @typedef {"started" | "paused" | "resumed" | "ended" | "dropped"} Edge */

export class Utterance {
  /** Windows since the first one of speech. */
  windows = 0;
  speaking = false;
  #endMs;
  #speech = 0;
  #silence = 0;
  #paused = false;

  /** @param {number} endMs silence that ends an utterance */
  constructor(endMs = DEFAULT_END_MS) {
    this.#endMs = Math.max(PAUSE_MS, endMs);
  }

  /** Silence since the last speech. */
  get silenceMs() {
    return this.#silence * WINDOW_MS;
  }

  /** @param {number} probability of the next window @returns {Edge | null} */
  push(probability) {
    const isSpeech = probability >= (this.speaking ? STILL_SPEECH : SPEECH);
    if (!this.windows && !isSpeech) return null;
    this.windows++;
    this.#silence = isSpeech ? 0 : this.#silence + 1;
    if (isSpeech) this.#speech++;
    if (!this.speaking) return this.#begin(isSpeech);
    if (isSpeech) {
      const resumed = this.#paused;
      this.#paused = false;
      if (this.windows * WINDOW_MS >= MAX_UTTERANCE_MS) return "ended";
      return resumed ? "resumed" : null;
    }
    if (this.silenceMs >= this.#endMs) return "ended";
    if (this.#paused || this.silenceMs < PAUSE_MS) return null;
    this.#paused = true;
    return "paused";
  }

  /** @param {boolean} isSpeech @returns {Edge | null} */
  #begin(isSpeech) {
    if (this.#speech * WINDOW_MS >= MIN_SPEECH_MS) {
      this.speaking = true;
      return "started";
    }
    return isSpeech ? null : "dropped";
  }
}
