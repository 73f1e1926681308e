// @ts-check
/**
 * Follows what the browser and the system do to an AudioContext: it may be held back until a tap, taken
 * away by a telephone call, and stand still afterwards although it says that it runs.
 */

/** How long a context that claims to run may stand still. */
const FROZEN_MS = 600;

/** @typedef {"running" | "blocked" | "interrupted"} AudioState */

export class AudioStateWatch {
  #context;
  #onState;
  #onFrozen;
  #timer = 0;
  #interrupted = false;
  #gesture = () => void this.#context.resume();

  /**
   * @param {AudioContext} context
   * @param {(state: AudioState) => void} onState
   * @param {() => void} onFrozen it will not run any more and has to be replaced
   */
  constructor(context, onState, onFrozen) {
    this.#context = context;
    this.#onState = onState;
    this.#onFrozen = onFrozen;
    context.onstatechange = () => this.#look();
    this.#check(() => this.#look());
  }

  close() {
    clearTimeout(this.#timer);
    this.#context.onstatechange = null;
    this.#listenForGestures(false);
  }

  #look() {
    const state = /** @type {string} */ (this.#context.state);
    if (state === "closed") return;
    // iOS: resuming an interrupted context freezes it; it says "suspended" when that may be done.
    if (state === "interrupted") {
      this.#interrupted = true;
      return this.#onState("interrupted");
    }
    if (state === "suspended") {
      void this.#context.resume();
      this.#check(() => {
        if (this.#context.state === "suspended") this.#onState("blocked");
      });
      return this.#listenForGestures(true);
    }
    this.#listenForGestures(false);
    this.#onState("running");
    if (!this.#interrupted) return;
    this.#interrupted = false;
    const before = this.#context.currentTime;
    this.#check(() => {
      if (this.#context.state === "running" && this.#context.currentTime === before) {
        this.#onFrozen();
      }
    });
  }

  /** @param {() => void} look */
  #check(look) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(look, FROZEN_MS);
  }

  /** @param {boolean} on */
  #listenForGestures(on) {
    for (const kind of ["pointerup", "keydown"]) {
      if (on) document.addEventListener(kind, this.#gesture);
      else document.removeEventListener(kind, this.#gesture);
    }
  }
}
