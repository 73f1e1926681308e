// @ts-check
/** The form of the settings: shows them, tells of changes, shows what the server refused. */

import { DEFAULTS, Preferences, parse } from "./preferences.js";
import { load, save } from "./storage.js";

/** @typedef {import("./preferences.js").Name} Name */
/** @typedef {HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement} Field */

const STORAGE_KEY = "antiphon.settings";
const LANGUAGES = [
  "ar", "cs", "da", "de", "el", "en", "es", "fi", "fr", "he", "hi", "hu", "id", "it", "ja", "ko",
  "nl", "no", "pl", "pt", "ro", "ru", "sv", "tr", "uk", "vi", "zh",
];

/** @param {string} id */
const byId = (id) => /** @type {any} */ (document.getElementById(id));

export class SettingsForm {
  preferences = new Preferences(parse(load(STORAGE_KEY)));
  #form = /** @type {HTMLFormElement} */ (byId("settings"));
  /** @type {Map<Name, {field: Field, refusal: HTMLElement}>} */
  #fields = new Map();
  #onChange;
  /** @type {readonly string[]} */
  #voices = [];

  /** @param {(events: Record<string, unknown>[]) => void} onChange gets what to tell the server */
  constructor(onChange) {
    this.#onChange = onChange;
    fillLanguages(byId("set-language"));
    for (const name of /** @type {Name[]} */ (Object.keys(DEFAULTS))) this.#addField(name);
    this.#form.addEventListener("submit", (event) => event.preventDefault());
    byId("reset-settings").addEventListener("click", () => this.#reset());
    byId("set-speed").addEventListener("input", () => this.#showSpeed());
    this.#fill();
    this.render();
  }

  /** Show what the server says of the settings. */
  render() {
    const { preferences } = this;
    for (const [name, { field, refusal }] of this.#fields) {
      const text = preferences.refusals[name] ?? "";
      if (refusal.textContent !== text) refusal.textContent = text;
      refusal.hidden = !text;
      if (text) field.setAttribute("aria-invalid", "true");
      else field.removeAttribute("aria-invalid");
    }
    for (const row of this.#form.querySelectorAll("[data-turns]")) {
      /** @type {HTMLElement} */ (row).hidden =
        /** @type {HTMLElement} */ (row).dataset["turns"] !== preferences.values.turns;
    }
    for (const row of this.#form.querySelectorAll("[data-recognise]")) {
      /** @type {HTMLElement} */ (row).hidden = preferences.values.recognise !== "device";
    }
    document.documentElement.dataset["theme"] = preferences.values.theme;
    const voice = preferences.effective?.audio?.output?.voice;
    byId("voice-hint").textContent = voice ? `The server speaks as ${voice}.` : "";
    const instructions = preferences.server?.instructions;
    if (instructions) byId("set-instructions").placeholder = instructions;
  }

  /** This device cannot. */
  recogniseOnServer() {
    this.#take("recognise", "server");
    this.#fill();
  }

  /** @param {readonly string[]} voices that the server has */
  showVoices(voices) {
    this.#voices = voices;
    const select = /** @type {HTMLSelectElement} */ (byId("set-voice"));
    const { voice } = this.preferences.values;
    const options = [new Option("The server's choice", ""), ...voices.map((name) => new Option(name))];
    if (voice && !voices.includes(voice)) {
      options.push(new Option(`${voice} (not on this server)`, voice));
    }
    select.replaceChildren(...options);
    select.value = voice;
  }

  /** @param {Name} name */
  #addField(name) {
    const field = /** @type {Field} */ (byId(`set-${name}`));
    const refusal = document.createElement("p");
    refusal.className = "refusal";
    refusal.id = `refused-${name}`;
    refusal.setAttribute("role", "alert");
    refusal.hidden = true;
    (field.closest(".field") ?? this.#form).append(refusal);
    const described = [field.getAttribute("aria-describedby"), refusal.id];
    field.setAttribute("aria-describedby", described.filter(Boolean).join(" "));
    field.addEventListener("change", () => this.#take(name, read(field)));
    this.#fields.set(name, { field, refusal });
  }

  /** @param {Name} name @param {any} value */
  #take(name, value) {
    const events = this.preferences.change(name, value);
    save(STORAGE_KEY, JSON.stringify(this.preferences.values));
    this.render();
    this.#onChange(events);
  }

  #reset() {
    const { values } = this.preferences;
    for (const name of this.#fields.keys()) {
      if (values[name] !== DEFAULTS[name]) this.#take(name, DEFAULTS[name]);
    }
    this.#fill();
  }

  #fill() {
    for (const [name, { field }] of this.#fields) {
      const value = this.preferences.values[name];
      if (field instanceof HTMLInputElement && field.type === "checkbox") {
        field.checked = value === true;
      } else if (name === "speed") field.value = String(value ?? 1);
      else if (name === "voice") this.showVoices(this.#voices);
      else field.value = value === null ? "" : String(value);
    }
    this.#showSpeed();
  }

  #showSpeed() {
    byId("speed-value").textContent = `${Number(byId("set-speed").value).toFixed(2)} ×`;
  }
}

/** @param {Field} field */
function read(field) {
  if (!(field instanceof HTMLInputElement)) return field.value.trim();
  if (field.type === "checkbox") return field.checked;
  if (field.type === "range" || field.type === "number") {
    return field.value === "" ? null : Number(field.value);
  }
  return field.value.trim();
}

/** @param {HTMLSelectElement} select */
function fillLanguages(select) {
  const names = new Intl.DisplayNames(["en"], { type: "language" });
  for (const code of LANGUAGES) select.add(new Option(names.of(code) ?? code, code));
}
