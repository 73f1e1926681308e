// @ts-check
/** The words that this device makes of an utterance, and the entry they are shown in. Pure. */

/** @typedef {import("./recognition/hearing.js").Heard} Heard */

export class HeardHere {
  #transcript;
  /** @type {string | null} the item that the words will be */
  #id = null;

  /** @param {import("./transcript.js").Transcript} transcript */
  constructor(transcript) {
    this.#transcript = transcript;
  }

  /**
   * @param {Heard} heard @param {() => string} newId
   * @returns {{id: string, text: string} | null} null while there are no words
   */
  take(heard, newId) {
    const text = "text" in heard ? heard.text.trim() : "";
    if (!text) {
      if (heard.type !== "started") this.#drop();
      return null;
    }
    const id = (this.#id ??= newId());
    this.#transcript.add(id, "user");
    this.#transcript.replace(id, text);
    if (heard.type === "final") this.#id = null;
    return { id, text };
  }

  /** It was nothing. */
  #drop() {
    if (this.#id) this.#transcript.remove(this.#id);
    this.#id = null;
  }
}
