// @ts-check
/** The list of events: newest first, filtered, each opens to its content. */

import { EventLog, MAX_EVENTS, matches } from "./event-log.js";

/** @typedef {import("./event-log.js").Logged} Logged */

/** @param {string} id */
const byId = (id) => /** @type {any} */ (document.getElementById(id));

export class EventView {
  #log = new EventLog();
  #details = /** @type {HTMLDetailsElement} */ (byId("events"));
  #filter = /** @type {HTMLInputElement} */ (byId("event-filter"));
  #list = /** @type {HTMLElement} */ (byId("event-list"));

  /** @param {(text: string) => void} copy */
  constructor(copy) {
    this.#details.addEventListener("toggle", () => this.#renderAll());
    this.#filter.addEventListener("input", () => this.#renderAll());
    byId("event-clear").addEventListener("click", () => {
      this.#log.clear();
      this.#renderAll();
    });
    byId("event-copy").addEventListener("click", () => copy(this.#log.toText(this.#filter.value)));
  }

  /** @param {"in" | "out"} direction @param {any} event @param {number} atMs */
  add(direction, event, atMs) {
    const logged = this.#log.add(direction, event, atMs);
    if (!this.#details.open || !matches(logged, this.#filter.value)) return;
    this.#list.prepend(item(logged));
    if (this.#list.childElementCount > MAX_EVENTS) this.#list.lastElementChild?.remove();
  }

  #renderAll() {
    const shown = this.#details.open
      ? this.#log.entries.filter((logged) => matches(logged, this.#filter.value))
      : [];
    this.#list.replaceChildren(...shown.reverse().map(item));
  }
}

/** @param {Logged} logged */
function item({ atMs, direction, type, event }) {
  const entry = document.createElement("li");
  const details = document.createElement("details");
  const summary = document.createElement("summary");
  const time = document.createElement("time");
  time.textContent = (atMs / 1000).toFixed(2);
  const arrow = document.createElement("span");
  arrow.textContent = direction === "in" ? "←" : "→";
  arrow.setAttribute("aria-label", direction === "in" ? "from the server" : "to the server");
  arrow.setAttribute("role", "img");
  const name = document.createElement("b");
  name.textContent = type;
  summary.append(time, arrow, name);
  details.append(summary);
  details.addEventListener("toggle", () => {
    if (details.childElementCount > 1) return;
    const content = document.createElement("pre");
    content.tabIndex = 0;
    content.textContent = JSON.stringify(event, null, 1);
    details.append(content);
  });
  entry.append(details);
  return entry;
}
