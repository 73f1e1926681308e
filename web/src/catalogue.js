// @ts-check
/** What the server has: its voices, whether it only pretends, and whether it is this page's own. */

/**
 * @typedef {object} Catalogue
 * @property {string[]} voices the first is the default
 * @property {boolean} simulated no model runs
 * @property {import("./recognition/recogniser.js").Place | null} device_recognition what this device
 *   needs to recognise speech itself
 * @property {boolean} owner whoever holds this page's key, or sits at this machine, may change it
 */

/** @type {Catalogue} */
const UNKNOWN = { voices: [], simulated: false, device_recognition: null, owner: false };

/** @param {string} key "" for none @returns {Promise<Catalogue>} empty when nobody answers */
export async function fetchCatalogue(key = "") {
  try {
    const response = await fetch(new URL("v1/catalogue", document.baseURI), {
      headers: key ? { Authorization: `Bearer ${key}` } : {},
      cache: "no-store",
    });
    return response.ok ? { ...UNKNOWN, ...(await response.json()) } : UNKNOWN;
  } catch {
    return UNKNOWN;
  }
}

/** Ask again whenever a session begins: the server may be another one by then. */
export class CatalogueWatch {
  #onCatalogue;
  #key;

  /** @param {() => string} key gives the access key, "" for none @param {(catalogue: Catalogue) => void} onCatalogue */
  constructor(key, onCatalogue) {
    this.#key = key;
    this.#onCatalogue = onCatalogue;
    void this.#ask();
  }

  /** @param {any} event of the server */
  onEvent(event) {
    if (event.type === "session.created") void this.#ask();
  }

  async #ask() {
    this.#onCatalogue(await fetchCatalogue(this.#key()));
  }
}
