// @ts-check
/** The conversation on screen, one entry an item, in the order the items arrived. Pure. */

/**
 * @typedef {object} Entry
 * @property {string} id the item's id
 * @property {"user" | "assistant"} role
 * @property {string} text
 * @property {boolean} final false while the text may change
 * @property {boolean} interrupted
 */

/** Entries kept; the oldest ones leave. */
const MAX_ENTRIES = 500;

export class Transcript {
  /** @type {readonly Entry[]} replaced, never changed, so that a view can compare */
  entries = [];

  /** @param {string} id */
  get(id) {
    return this.entries.find((entry) => entry.id === id);
  }

  /** Add an empty entry unless it is there. @param {string} id @param {Entry["role"]} role */
  add(id, role) {
    if (this.get(id)) return;
    const entry = { id, role, text: "", final: false, interrupted: false };
    this.entries = [...this.entries, entry].slice(-MAX_ENTRIES);
  }

  /** @param {string} id @param {string} delta */
  append(id, delta) {
    const entry = this.get(id);
    if (entry && !entry.final) this.#change(id, { text: entry.text + delta });
  }

  /** @param {string} id @param {string} text */
  replace(id, text) {
    this.#change(id, { text });
  }

  /** The text of this entry will not grow any more; an empty entry goes. @param {string} id */
  finish(id) {
    const entry = this.get(id);
    if (entry && !entry.text.trim()) this.remove(id);
    else this.#change(id, { final: true });
  }

  /** Broken off: what is shown is more than what was heard. @param {string} id */
  interrupt(id) {
    this.#change(id, { interrupted: true });
    this.finish(id);
  }

  /** @param {string} id */
  remove(id) {
    this.entries = this.entries.filter((entry) => entry.id !== id);
  }

  /** Finish whatever is still open: the connection is gone. */
  finishAll() {
    for (const { id, role, final } of this.entries) {
      if (!final && role === "assistant") this.interrupt(id);
      else if (!final) this.finish(id);
    }
  }

  /** @param {string} id @param {Partial<Entry>} change */
  #change(id, change) {
    this.entries = this.entries.map((entry) => (entry.id === id ? { ...entry, ...change } : entry));
  }
}
