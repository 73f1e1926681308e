// @ts-check
/** Copying, saving and clearing the conversation. */

import { transcriptJson, transcriptText } from "./export.js";
import { RATE_HZ } from "./recorder.js";
import { encodeWav } from "./wav.js";

/** @typedef {import("./transcript.js").Transcript} Transcript */
/** @typedef {import("./recorder.js").Recorder} Recorder */

const FORGET_URL_MS = 60_000;

/** @param {string} id */
const byId = (id) => /** @type {any} */ (document.getElementById(id));

export class Keep {
  #menu = /** @type {HTMLDetailsElement} */ (byId("keep"));

  /** @param {() => Transcript} transcript @param {Recorder} recorder @param {() => void} clear */
  constructor(transcript, recorder, clear) {
    const entries = () => transcript().entries;
    const offer = (/** @type {string} */ id, /** @type {() => void} */ action) => {
      byId(id).addEventListener("click", () => {
        action();
        this.#close();
      });
    };
    byId("copy-text").hidden = !navigator.clipboard;
    offer("copy-text", () => copyText(transcriptText(entries())));
    offer("save-text", () => saveAs("conversation.txt", transcriptText(entries()), "text/plain"));
    offer("save-json", () => {
      const json = transcriptJson(entries(), new Date().toISOString());
      saveAs("conversation.json", json, "application/json");
    });
    offer("save-audio", () => {
      saveAs("conversation.wav", encodeWav(recorder.mixdown(), RATE_HZ), "audio/wav");
    });
    offer("clear", () => {
      clear();
      recorder.clear();
      tell("Cleared.");
    });
    this.#menu.addEventListener("toggle", () => {
      byId("save-audio").disabled = recorder.empty;
    });
    this.#menu.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !this.#menu.open) return;
      event.stopPropagation();
      this.#close();
    });
    document.addEventListener("pointerdown", (event) => {
      if (!this.#menu.contains(/** @type {Node} */ (event.target))) this.#menu.open = false;
    });
  }

  #close() {
    this.#menu.open = false;
    this.#menu.querySelector("summary")?.focus();
  }
}

/** @param {string} text */
export function copyText(text) {
  navigator.clipboard?.writeText(text).then(
    () => tell("Copied."),
    () => tell("The browser did not allow copying."),
  );
}

/** @param {string} message */
function tell(message) {
  byId("kept").textContent = message;
}

/** @param {string} name @param {string | ArrayBuffer} content @param {string} type */
function saveAs(name, content, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), FORGET_URL_MS);
  tell(`Saved as ${name}.`);
}
