// @ts-check
/** Quiet notes: what is good to know and breaks nothing. Each can be put away. */

/** @typedef {import("./problems.js").Problem} Problem */

export class Notes {
  #list;
  /** @type {readonly Problem[]} */
  #shown = [];
  /** @type {Set<string>} */
  #dismissed = new Set();

  /** @param {HTMLElement} list */
  constructor(list) {
    this.#list = list;
  }

  /** @param {readonly Problem[]} notes */
  render(notes) {
    const wanted = notes.filter(({ message }) => !this.#dismissed.has(message));
    for (const message of this.#dismissed) {
      if (!notes.some((note) => note.message === message)) this.#dismissed.delete(message);
    }
    if (same(wanted, this.#shown)) return;
    this.#shown = wanted;
    this.#list.replaceChildren(...wanted.map((note) => this.#element(note)));
  }

  /** @param {Problem} note */
  #element(note) {
    const element = document.createElement("div");
    element.className = "note";
    const text = document.createElement("p");
    text.textContent = `${note.message} ${note.fix}`;
    const close = document.createElement("button");
    close.type = "button";
    close.className = "plain";
    close.textContent = "OK";
    close.setAttribute("aria-label", `OK: ${note.message}`);
    close.addEventListener("click", () => {
      this.#dismissed.add(note.message);
      this.#shown = this.#shown.filter((other) => other !== note);
      element.remove();
    });
    element.append(text, close);
    return element;
  }
}

/** @param {readonly Problem[]} a @param {readonly Problem[]} b */
function same(a, b) {
  return a.length === b.length && a.every((note, i) => note.message === b[i]?.message);
}
