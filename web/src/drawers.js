// @ts-check
/** The drawers at the side, one open at a time, each with its button in the header. */

/** @param {string} id */
const byId = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

export class Drawers {
  #names;

  /** @param {string[]} names ids of the drawers; `NAME-toggle` and `NAME-close` are their buttons */
  constructor(names) {
    this.#names = names;
    for (const name of names) {
      byId(`${name}-toggle`).addEventListener("click", () => this.show(name, !this.isOpen(name)));
      byId(`${name}-close`).addEventListener("click", () => this.show(name, false));
    }
  }

  /** @param {string} name */
  isOpen(name) {
    return !byId(name).hidden;
  }

  /** Close the drawer that has the focus. @returns {boolean} whether one was closed */
  closeFocused() {
    const name = this.#names.find((id) => byId(id).contains(document.activeElement));
    if (!name || !this.isOpen(name)) return false;
    this.show(name, false);
    return true;
  }

  /** @param {string} name @param {boolean} open */
  show(name, open) {
    for (const id of this.#names) {
      byId(id).hidden = id !== name || !open;
      byId(`${id}-toggle`).setAttribute("aria-expanded", String(id === name && open));
    }
    byId(open ? `${name}-close` : `${name}-toggle`).focus();
  }
}
