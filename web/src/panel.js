// @ts-check
/** The settings panel: opening and closing, the latency table, the event list. */

/** @typedef {import("./turns.js").Turn} Turn */

const MAX_EVENTS = 200;
/** Fills the bar of the latency table. */
const FULL_BAR_MS = 2_000;

/** @param {string} id */
const byId = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/** @param {string} tag @param {string} text */
function element(tag, text) {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}

export class Panel {
  #events = /** @type {HTMLDetailsElement} */ (byId("events"));
  /** @type {{atMs: number, arrow: string, type: string}[]} newest first */
  #recent = [];
  /** @type {readonly Turn[]} */
  #turns = [];

  constructor() {
    this.#events.addEventListener("toggle", () => this.#renderEvents());
  }

  /** @param {"in" | "out"} direction @param {string} type @param {number} atMs */
  log(direction, type, atMs) {
    this.#recent.unshift({ atMs, arrow: direction === "in" ? "←" : "→", type });
    this.#recent.length = Math.min(this.#recent.length, MAX_EVENTS);
    this.#renderEvents();
  }

  /** @param {readonly Turn[]} turns */
  renderTurns(turns) {
    if (turns === this.#turns) return;
    this.#turns = turns;
    byId("latency-empty").hidden = turns.length > 0;
    byId("latency").hidden = turns.length === 0;
    byId("latency-rows").replaceChildren(...[...turns].reverse().map(turnRow));
  }

  #renderEvents() {
    if (!this.#events.open) return;
    const items = this.#recent.map(({ atMs, arrow, type }) => {
      const item = document.createElement("li");
      const time = element("time", (atMs / 1000).toFixed(2));
      item.append(time, element("span", arrow), element("b", type));
      return item;
    });
    byId("event-list").replaceChildren(...items);
  }
}

/** @param {Turn} turn */
function turnRow({ number, voiceToVoiceMs, playedAfterMs, stepsMs }) {
  const row = document.createElement("tr");
  const head = element("th", `${number}`);
  head.setAttribute("scope", "row");
  const figures = document.createElement("td");
  const totalMs = voiceToVoiceMs ?? playedAfterMs ?? 0;
  const steps = Object.entries(stepsMs);
  figures.append(bar(steps.length ? steps.map(([, ms]) => ms) : [totalMs]));
  figures.append(element("strong", `${Math.round(totalMs)}`));
  const parts = steps.map(([name, ms]) => `${name.replaceAll("_", " ")} ${Math.round(ms)}`);
  if (voiceToVoiceMs !== null && playedAfterMs !== null) {
    parts.push(`on this page ${Math.round(playedAfterMs)}`);
  }
  if (parts.length) figures.append(element("small", parts.join(" · ")));
  row.append(head, figures);
  return row;
}

/** Lengths one after the other. @param {number[]} lengthsMs */
function bar(lengthsMs) {
  const whole = element("span", "");
  whole.className = "bar";
  for (const ms of lengthsMs) {
    const part = element("i", "");
    part.style.setProperty("--part", String(Math.min(1, Math.max(0, ms) / FULL_BAR_MS)));
    whole.append(part);
  }
  return whole;
}
