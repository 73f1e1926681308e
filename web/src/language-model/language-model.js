// @ts-check
/** The notice that a better language model could answer, and its place in the settings. */

import { load, save } from "../storage.js";
import { answersNow, better, choices, invitation, isCurrent, nameOf, progress } from "./offer.js";
import { ask, stop, use } from "./owner-requests.js";

/** @typedef {import("./offer.js").State} State */
/** @typedef {import("./offer.js").Choice} Choice */
/** @typedef {import("./offer.js").Progress} Progress */

const STORAGE_KEY = "antiphon.model.later";
const AGAIN_MS = 500;

/** @param {string} id */
const byId = (id) => /** @type {any} */ (document.getElementById(id));

export class LanguageModel {
  #key;
  /** @type {State | null} */
  #state = null;
  /** @type {string} what the server did not begin, and why */
  #refusal = "";
  /** A change that ended before this page came is no news. */
  #news = false;
  #looking = false;
  /** @type {Choice[]} */
  #offered = [];
  /** @type {Choice[]} */
  #choices = [];

  /** @param {() => string} key gives the access key, "" for none */
  constructor(key) {
    this.#key = key;
    byId("offer-use").addEventListener("click", () => {
      void this.#use(this.#offered[byId("offer-model").selectedIndex]);
      byId("offer-close").focus();
    });
    byId("offer-close").addEventListener("click", () => this.#close());
    byId("model-use").addEventListener("click", () => {
      void this.#use(this.#choices[byId("set-model").selectedIndex]);
    });
    byId("model-stop").addEventListener("click", () => void stop(this.#key()));
    byId("set-model").addEventListener("change", () => this.#renderButton());
  }

  /** Ask what there is, and go on asking while a change is under way. */
  async look() {
    if (this.#looking) return;
    this.#looking = true;
    do {
      const state = await ask(this.#key());
      if (state) this.#state = state;
      this.#render();
    } while (this.#underWay && (await later(AGAIN_MS)));
    this.#looking = false;
  }

  get #underWay() {
    const change = this.#state && progress(this.#state);
    this.#news ||= change?.ended === false;
    return change?.ended === false;
  }

  /** @param {Choice | undefined} choice */
  async #use(choice) {
    if (!choice) return;
    this.#refusal = await use(this.#key(), choice);
    this.#news ||= !this.#refusal;
    await this.look();
  }

  #close() {
    if (!this.#state) return;
    const change = this.#news ? progress(this.#state) : null;
    if (change?.stoppable) void stop(this.#key());
    else if (change || this.#refusal) this.#news = false;
    else save(STORAGE_KEY, nameOf(this.#offered));
    this.#refusal = "";
    this.#render();
  }

  #render() {
    if (!this.#state) return;
    const change = this.#news ? progress(this.#state) : null;
    this.#renderNotice(this.#state, change);
    this.#renderSettings(this.#state, change);
  }

  /** @param {State} state @param {Progress | null} change */
  #renderNotice(state, change) {
    const offered = better(state);
    const wanted = offered.length > 0 && load(STORAGE_KEY) !== nameOf(offered);
    byId("offer").hidden = !change && !this.#refusal && !wanted;
    if (byId("offer").hidden) return;
    const asks = !change && !this.#refusal;
    setText("offer-text", change?.text ?? (this.#refusal || invitation(state, offered)));
    renderProgress("offer", change);
    const [first] = offered;
    byId("offer-model").hidden = !asks || offered.length < 2;
    byId("offer-use").hidden = !asks;
    if (asks) {
      this.#offered = fill("offer-model", this.#offered, offered);
      setText("offer-use", first?.fetches ? "Fetch it and switch" : "Switch");
    }
    setText("offer-close", asks ? "Not now" : change?.stoppable ? "Stop" : "OK");
  }

  /** @param {State} state @param {Progress | null} change */
  #renderSettings(state, change) {
    byId("language-model").hidden = false;
    setText("model-now", answersNow(state));
    const all = choices(state);
    const before = this.#choices;
    this.#choices = fill("set-model", before, all);
    if (nameOf(before) !== nameOf(all)) {
      const current = all.findIndex((choice) => isCurrent(state, choice));
      byId("set-model").selectedIndex = Math.max(0, current);
    }
    byId("model-field").hidden = !state.can_switch;
    byId("model-elsewhere").hidden = state.can_switch;
    const done = state.change?.state === "done";
    setText("model-said", done ? "" : (change?.text ?? this.#refusal));
    renderProgress("model", change);
    byId("model-stop").hidden = !change?.stoppable;
    const keep = done ? (state.change?.keep ?? "") : "";
    byId("model-keep").hidden = !keep;
    setText("model-lines", keep);
    this.#renderButton();
  }

  #renderButton() {
    const state = this.#state;
    const choice = this.#choices[byId("set-model").selectedIndex];
    byId("model-use").disabled = !choice || this.#busy || (state && isCurrent(state, choice));
    setText("model-use", choice?.fetches ? "Fetch it and switch" : "Switch");
  }

  get #busy() {
    return this.#state !== null && progress(this.#state)?.ended === false;
  }
}

/**
 * Show choices, leaving what is selected alone while they are the same.
 * @param {string} id @param {Choice[]} before @param {Choice[]} now
 */
function fill(id, before, now) {
  if (nameOf(before) !== nameOf(now)) {
    byId(id).replaceChildren(...now.map(({ text }, index) => new Option(text, String(index))));
  }
  return now;
}

/** @param {string} of prefix of the ids @param {Progress | null} change */
function renderProgress(of, change) {
  const bar = /** @type {HTMLProgressElement} */ (byId(`${of}-progress`));
  bar.hidden = change?.ended !== false;
  if (change?.part === null || change?.part === undefined) bar.removeAttribute("value");
  else bar.value = change.part;
  setText(`${of}-figures`, change?.figures ?? "");
}

/** Leave equal text alone: a live region would read it again. @param {string} id @param {string} text */
function setText(id, text) {
  if (byId(id).textContent !== text) byId(id).textContent = text;
}

/** @param {number} ms @returns {Promise<true>} */
function later(ms) {
  return new Promise((resolve) => setTimeout(() => resolve(true), ms));
}
