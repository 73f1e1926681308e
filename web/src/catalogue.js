// @ts-check
/** What the server has: its voices, and whether it only pretends. */

/**
 * @typedef {object} Catalogue
 * @property {string[]} voices the first is the default
 * @property {boolean} simulated no model runs
 * @property {import("./recognition/recogniser.js").Place | null} device_recognition what this device
 *   needs to recognise speech itself
 */

/** @type {Catalogue} */
const UNKNOWN = { voices: [], simulated: false, device_recognition: null };

/** @returns {Promise<Catalogue>} empty when nobody answers */
export async function fetchCatalogue() {
  try {
    const response = await fetch(new URL("v1/catalogue", document.baseURI), { cache: "no-store" });
    return response.ok ? { ...UNKNOWN, ...(await response.json()) } : UNKNOWN;
  } catch {
    return UNKNOWN;
  }
}

/** Ask again whenever a session begins: the server may be another one by then. */
export class CatalogueWatch {
  #onCatalogue;

  /** @param {(catalogue: Catalogue) => void} onCatalogue */
  constructor(onCatalogue) {
    this.#onCatalogue = onCatalogue;
    void this.#ask();
  }

  /** @param {any} event of the server */
  onEvent(event) {
    if (event.type === "session.created") void this.#ask();
  }

  async #ask() {
    this.#onCatalogue(await fetchCatalogue());
  }
}
