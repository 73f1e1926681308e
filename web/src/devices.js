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
  /** @type {MediaDeviceInfo[]} */
  #known = [];

  /**
   * @param {HTMLSelectElement} microphone @param {HTMLSelectElement} speaker
   * @param {HTMLElement} speakerRow hidden where the browser cannot choose
   * @param {HTMLElement} hint
   * @param {(kind: Kind, deviceId: string) => void} onChange
   * @param {() => void} onPlugged a device came or went
   */
  constructor(microphone, speaker, speakerRow, hint, onChange, onPlugged) {
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
    navigator.mediaDevices?.addEventListener("devicechange", async () => {
      await this.refresh();
      onPlugged();
    });
    void this.refresh();
  }

  get microphone() {
    return this.#microphone.chosen;
  }

  get speaker() {
    return this.#speaker.chosen;
  }

  /**
   * Whether another microphone should be open than this one: the chosen one is there again, or the
   * system's default has changed.
   * @param {MediaTrackSettings} open
   */
  wantsOther({ deviceId, groupId }) {
    const inputs = this.#known.filter(({ kind }) => kind === "audioinput");
    const chosen = inputs.find((device) => device.deviceId === this.microphone);
    if (chosen?.deviceId) return chosen.deviceId !== deviceId;
    const byDefault = inputs.find((device) => device.deviceId === "default");
    return Boolean(byDefault?.groupId && groupId && byDefault.groupId !== groupId);
  }

  async refresh() {
    const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
    this.#known = devices;
    this.#microphone.fill(devices);
    this.#speaker.fill(devices);
    const named = devices.some(({ label }) => label);
    this.#hint.textContent = named
      ? ""
      : "The browser names the devices once the microphone is allowed.";
  }
}
