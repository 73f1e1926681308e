// @ts-check
/**
 * The gestures of the big button and the space bar: a tap, or with push-to-talk a hold. A click
 * without a pointer (Enter, a screen reader, a switch) begins a hold and the next one ends it.
 */

/** Words end a little later than the hand thinks. */
const TAIL_MS = 150;
const TAKES_SPACE = "input, textarea, select, button, a, summary, [tabindex], [contenteditable]";

/**
 * @typedef {object} Listener
 * @property {() => void} onTap
 * @property {() => void} onPress
 * @property {() => void} onRelease a moment after the hand let go
 * @property {() => boolean} holds whether the button is to be held now
 * @property {() => boolean} takesSpace whether the space bar means the button from anywhere
 */

export class TalkButton {
  #button;
  #listener;
  #held = false;
  #timer = 0;

  /** @param {HTMLElement} button @param {Listener} listener */
  constructor(button, listener) {
    this.#button = button;
    this.#listener = listener;
    button.addEventListener("click", (event) => this.#onClick(event));
    button.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || !listener.holds()) return;
      button.setPointerCapture(event.pointerId);
      this.#press();
    });
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
      button.addEventListener(end, () => this.#release());
    }
    button.addEventListener("contextmenu", (event) => {
      if (listener.holds()) event.preventDefault(); // a long touch
    });
    button.addEventListener("keydown", (event) => {
      if (event.repeat && event.key === "Enter") event.preventDefault(); // one press, one click
    });
    document.addEventListener("keydown", (event) => this.#onSpace(event));
    document.addEventListener("keyup", (event) => this.#onSpace(event));
    addEventListener("blur", () => this.#release());
  }

  /** @param {MouseEvent} event */
  #onClick(event) {
    if (!this.#listener.holds()) this.#listener.onTap();
    else if (event.detail === 0 && this.#held) this.#release();
    else if (event.detail === 0) this.#press();
  }

  /** @param {KeyboardEvent} event */
  #onSpace(event) {
    if (event.code !== "Space" || event.ctrlKey || event.altKey || event.metaKey) return;
    const target = /** @type {Element} */ (event.target);
    const own = target === this.#button;
    const holds = this.#listener.holds() || this.#held;
    if (own ? !holds : target.closest(TAKES_SPACE) || !this.#listener.takesSpace()) return;
    event.preventDefault();
    if (event.type === "keyup") this.#release();
    else if (event.repeat) return;
    else if (holds) this.#press();
    else this.#listener.onTap();
  }

  #press() {
    clearTimeout(this.#timer);
    if (this.#held && this.#timer === 0) return;
    this.#timer = 0;
    this.#held = true;
    this.#listener.onPress();
  }

  #release() {
    if (!this.#held || this.#timer) return;
    this.#timer = setTimeout(() => {
      this.#timer = 0;
      this.#held = false;
      this.#listener.onRelease();
    }, TAIL_MS);
  }
}
