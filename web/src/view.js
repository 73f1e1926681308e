// @ts-check
/** Shows a session. Text goes in as textContent only. */

/** @typedef {import("./session.js").Session} Session */
/** @typedef {import("./transcript.js").Entry} Entry */

import { Notes } from "./notes.js";

const NEAR_BOTTOM_PX = 80;
const NAMES = { user: "You", assistant: "Antiphon" };

/** @param {string} id */
const byId = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

export class View {
  talk = byId("talk");
  mute = byId("mute");
  end = byId("end");
  dismiss = byId("dismiss");
  composer = /** @type {HTMLFormElement} */ (byId("composer"));
  text = /** @type {HTMLInputElement} */ (byId("text"));
  #log = byId("log");
  #notes = new Notes(byId("notes"));
  /** @type {Map<string, {entry: Entry, element: HTMLElement}>} */
  #shown = new Map();
  /** @type {readonly Entry[] | null} */
  #entries = null;
  #replays;

  /** @param {{has: (itemId: string) => boolean, play: (itemId: string) => void}} replays */
  constructor(replays) {
    this.#replays = replays;
  }

  /** @param {Session} session */
  render(session) {
    const { scrollHeight, scrollTop, clientHeight } = this.#log;
    const follow = scrollHeight - scrollTop - clientHeight < NEAR_BOTTOM_PX;
    const muted = session.muted && session.phase === "listening";
    document.body.dataset["phase"] = muted ? "muted" : session.phase;
    document.body.toggleAttribute("data-active", session.active);
    const { holds } = session;
    this.talk.setAttribute("aria-label", holds ? "Hold to talk" : "Talk");
    this.talk.setAttribute("aria-pressed", String(session.voice && session.listens));
    document.body.toggleAttribute("data-holds", holds);
    setText(byId("caption"), session.caption);
    this.mute.hidden = !session.voice || holds;
    this.mute.setAttribute("aria-pressed", String(session.muted));
    this.end.hidden = !session.active;
    this.#renderProblem(session);
    this.#renderTranscript(session.transcript.entries);
    if (follow) this.#log.scrollTop = this.#log.scrollHeight;
  }

  /** How strongly the button moves. @param {number} level 0..1 */
  setLevel(level) {
    document.body.style.setProperty("--level", level.toFixed(3));
  }

  /** @param {Session} session */
  #renderProblem({ problem, warnings }) {
    const alert = problem?.tone === "note" ? null : problem;
    byId("problem").hidden = alert === null;
    setText(byId("problem-text"), alert ? `${alert.message} ${alert.fix}` : "");
    this.#notes.render(problem && !alert ? [problem, ...warnings] : warnings);
  }

  /** @param {readonly Entry[]} entries */
  #renderTranscript(entries) {
    if (entries === this.#entries) return;
    this.#entries = entries;
    const empty = !entries.some((entry) => entry.text);
    byId("empty").hidden = !empty;
    document.body.toggleAttribute("data-empty", empty);
    const kept = new Set(entries.map((entry) => entry.id));
    for (const [id, { element }] of this.#shown) {
      if (kept.has(id)) continue;
      element.remove();
      this.#shown.delete(id);
    }
    for (const entry of entries) this.#renderEntry(entry);
  }

  /** @param {Entry} entry */
  #renderEntry(entry) {
    const old = this.#shown.get(entry.id);
    if (old?.entry === entry) return;
    const reuse = old && !entry.final && !old.entry.final;
    const element = reuse ? old.element : createEntry(entry);
    if (!reuse && entry.final && this.#replays.has(entry.id)) {
      element.append(this.#replayButton(entry.id));
    }
    // A final text is a new element: only additions are read out.
    if (!old) this.#log.append(element);
    else if (!reuse) old.element.replaceWith(element);
    element.hidden = !entry.text;
    setWords(/** @type {HTMLElement} */ (element.querySelector("p")), entry);
    this.#shown.set(entry.id, { entry, element });
  }

  /** @param {string} itemId */
  #replayButton(itemId) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "replay";
    button.textContent = "Replay";
    button.setAttribute("aria-live", "off");
    button.addEventListener("click", () => this.#replays.play(itemId));
    return button;
  }
}

/** @param {Entry} entry */
function createEntry({ role, final, interrupted, citations }) {
  const article = document.createElement("article");
  article.className = `entry ${role}`;
  if (!final) article.setAttribute("aria-hidden", "true");
  const name = document.createElement("h2");
  name.textContent = NAMES[role];
  article.append(name, document.createElement("p"));
  if (interrupted) {
    const mark = document.createElement("small");
    mark.textContent = "interrupted";
    article.append(mark);
  }
  if (final && citations?.length) article.append(sources(citations));
  return article;
}

/** The passages that the model read. @param {readonly {source: string, text: string}[]} citations */
function sources(citations) {
  const details = document.createElement("details");
  details.className = "sources";
  const summary = document.createElement("summary");
  summary.textContent = citations.length === 1 ? "1 source" : `${citations.length} sources`;
  details.append(summary);
  for (const { source, text } of citations) {
    const quote = document.createElement("blockquote");
    const name = document.createElement("cite");
    name.textContent = source;
    quote.append(text, name);
    details.append(quote);
  }
  return details;
}

/** The words of an entry; those that may still change stand apart. @param {HTMLElement} element @param {Entry} entry */
function setWords(element, { text, final, stable }) {
  if (final || stable === undefined || stable >= text.length) {
    setText(element, text.trim());
    return;
  }
  const unstable = document.createElement("span");
  unstable.className = "unstable";
  unstable.textContent = text.slice(stable);
  element.replaceChildren(text.slice(0, stable), unstable);
}

/** Leave equal text alone: a live region would read it again. @param {HTMLElement} element @param {string} text */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
