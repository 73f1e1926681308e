// @ts-check
/** Checks this browser, this device and the way to the server, line by line. */

import { parse } from "../preferences.js";
import { load } from "../storage.js";
import * as checks from "./checks.js";
import { testServer } from "./server-test.js";
import { testSound } from "./sound-test.js";

/** @typedef {import("./checks.js").Verdict} Verdict */

const WORDS = { ok: "Good", warn: "Could be better", fail: "Broken" };

/** @param {string} id */
const byId = (id) => /** @type {any} */ (document.getElementById(id));

class Doctor {
  #button = /** @type {HTMLButtonElement} */ (byId("check"));
  #list = /** @type {HTMLElement} */ (byId("checks"));
  /** @type {{name: string, verdict: Verdict}[]} */
  #found = [];

  constructor() {
    this.#button.addEventListener("click", () => void this.#run());
    byId("copy").addEventListener("click", () => void this.#copy());
    byId("copy").hidden = !navigator.clipboard;
  }

  async #run() {
    const secure = isSecureContext && Boolean(navigator.mediaDevices);
    const sound = secure ? testSound(load("antiphon.audioinput")) : null; // begins in the gesture
    this.#button.disabled = true;
    this.#found = [];
    this.#list.replaceChildren();
    byId("report").hidden = false;
    say("Checking. You will hear three chirps.");
    this.#add("Secure page", checks.secureContext(secure, location.origin));
    const reached = await testServer(endpoint(), load("antiphon.key"));
    this.#add("Server", checks.server(reached.status, reached.reason));
    if (reached.tripsMs.length) {
      this.#add("Round trip", checks.roundTrip(reached.tripsMs));
      this.#add("Jitter", checks.jitter(reached.tripsMs));
    }
    if (sound) await this.#addSound(sound);
    say(checks.summary(this.#found.map(({ verdict }) => verdict)));
    this.#button.textContent = "Check again";
    this.#button.disabled = false;
  }

  /** @param {Promise<import("./sound-test.js").Heard>} sound */
  async #addSound(sound) {
    try {
      const heard = await sound;
      this.#add("Microphone", checks.permission(heard.error, heard.label));
      this.#add("Sample rate", checks.sampleRate(heard.contextHz, heard.settings.sampleRate));
      this.#add("Playing", checks.playback(heard.underruns, heard.playedS, heard.latencyMs));
      if (heard.error) return;
      this.#add("Hearing", checks.hearing(heard.rmsDbfs));
      this.#add("Echo cancellation", checks.echoCancellation(heard.settings.echoCancellation));
      this.#add("Echo", checks.echoLeak(heard.leak));
    } catch (error) {
      const name = error instanceof Error ? `${error.name}: ${error.message}` : "unknown error";
      const fix = "Use a current browser; Antiphon needs AudioWorklet.";
      this.#add("Sound", { level: "fail", text: `The audio could not be started (${name}).`, fix });
    }
  }

  /** @param {string} name @param {Verdict} verdict */
  #add(name, verdict) {
    this.#found.push({ name, verdict });
    const line = document.createElement("li");
    line.className = verdict.level;
    const parts = { h2: name, b: WORDS[verdict.level], p: verdict.text };
    for (const [tag, text] of Object.entries(parts)) {
      const element = document.createElement(tag);
      element.textContent = text;
      line.append(element);
    }
    if (verdict.fix) {
      const fix = document.createElement("p");
      fix.className = "fix";
      fix.textContent = verdict.fix;
      line.append(fix);
    }
    this.#list.append(line);
  }

  async #copy() {
    const lines = this.#found.map(({ name, verdict }) => {
      return `${verdict.level.toUpperCase().padEnd(5)}${name}: ${verdict.text} ${verdict.fix ?? ""}`.trim();
    });
    await navigator.clipboard.writeText([navigator.userAgent, ...lines, ""].join("\n"));
    say("Copied.");
  }
}

/** @param {string} text */
function say(text) {
  byId("summary").textContent = text;
}

function endpoint() {
  const url = new URL("v1/realtime", document.baseURI);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}

document.documentElement.dataset["theme"] = parse(load("antiphon.settings")).theme;
new Doctor();
Object.defineProperty(window, "antiphon", { value: Object.freeze({ stats: () => ({}) }) });
