// @ts-check
/** Wires the page: gestures, socket and audio in; the session decides; commands out. */

import { AccessKey } from "./access-key.js";
import { CatalogueWatch } from "./catalogue.js";
import { Connection } from "./connection.js";
import { Devices } from "./devices.js";
import { Device } from "./recognition/device.js";
import { Drawers } from "./drawers.js";
import { EventView } from "./event-view.js";
import { Keep, copyText } from "./keep.js";
import { INSECURE, deviceProblem } from "./problems.js";
import { RATE_HZ, Recorder } from "./recorder.js";
import { Replay } from "./replay.js";
import { Score } from "./score.js";
import { Session } from "./session.js";
import { SettingsForm } from "./settings-form.js";
import { listenForShortcuts } from "./shortcuts.js";
import { Sound } from "./sound.js";
import { TalkButton } from "./talk-button.js";
import { View } from "./view.js";
import { WakeLock } from "./wake-lock.js";

/** @typedef {import("./commands.js").Command} Command */

/** Without HTTPS there is neither a microphone nor an audio thread. */
const CAN_PLAY = isSecureContext;

/** @param {string} id */
const byId = (id) => /** @type {any} */ (document.getElementById(id));

class Page {
  #session = new Session(newItemId);
  #recorder = new Recorder();
  #replay = new Replay(() => this.#run([]));
  #view = new View({
    has: (itemId) => this.#recorder.clip(itemId) !== null,
    play: (itemId) => this.#playAgain(itemId),
  });
  /** @type {import("./latency-view.js").LatencyView | null} */
  #latency = null;
  #events = new EventView(copyText);
  /** @type {import("./spectrogram.js").Spectrogram | null} */
  #spectrogram = null;
  /** @type {import("./spectrogram.js").Source | null} */
  #analysers = null;
  #drawers = new Drawers(["details", "panel"]);
  #settings = new SettingsForm((events) => this.#onSettings(events));
  #wakeLock = new WakeLock();
  #accessKey = new AccessKey(() => this.#tap());
  #score = new Score(byId("score"));
  #device = new Device({
    onHeard: (heard) => this.#run(this.#session.onHeard(heard, performance.now())),
    onState: (text) => {
      byId("device-state").textContent = text;
    },
    onFailed: (message) => this.#onDeviceFailed(message),
  });
  /** @type {import("./language-model/language-model.js").LanguageModel | null} */
  #languageModel = null;
  #catalogue = new CatalogueWatch(() => this.#accessKey.key, (catalogue) => {
    this.#settings.showVoices(catalogue.voices);
    this.#device.place = catalogue.device_recognition;
    this.#onSettings([]);
    byId("simulated").hidden = !catalogue.simulated;
    if (catalogue.owner) void this.#lookForModels();
  });
  #devices = new Devices(
    byId("microphone"), byId("speaker"), byId("speaker-row"), byId("device-hint"),
    (kind, deviceId) => this.#sound.changeDevice(kind, deviceId),
    () => this.#sound.onDevicesChanged(),
  );
  #connection = new Connection(endpoint(), {
    onLink: (link) => this.#run(this.#session.onLink(link)),
    onEvent: (event) => {
      const nowMs = performance.now();
      this.#events.add("in", event, nowMs);
      this.#recorder.onEvent(event);
      this.#catalogue.onEvent(event);
      const { preferences } = this.#settings;
      this.#onSettings(preferences.onEvent(event));
      this.#run(preferences.owns(event) ? [] : this.#session.onEvent(event, nowMs));
    },
    onAudio: (frame) => this.#sound.onAudio(frame),
  });
  #sound = new Sound({
    session: this.#session,
    connection: this.#connection,
    recorder: this.#recorder,
    devices: this.#devices,
    run: (commands) => this.#run(commands),
    gated: () => this.#settings.preferences.values.gated && !this.#settings.preferences.pushToTalk,
    onStarted: () => this.#replay.stop(),
    onOpened: (audio) => {
      this.#analysers = audio.analysers;
      this.#spectrogram?.listen(audio.analysers);
      void this.#device.listen(audio.analysers.you);
      this.#score.start(
        () => ({ you: audio.inputLevel, them: audio.outputLevel }),
        (you, them) => this.#view.setLevel(this.#session.phase === "speaking" ? them : you),
      );
    },
    onClosed: () => {
      this.#score.stop();
      this.#analysers = null;
      this.#spectrogram?.listen(null);
      void this.#device.listen(null);
      this.#view.setLevel(0);
    },
  });

  constructor() {
    const view = this.#view;
    new TalkButton(view.talk, {
      onTap: () => this.#tap(),
      onPress: () => {
        this.#replay.stop();
        this.#recorder.hold();
        this.#run(this.#session.press(performance.now()));
      },
      onRelease: () => this.#run(this.#session.release(performance.now())),
      holds: () => this.#session.holds,
      takesSpace: () => {
        const { voice, holds } = this.#session;
        return holds || (!voice && this.#settings.preferences.values.shortcuts);
      },
    });
    view.mute.addEventListener("click", () => this.#toggleMute());
    view.end.addEventListener("click", () => {
      this.#run(this.#session.stop());
      view.talk.focus();
    });
    view.dismiss.addEventListener("click", () => {
      this.#session.dismissProblem();
      this.#run([]);
    });
    view.composer.addEventListener("submit", (event) => {
      event.preventDefault();
      if (CAN_PLAY) this.#sound.open();
      this.#run(this.#session.sendText(view.text.value, performance.now()));
      view.text.value = "";
    });
    document.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || this.#drawers.closeFocused()) return;
      this.#run(this.#session.stop());
    });
    listenForShortcuts(
      {
        m: () => this.#toggleMute(),
        "/": () => view.text.focus(),
        "?": () => {
          this.#drawers.show("panel", true);
          byId("keyboard").scrollIntoView();
        },
      },
      () => this.#settings.preferences.values.shortcuts,
    );
    byId("details-toggle").addEventListener("click", () => void this.#loadDetails());
    new Keep(() => this.#session.transcript, this.#recorder, () => {
      this.#replay.stop();
      this.#run(this.#session.clear());
    });
    this.#settings.preferences.textOnly = !CAN_PLAY;
    if (!CAN_PLAY) this.#session.problem = INSECURE;
    this.#onSettings([]);
  }

  /** For tests and the curious; changes nothing. */
  stats() {
    return Object.freeze({
      state: this.#session.phase,
      ...this.#sound.stats,
      framesSent: this.#connection.framesSent,
      framesDropped: this.#connection.framesDropped,
      malformedFrames: this.#connection.malformedFrames,
      outputLevel: this.#sound.outputLevel,
      wakeLock: this.#wakeLock.held,
      replaying: this.#replay.playing,
      recordedBytes: this.#recorder.bytes,
      spectrogram: this.#spectrogram?.running ?? false,
    });
  }

  /** Fetch what the details show once somebody wants to see it. */
  async #loadDetails() {
    const { LatencyView } = await import("./latency-view.js");
    this.#latency ??= new LatencyView();
    this.#latency.render(this.#session.turns.turns);
    const { Spectrogram } = await import("./spectrogram.js");
    this.#spectrogram ??= new Spectrogram(byId("spectrogram"), (maker) => {
      byId("spectrogram-maker").textContent = ` Made with ${maker}.`;
    });
    this.#spectrogram.listen(this.#analysers);
  }

  /** Only whoever may change the server is asked whether a better model should answer. */
  async #lookForModels() {
    const { LanguageModel } = await import("./language-model/language-model.js");
    this.#languageModel ??= new LanguageModel(() => this.#accessKey.key);
    await this.#languageModel.look();
  }

  /** The button, or what stands for it, was tapped. */
  #tap() {
    if (!CAN_PLAY) {
      this.#run(this.#session.onMicrophoneFailed(INSECURE));
      return;
    }
    this.#sound.open();
    this.#run(this.#session.talk());
  }

  /** @param {string} itemId */
  #playAgain(itemId) {
    const clip = this.#recorder.clip(itemId);
    if (clip) this.#replay.play(clip, RATE_HZ);
  }

  #toggleMute() {
    const { voice, holds, muted } = this.#session;
    if (!voice || holds) return;
    this.#session.setMuted(!muted);
    this.#run([]);
  }

  /** @param {Record<string, unknown>[]} events what the settings want the server to know */
  #onSettings(events) {
    const { preferences } = this.#settings;
    this.#session.setPushToTalk(preferences.pushToTalk);
    this.#device.configure(preferences.values);
    this.#session.recognisesHere = this.#device.active;
    if (this.#session.link !== "open") events = [];
    this.#run(events.map((event) => ({ do: "send", event })));
    this.#settings.render();
  }

  /** @param {Command[]} commands */
  #run(commands) {
    for (const command of commands) this.#execute(command);
    // What is played again must not be heard as words.
    this.#sound.muted = this.#session.muted || this.#replay.playing;
    this.#device.listening = this.#session.listens && !this.#session.muted && !this.#replay.playing;
    this.#wakeLock.wanted = this.#session.voice;
    this.#accessKey.ask(this.#session.problem?.wantsKey === true);
    this.#view.render(this.#session);
    this.#latency?.render(this.#session.turns.turns);
  }

  /** @param {Command} command */
  #execute(command) {
    switch (command.do) {
      case "connect":
        this.#connection.key = this.#accessKey.key;
        return this.#connection.open();
      case "disconnect":
        return this.#connection.close();
      case "send":
        this.#events.add("out", command.event, performance.now());
        return this.#connection.send(command.event);
      case "end-utterance":
        return this.#device.end();
      default:
        return this.#sound.execute(command);
    }
  }

  /** @param {string} message */
  #onDeviceFailed(message) {
    this.#settings.recogniseOnServer();
    this.#session.problem = deviceProblem(message);
    this.#run([]);
  }
}

function endpoint() {
  const url = new URL("v1/realtime", document.baseURI);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}

function newItemId() {
  const bytes = crypto.getRandomValues(new Uint8Array(10));
  return `item_${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

const page = new Page();
Object.defineProperty(window, "antiphon", { value: Object.freeze({ stats: () => page.stats() }) });
