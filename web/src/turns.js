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
 * @property {Record<string, number>} stepsMs when each step happened, from the end of the speech
 * @property {Record<string, number>} partsMs what `voiceToVoiceMs` is made of, in order
 */

const MAX_TURNS = 200;

export class Turns {
  /** @type {readonly Turn[]} oldest first; replaced, never changed */
  turns = [];
  #askedMs = 0;
  #waiting = false;
  #count = 0;
  /** @type {Record<string, number> | null} what recognition on this device took */
  #here = null;

  /** The question is complete. @param {number} nowMs */
  asked(nowMs) {
    this.#askedMs = nowMs;
    this.#waiting = true;
  }

  /**
   * The words of the question were made on this device.
   * @param {{endpointMs: number, recognitionMs: number}} heard
   */
  recognised({ endpointMs, recognitionMs }) {
    this.#here = { device_pause: endpointMs, device_stt: recognitionMs };
  }

  /** The first sample of an answer was played. @param {string} responseId @param {number} nowMs */
  played(responseId, nowMs) {
    if (!this.#waiting) return;
    this.#waiting = false;
    const playedAfterMs = nowMs - this.#askedMs;
    if (!this.#here) return this.#put(responseId, { playedAfterMs });
    const partsMs = { ...this.#here, answer: playedAfterMs };
    const voiceToVoiceMs = Object.values(partsMs).reduce((sum, ms) => sum + ms, 0);
    this.#here = null;
    this.#put(responseId, { playedAfterMs, partsMs, voiceToVoiceMs });
  }

  /** The server's figures, `antiphon.turn.metrics`. @param {any} event */
  metrics(event) {
    const { response_id, voice_to_voice_ms, mouth_to_ear_ms, steps_ms, parts_ms } = event;
    this.#put(response_id, {
      voiceToVoiceMs: mouth_to_ear_ms ?? voice_to_voice_ms,
      stepsMs: steps_ms ?? {},
      partsMs: parts_ms ?? {},
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
    const empty = { playedAfterMs: null, voiceToVoiceMs: null, stepsMs: {}, partsMs: {} };
    this.turns = [...this.turns, { number, responseId, ...empty, ...figures }].slice(-MAX_TURNS);
  }
}
