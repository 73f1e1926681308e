// @ts-check
/**
 * How much of a reply must be there before it is played, learnt from how the audio of the last
 * replies came. Pure.
 */

export const MIN_JITTER_MS = 60;
export const MAX_JITTER_MS = 300;
/** What a first reply waits for. */
export const FIRST_JITTER_MS = 100;
/** More than the longest wait for a message, because the next one may be longer. */
const SPARE_MS = 10;
/** A gap that is heard asks for so much more. */
const GROWTH_MS = 20;
/** With more than this buffered the server waits on purpose; a longer wait than the buffer can be is
 * for words, not for the network. */
const PACED_MS = 600;
const REPLIES = 20;

/** How the audio of one stream came. */
export class Arrivals {
  /** When it was its turn and some of it was there. @type {number | null} */
  #sinceMs = null;
  #startedMs = 0;
  /** The earliest start that would have left no gap. */
  #earliestMs = 0;
  #lastMs = 0;
  #longestMs = 0;
  /** The longest wait for a message but one: the server waits once when it is far enough ahead. */
  longMs = 0;

  get begun() {
    return this.#sinceMs !== null;
  }

  /** How much later than its first audio the stream is played. */
  get waitedMs() {
    return Math.max(0, this.#startedMs - (this.#sinceMs ?? 0));
  }

  /** How much later it had to be played to be without a gap. */
  get neededMs() {
    return this.#earliestMs - (this.#sinceMs ?? 0);
  }

  /** @param {number} nowMs */
  begin(nowMs) {
    this.#sinceMs = this.#lastMs = this.#earliestMs = nowMs;
  }

  /**
   * More has come.
   * @param {number} nowMs @param {number} positionMs where in the stream it lies
   * @param {number} bufferedMs what was left of what came before
   */
  add(nowMs, positionMs, bufferedMs) {
    if (this.#sinceMs === null) return;
    const waitMs = nowMs - this.#lastMs;
    const network = waitMs <= MAX_JITTER_MS && bufferedMs + waitMs <= PACED_MS;
    if (network) {
      this.longMs = Math.max(this.longMs, Math.min(waitMs, this.#longestMs));
      this.#longestMs = Math.max(this.#longestMs, waitMs);
    }
    this.#lastMs = nowMs;
    this.#earliestMs = Math.max(this.#earliestMs, nowMs - positionMs);
  }

  /** It is played from now on. @param {number} nowMs */
  start(nowMs) {
    this.#startedMs = nowMs;
  }
}

export class JitterBuffer {
  targetMs = FIRST_JITTER_MS;
  /** The long wait for a message in each of the last replies. @type {number[]} */
  #waitsMs = [];

  /** A gap was heard. */
  grow() {
    this.targetMs = Math.min(MAX_JITTER_MS, this.targetMs + GROWTH_MS);
  }

  /** A reply is over. @param {number} longMs @param {boolean} gaps some were heard in it */
  learn(longMs, gaps) {
    const waitMs = gaps ? Math.max(longMs, this.targetMs - SPARE_MS) : longMs;
    this.#waitsMs = [...this.#waitsMs, waitMs].slice(-REPLIES);
    const wantedMs = Math.max(...this.#waitsMs) + SPARE_MS;
    this.targetMs = Math.min(MAX_JITTER_MS, Math.max(MIN_JITTER_MS, wantedMs));
  }
}
