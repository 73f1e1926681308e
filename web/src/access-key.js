// @ts-check
/**
 * The access key: asked for when the server wants one, or brought by a link as `#key=...`; kept in
 * this browser, forgotten on demand.
 */

import { isPossibleKey } from "./handshake.js";
import { load, save } from "./storage.js";

const STORAGE_KEY = "antiphon.key";

/** @param {string} id */
const byId = (id) => /** @type {any} */ (document.getElementById(id));

export class AccessKey {
  key = load(STORAGE_KEY);
  #form = /** @type {HTMLFormElement} */ (byId("key-form"));
  #field = /** @type {HTMLInputElement} */ (byId("key"));

  /** @param {() => void} onKey called in the gesture that gave a new key */
  constructor(onKey) {
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.#take(this.#field.value.trim())) onKey();
    });
    byId("forget-key").addEventListener("click", () => {
      this.#set("");
      byId("key-forgotten").textContent = "Forgotten. It is asked for when it is needed.";
    });
    byId("forget-key").disabled = !this.key;
    this.#takeFromLink();
    addEventListener("hashchange", () => this.#takeFromLink());
  }

  /** A key in the address would be seen, copied and bookmarked: it goes from there at once. */
  #takeFromLink() {
    const key = new URLSearchParams(location.hash.slice(1)).get("key");
    if (key === null) return;
    history.replaceState(null, "", location.pathname + location.search);
    this.#take(key);
  }

  /** @param {boolean} wanted */
  ask(wanted) {
    if (this.#form.hidden !== wanted) return;
    this.#form.hidden = !wanted;
    if (wanted) this.#field.focus();
  }

  /** @param {string} key */
  #take(key) {
    const possible = isPossibleKey(key);
    byId("key-refused").textContent = possible
      ? ""
      : "A key has letters, digits and signs such as - . _ and no spaces.";
    if (!possible) return false;
    this.#set(key);
    this.#field.value = "";
    return true;
  }

  /** @param {string} key */
  #set(key) {
    this.key = key;
    save(STORAGE_KEY, key);
    byId("forget-key").disabled = !key;
    byId("key-forgotten").textContent = "";
  }
}
