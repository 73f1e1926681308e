// @ts-check
/**
 * How much of a reply must be there before it is played, learnt from how the audio of the last
 * replies came. Pure.
 */

export const MIN_JITTER_MS = 60;
export const MAX_JITTER_MS = 300;
/** What a first reply waits for. */
export const FIRST_JITTER_MS = 100;
/** More than a message was ever late by, because the next one may be later. */
const SPARE_MS = 20;
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
  #latestMs = 0;
  /** How late the latest message but one was: the server waits once when it is far enough ahead. */
  lateMs = 0;

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
   * More has come. A server that is far enough ahead sends what it owes since the message before:
   * one is late by how much longer it was waited for than it plays.
   * @param {number} nowMs @param {number} positionMs where in the stream it lies
   * @param {number} durationMs @param {number} bufferedMs what was left of what came before
   */
  add(nowMs, positionMs, durationMs, bufferedMs) {
    if (this.#sinceMs === null) return;
    const waitMs = nowMs - this.#lastMs;
    const network = waitMs <= MAX_JITTER_MS && bufferedMs + waitMs <= PACED_MS;
    if (network) {
      const lateMs = waitMs - durationMs;
      this.lateMs = Math.max(this.lateMs, Math.min(lateMs, this.#latestMs));
      this.#latestMs = Math.max(this.#latestMs, lateMs);
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
  /** How late messages were in each of the last replies. @type {number[]} */
  #latesMs = [];

  /** A gap was heard. */
  grow() {
    this.targetMs = Math.min(MAX_JITTER_MS, this.targetMs + GROWTH_MS);
  }

  /** A reply is over. @param {number} lateMs @param {boolean} gaps some were heard in it */
  learn(lateMs, gaps) {
    const learntMs = gaps ? Math.max(lateMs, this.targetMs - SPARE_MS) : lateMs;
    this.#latesMs = [...this.#latesMs, learntMs].slice(-REPLIES);
    const wantedMs = Math.max(...this.#latesMs) + SPARE_MS;
    this.targetMs = Math.min(MAX_JITTER_MS, Math.max(MIN_JITTER_MS, wantedMs));
  }
}
