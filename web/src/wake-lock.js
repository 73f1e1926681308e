// @ts-check
/** Keeps the screen on while a conversation goes on, where the browser can. */

export class WakeLock {
  #wanted = false;
  /** @type {WakeLockSentinel | null} */
  #lock = null;

  constructor() {
    // The browser takes it away from a page that is not seen.
    document.addEventListener("visibilitychange", () => void this.#request());
  }

  get held() {
    return this.#lock !== null;
  }

  /** @param {boolean} wanted */
  set wanted(wanted) {
    if (wanted === this.#wanted) return;
    this.#wanted = wanted;
    if (wanted) void this.#request();
    else void this.#lock?.release();
  }

  async #request() {
    if (!this.#wanted || this.#lock || document.visibilityState !== "visible") return;
    try {
      const lock = await navigator.wakeLock?.request("screen");
      if (!lock) return;
      lock.onrelease = () => {
        if (this.#lock === lock) this.#lock = null;
      };
      this.#lock = lock;
      if (!this.#wanted) void lock.release();
    } catch {
      // Refused, on a low battery say: the conversation goes on.
    }
  }
}
