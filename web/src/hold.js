// @ts-check
/** Push-to-talk: whether the button is to be held, and is. Pure. */

/** A shorter hold is a slip. */
const MIN_HOLD_MS = 350;

export class Hold {
  /** The person says when a turn begins and ends. */
  wanted = false;
  held = false;
  #sinceMs = 0;

  /** @param {number} nowMs @returns {boolean} whether a turn begins */
  press(nowMs) {
    if (!this.wanted || this.held) return false;
    this.held = true;
    this.#sinceMs = nowMs;
    return true;
  }

  /** @param {number} nowMs @returns {"turn" | "slip" | null} what was held, null for nothing */
  release(nowMs) {
    if (!this.held) return null;
    this.held = false;
    return nowMs - this.#sinceMs < MIN_HOLD_MS ? "slip" : "turn";
  }
}
