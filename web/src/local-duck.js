// @ts-check
/**
 * Plays a reply more quietly the moment somebody seems to speak over it, ahead of the server, which has
 * the last word: without it the reply is loud again after 400 ms. Pure; time is passed in.
 */

const CONFIRM_MS = 400;
/** After a mistake: a room that fools it must not make the reply flutter. */
const REST_MS = 2_000;
/** So many voiced chunks of 20 ms, with none between. */
const VOICED_CHUNKS = 4;

export class LocalDuck {
  on = false;
  #sinceMs = 0;
  #restUntilMs = 0;
  #voiced = 0;

  /**
   * A chunk of the microphone.
   * @param {boolean} voiced it sounds like a voice near by
   * @param {boolean} sounding a reply is heard, at full volume
   * @param {number} nowMs
   * @returns {boolean | null} whether to play quietly from now on; null for no change
   */
  onChunk(voiced, sounding, nowMs) {
    this.#voiced = voiced ? this.#voiced + 1 : 0;
    if (this.on) {
      if (nowMs - this.#sinceMs < CONFIRM_MS) return null;
      this.on = false;
      this.#restUntilMs = nowMs + REST_MS;
      return false;
    }
    if (!sounding || this.#voiced < VOICED_CHUNKS || nowMs < this.#restUntilMs) return null;
    this.on = true;
    this.#sinceMs = nowMs;
    return true;
  }

  /** The server has decided, or there is nothing left to duck. */
  settle() {
    this.on = false;
  }
}
