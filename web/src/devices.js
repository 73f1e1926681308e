// @ts-check
/** The microphone and loudspeaker pickers, kept in this browser's storage. */

import { load, save } from "./storage.js";

/** @typedef {"audioinput" | "audiooutput"} Kind */

const CAN_CHOOSE_SPEAKER = typeof AudioContext !== "undefined" && "setSinkId" in AudioContext.prototype;

/** One picker. */
class Picker {
  /** @param {HTMLSelectElement} select @param {Kind} kind @param {string} fallback */
  constructor(select, kind, fallback) {
    this.select = select;
    this.kind = kind;
    this.fallback = fallback;
    this.key = `antiphon.${kind}`;
    this.chosen = load(this.key);
  }

  /** @param {MediaDeviceInfo[]} devices */
  fill(devices) {
    const known = devices.filter(({ kind, deviceId }) => kind === this.kind && deviceId);
    const options = [new Option(this.fallback, "")];
    for (const { deviceId, label } of known) {
      if (deviceId !== "default") options.push(new Option(label || "Unnamed device", deviceId));
    }
    if (!options.some(({ value }) => value === this.chosen)) {
      options.push(new Option("Your last choice (not connected)", this.chosen));
    }
    this.select.replaceChildren(...options);
    this.select.value = this.chosen;
  }
}

export class Devices {
  #microphone;
  #speaker;
  #hint;

  /**
   * @param {HTMLSelectElement} microphone @param {HTMLSelectElement} speaker
   * @param {HTMLElement} speakerRow hidden where the browser cannot choose
   * @param {HTMLElement} hint
   * @param {(kind: Kind, deviceId: string) => void} onChange
   */
  constructor(microphone, speaker, speakerRow, hint, onChange) {
    this.#microphone = new Picker(microphone, "audioinput", "Browser's default");
    this.#speaker = new Picker(speaker, "audiooutput", "Browser's default");
    this.#hint = hint;
    speakerRow.hidden = !CAN_CHOOSE_SPEAKER;
    for (const picker of [this.#microphone, this.#speaker]) {
      picker.select.addEventListener("change", () => {
        picker.chosen = picker.select.value;
        save(picker.key, picker.chosen);
        onChange(picker.kind, picker.chosen);
      });
    }
    navigator.mediaDevices?.addEventListener("devicechange", () => void this.refresh());
    void this.refresh();
  }

  get microphone() {
    return this.#microphone.chosen;
  }

  get speaker() {
    return this.#speaker.chosen;
  }

  async refresh() {
    const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
    this.#microphone.fill(devices);
    this.#speaker.fill(devices);
    const named = devices.some(({ label }) => label);
    this.#hint.textContent = named
      ? ""
      : "The browser names the devices once the microphone is allowed.";
  }
}
