// @ts-check
/** The last events in both directions, without their audio. Pure. */

export const MAX_EVENTS = 500;
const MAX_STRING = 1_000;
const AUDIO_EVENTS = new Set(["response.output_audio.delta", "input_audio_buffer.append"]);

/**
 * @typedef {object} Logged
 * @property {number} number counts up
 * @property {number} atMs
 * @property {"in" | "out"} direction
 * @property {string} type
 * @property {unknown} event with audio and long texts elided
 */

export class EventLog {
  /** @type {Logged[]} oldest first */
  entries = [];
  #count = 0;

  /** @param {"in" | "out"} direction @param {any} event @param {number} atMs @returns {Logged} */
  add(direction, event, atMs) {
    const type = String(event.type);
    const logged = { number: ++this.#count, atMs, direction, type, event: elide(event) };
    this.entries.push(logged);
    if (this.entries.length > MAX_EVENTS) this.entries.shift();
    return logged;
  }

  clear() {
    this.entries = [];
  }

  /** One JSON object a line. @param {string} filter */
  toText(filter) {
    return this.entries
      .filter((logged) => matches(logged, filter))
      .map(({ atMs, direction, event }) => JSON.stringify({ at_ms: Math.round(atMs), direction, event }))
      .join("\n");
  }
}

/**
 * Whether all words of the filter are in the event's type, or in its content; `in` and `out` stand
 * for the direction, a leading minus excludes.
 * @param {Logged} logged @param {string} filter
 */
export function matches({ direction, type, event }, filter) {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return true;
  const text = `${type} ${JSON.stringify(event)}`.toLowerCase();
  return words.every((word) => {
    if (word === "in" || word === "out") return direction === word;
    if (word.length > 1 && word.startsWith("-")) return !type.toLowerCase().includes(word.slice(1));
    return text.includes(word);
  });
}

/** @param {any} event @returns {unknown} */
export function elide(event) {
  const audio = AUDIO_EVENTS.has(event?.type);
  return JSON.parse(
    JSON.stringify(event, (key, value) => {
      if (typeof value !== "string") return value;
      if (key === "audio" || (audio && key === "delta")) return `(${value.length} characters of audio)`;
      if (value.length <= MAX_STRING) return value;
      return `${value.slice(0, MAX_STRING)}… (${value.length} characters)`;
    }),
  );
}
