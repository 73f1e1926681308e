// @ts-check
/** The conversation on screen, one entry an item, in the order the items arrived. Pure. */

/**
 * @typedef {object} Entry
 * @property {string} id the item's id
 * @property {"user" | "assistant"} role
 * @property {string} text
 * @property {boolean} final false while the text may change
 * @property {boolean} interrupted
 * @property {number} [stable] of a text that may change: characters that will not
 * @property {readonly {source: string, text: string}[]} [citations] what the model read for it
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

  /** Take note of an event about an item of the conversation. @param {any} event */
  onEvent(event) {
    switch (event.type) {
      case "conversation.item.added": {
        const { id, type, role } = event.item;
        if (type === "message" && role !== "system") this.add(id, role);
        break;
      }
      case "conversation.item.deleted":
        this.remove(event.item_id);
        break;
      case "conversation.item.input_audio_transcription.delta":
        this.add(event.item_id, "user");
        this.append(event.item_id, event.delta);
        break;
      case "antiphon.transcript.partial":
        this.add(event.item_id, "user");
        this.#change(event.item_id, {
          text: `${event.stable} ${event.unstable}`.trim(),
          stable: event.stable.length,
        });
        break;
      case "conversation.item.input_audio_transcription.completed":
        this.add(event.item_id, "user");
        this.replace(event.item_id, event.transcript);
        this.finish(event.item_id);
        break;
      case "conversation.item.input_audio_transcription.failed":
        this.finish(event.item_id);
        break;
      case "response.output_audio_transcript.delta":
      case "response.output_text.delta":
        this.add(event.item_id, "assistant");
        this.append(event.item_id, event.delta);
        break;
      case "response.output_audio_transcript.done":
      case "response.output_text.done":
        this.add(event.item_id, "assistant");
        this.replace(event.item_id, event.transcript ?? event.text);
        break;
      case "antiphon.citations":
        this.add(event.item_id, "assistant");
        this.#change(event.item_id, { citations: event.citations });
        break;
      case "conversation.item.retrieved":
        this.#showHeard(event.item);
        break;
    }
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

  /** An item of a cancelled response: what was never heard goes. @param {any} item */
  retract(item) {
    const read = item.content?.[0]?.type === "output_text";
    if (read || this.get(item.id)?.final) this.interrupt(item.id);
    else this.remove(item.id);
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

  /** Of an interrupted item only what was heard stays. @param {any} item */
  #showHeard(item) {
    const text = item.content?.[0]?.transcript ?? item.content?.[0]?.text;
    if (!this.get(item.id)?.interrupted || typeof text !== "string") return;
    if (text.trim()) this.replace(item.id, text);
    else this.remove(item.id);
  }

  /** @param {string} id @param {Partial<Entry>} change */
  #change(id, change) {
    this.entries = this.entries.map((entry) => (entry.id === id ? { ...entry, ...change } : entry));
  }
}
