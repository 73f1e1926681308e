// @ts-check
/** How long the last answers took: measured here, and as the server tells it. Pure. */

/**
 * @typedef {object} Turn
 * @property {number} number
 * @property {string} responseId
 * @property {number | null} playedAfterMs from the event that ended the question to the first
 *   sample played here
 * @property {number | null} voiceToVoiceMs from the end of the user's speech to the first audio: sent,
 *   and once the server knows it, played
 * @property {Record<string, number>} stepsMs what `voiceToVoiceMs` is made of, in order
 */

const MAX_TURNS = 8;

export class Turns {
  /** @type {readonly Turn[]} oldest first; replaced, never changed */
  turns = [];
  #askedMs = 0;
  #waiting = false;
  #count = 0;

  /** The question is complete. @param {number} nowMs */
  asked(nowMs) {
    this.#askedMs = nowMs;
    this.#waiting = true;
  }

  /** The first sample of an answer was played. @param {string} responseId @param {number} nowMs */
  played(responseId, nowMs) {
    if (!this.#waiting) return;
    this.#waiting = false;
    this.#put(responseId, { playedAfterMs: nowMs - this.#askedMs });
  }

  /** The server's figures, `antiphon.turn.metrics`. @param {any} event */
  metrics(event) {
    const { response_id, voice_to_voice_ms, mouth_to_ear_ms, steps_ms, parts_ms } = event;
    this.#put(response_id, {
      voiceToVoiceMs: mouth_to_ear_ms ?? voice_to_voice_ms,
      stepsMs: parts_ms ?? steps_ms,
    });
  }

  /** @param {string} responseId @param {Partial<Turn>} figures */
  #put(responseId, figures) {
    if (this.turns.some((turn) => turn.responseId === responseId)) {
      this.turns = this.turns.map((turn) =>
        turn.responseId === responseId ? { ...turn, ...figures } : turn,
      );
      return;
    }
    const number = ++this.#count;
    const empty = { playedAfterMs: null, voiceToVoiceMs: null, stepsMs: {} };
    this.turns = [...this.turns, { number, responseId, ...empty, ...figures }].slice(-MAX_TURNS);
  }
}
