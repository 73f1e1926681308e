// @ts-check
/** What the person set, and how the server is told. Pure. */

/**
 * Empty texts and null leave the choice to the server.
 * @typedef {object} Values
 * @property {string} voice
 * @property {number | null} speed 0.25 to 1.5
 * @property {string} instructions
 * @property {string} language ISO 639-1
 * @property {"semantic" | "server" | "push"} turns who says that a turn is over: the words and the
 *   pause, the pause alone, or the person's hand
 * @property {"auto" | "low" | "medium" | "high"} eagerness of `semantic`
 * @property {number | null} threshold of `server`, 0 to 1
 * @property {number | null} silenceMs of `server`
 * @property {number | null} prefixMs of `server`
 * @property {boolean} shortcuts single keys do something
 * @property {"auto" | "light" | "dark"} theme
 * @property {"server" | "device"} recognise where speech becomes words
 * @property {"wasm" | "webgpu"} compute what this device recognises with
 * @property {boolean} gated silence is not sent
 */

/** @typedef {keyof Values} Name */

/** @type {Readonly<Values>} */
export const DEFAULTS = Object.freeze({
  voice: "",
  speed: null,
  instructions: "",
  language: "",
  turns: "semantic",
  eagerness: "auto",
  threshold: null,
  silenceMs: null,
  prefixMs: null,
  shortcuts: true,
  theme: "auto",
  recognise: "server",
  compute: "wasm",
  gated: true,
});

/** What the server is not told. @type {ReadonlySet<string>} */
const LOCAL = new Set(["shortcuts", "gated", "theme", "recognise", "compute"]);

const CHOICES = {
  turns: ["semantic", "server", "push"],
  eagerness: ["auto", "low", "medium", "high"],
  theme: ["auto", "light", "dark"],
  recognise: ["server", "device"],
  compute: ["wasm", "webgpu"],
};
const NUMBERS = ["speed", "threshold", "silenceMs", "prefixMs"];
const TURN_DETECTION = "session.audio.input.turn_detection";
const EVENT_ID = "settings_";

/** Where the server says that a value is wrong, and whose it is. @type {Record<string, Name>} */
const FIELDS = {
  "session.audio.output.voice": "voice",
  "session.audio.output.speed": "speed",
  "session.instructions": "instructions",
  "session.audio.input.transcription.language": "language",
  [TURN_DETECTION]: "turns",
  [`${TURN_DETECTION}.eagerness`]: "eagerness",
  [`${TURN_DETECTION}.threshold`]: "threshold",
  [`${TURN_DETECTION}.silence_duration_ms`]: "silenceMs",
  [`${TURN_DETECTION}.prefix_padding_ms`]: "prefixMs",
};

/** What was kept, with whatever is not understood left out. @param {string} json @returns {Values} */
export function parse(json) {
  /** @type {Record<string, unknown>} */
  const values = { ...DEFAULTS };
  let kept;
  try {
    kept = JSON.parse(json || "{}");
  } catch {
    return { ...DEFAULTS };
  }
  for (const [name, value] of Object.entries(kept ?? {})) {
    if (name in DEFAULTS && isValid(name, value)) values[name] = value;
  }
  return /** @type {any} */ (values);
}

/** @param {string} name @param {unknown} value */
function isValid(name, value) {
  const choices = /** @type {Record<string, string[]>} */ (CHOICES)[name];
  if (choices) return choices.includes(String(value));
  if (NUMBERS.includes(name)) return value === null || Number.isFinite(value);
  return typeof value === typeof DEFAULTS[/** @type {Name} */ (name)];
}

/** Keeps the settings of the page and the server's in step. */
export class Preferences {
  values;
  /** What the server said against a value. @type {Partial<Record<Name, string>>} */
  refusals = {};
  /** The session as the server made it, before anything was asked for. @type {any} */
  server = {};
  /** The session in effect. @type {any} */
  effective = {};
  /** Answers are read, not heard: this page cannot play audio. */
  textOnly = false;
  #count = 0;
  /** The names that each unanswered update carried. @type {Map<string, Name[]>} */
  #asked = new Map();

  /** @param {Values} values */
  constructor(values) {
    this.values = values;
  }

  get pushToTalk() {
    return this.values.turns === "push";
  }

  /**
   * @template {Name} N
   * @param {N} name @param {Values[N]} value
   * @returns {Record<string, unknown>[]} what to tell the server, if a session stands
   */
  change(name, value) {
    this.values = { ...this.values, [name]: value };
    delete this.refusals[name];
    return LOCAL.has(name) ? [] : [this.#update([name])];
  }

  /** @param {any} event of the server @returns {Record<string, unknown>[]} what to tell it */
  onEvent(event) {
    switch (event.type) {
      case "session.created":
        this.server = this.effective = event.session;
        this.refusals = {};
        this.#asked.clear();
        return this.#introduce(namesChanged(this.values));
      case "session.updated":
        this.effective = event.session;
        this.#answered();
        return [];
      case "error":
        return this.#onError(event.error ?? {});
      default:
        return [];
    }
  }

  /** Whether an error is about a setting and shown there. @param {any} event */
  owns(event) {
    return event.type === "error" && String(event.error?.event_id).startsWith(EVENT_ID);
  }

  /** @param {Name[]} names */
  #introduce(names) {
    return names.length || this.textOnly ? [this.#update(names)] : [];
  }

  /** @param {any} error */
  #onError({ event_id, param, message }) {
    const names = this.#asked.get(event_id);
    if (!names) return [];
    this.#asked.delete(event_id);
    const name = FIELDS[param] ?? names[0];
    if (!name) return [];
    this.refusals = { ...this.refusals, [name]: message };
    // An update is taken or refused as a whole.
    const others = names.filter((other) => other !== name);
    return others.length ? [this.#update(others)] : [];
  }

  /** The server answers in order: the oldest update was taken. */
  #answered() {
    const [oldest] = this.#asked.keys();
    if (oldest !== undefined) this.#asked.delete(oldest);
  }

  /** @param {Name[]} names */
  #update(names) {
    const event_id = `${EVENT_ID}${++this.#count}`;
    this.#asked.set(event_id, names);
    const session = sessionFields(names, this.values, this.server);
    if (this.textOnly) session["output_modalities"] = ["text"];
    return { type: "session.update", event_id, session };
  }
}

/** @param {Values} values @returns {Name[]} */
function namesChanged(values) {
  const names = /** @type {Name[]} */ (Object.keys(DEFAULTS));
  return names.filter((name) => !LOCAL.has(name) && values[name] !== DEFAULTS[name]);
}

/**
 * The `session` of an update that carries these settings. What is left to the server goes back to
 * what its session began with.
 * @param {Name[]} names @param {Values} values @param {any} server
 */
export function sessionFields(names, values, server) {
  /** @type {Record<string, any>} */
  const session = { type: "realtime" };
  /** @type {Record<string, any>} */
  const output = {};
  /** @type {Record<string, any>} */
  const input = {};
  for (const name of names) {
    if (name === "voice") output["voice"] = values.voice || server.audio?.output?.voice;
    else if (name === "speed") output["speed"] = values.speed ?? server.audio?.output?.speed ?? 1;
    else if (name === "instructions") {
      session["instructions"] = values.instructions || server.instructions;
    } else if (name === "language") {
      const fallback = server.audio?.input?.transcription?.language ?? "";
      input["transcription"] = { language: values.language || fallback };
    } else if (!LOCAL.has(name)) {
      input["turn_detection"] = turnDetection(values);
    }
  }
  if (Object.keys(output).length || Object.keys(input).length) session["audio"] = {};
  if (Object.keys(output).length) session["audio"].output = output;
  if (Object.keys(input).length) session["audio"].input = input;
  return session;
}

/** @param {Values} values */
function turnDetection({ turns, eagerness, threshold, silenceMs, prefixMs }) {
  if (turns === "push") return null;
  if (turns === "semantic") return { type: "semantic_vad", eagerness };
  return {
    type: "server_vad",
    threshold: threshold ?? 0.5,
    silence_duration_ms: silenceMs ?? 500,
    prefix_padding_ms: prefixMs ?? 300,
  };
}
