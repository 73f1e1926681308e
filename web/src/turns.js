// @ts-check
/** How long the last answers took: measured here, and as the server tells it. Pure. */

/**
 * @typedef {object} Turn
 * @property {number} number
 * @property {number | null} heardAfterMs from the end of the question, as announced to this page,
 *   to the first sample played
 * @property {Record<string, number>} stages the `*_ms` fields of `antiphon.turn.metrics`, unit cut off
 */

const MAX_TURNS = 8;

export class Turns {
  /** @type {Turn[]} oldest first */
  turns = [];
  #askedMs = 0;
  #waiting = false;
  #count = 0;

  /** The question is complete. @param {number} nowMs */
  asked(nowMs) {
    this.#askedMs = nowMs;
    this.#waiting = true;
  }

  /** The first sample of an answer was played. @param {number} nowMs */
  heard(nowMs) {
    if (!this.#waiting) return;
    this.#waiting = false;
    const turn = { number: ++this.#count, heardAfterMs: nowMs - this.#askedMs, stages: {} };
    this.turns = [...this.turns, turn].slice(-MAX_TURNS);
  }

  /** Add the server's figures to the latest turn. @param {Record<string, unknown>} event */
  metrics(event) {
    /** @type {Record<string, number>} */
    const stages = {};
    for (const [name, value] of Object.entries(event)) {
      if (name.endsWith("_ms") && typeof value === "number") stages[name.slice(0, -3)] = value;
    }
    const latest = this.turns.at(-1);
    if (!latest) return;
    this.turns = [...this.turns.slice(0, -1), { ...latest, stages: { ...latest.stages, ...stages } }];
  }
}
