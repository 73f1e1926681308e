// @ts-check
/** Wires the page: gestures, socket and audio in; the session decides; commands out. */

import { AccessKey } from "./access-key.js";
import { Audio } from "./audio.js";
import { CatalogueWatch } from "./catalogue.js";
import { Connection } from "./connection.js";
import { Devices } from "./devices.js";
import { Device } from "./recognition/device.js";
import { Drawers } from "./drawers.js";
import { HEADER_BYTES } from "./frames.js";
import { EventView } from "./event-view.js";
import { Keep, copyText } from "./keep.js";
import { LatencyView } from "./latency-view.js";
import { INSECURE, deviceProblem, microphoneProblem, microphoneWarnings } from "./problems.js";
import { RATE_HZ, Recorder } from "./recorder.js";
import { Replay } from "./replay.js";
import { Score } from "./score.js";
import { Session } from "./session.js";
import { SettingsForm } from "./settings-form.js";
import { listenForShortcuts } from "./shortcuts.js";
import { Spectrogram } from "./spectrogram.js";
import { PlaybackStats } from "./stats.js";
import { TalkButton } from "./talk-button.js";
import { View } from "./view.js";

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
  #latency = new LatencyView();
  #events = new EventView(copyText);
  #spectrogram = new Spectrogram(byId("spectrogram"), (maker) => {
    byId("spectrogram-maker").textContent = ` Made with ${maker}.`;
  });
  #drawers = new Drawers(["details", "panel"]);
  #settings = new SettingsForm((events) => this.#onSettings(events));
  #accessKey = new AccessKey(() => this.#tap());
  #score = new Score(byId("score"));
  #device = new Device({
    onHeard: (heard) => this.#run(this.#session.onHeard(heard, performance.now())),
    onState: (text) => {
      byId("device-state").textContent = text;
    },
    onFailed: (message) => this.#onDeviceFailed(message),
  });
  #catalogue = new CatalogueWatch(({ voices, simulated, device_recognition }) => {
    this.#settings.showVoices(voices);
    this.#device.place = device_recognition;
    this.#onSettings([]);
    byId("simulated").hidden = !simulated;
  });
  #stats = new PlaybackStats();
  /** @type {Audio | null} */
  #audio = null;
  #devices = new Devices(
    byId("microphone"), byId("speaker"), byId("speaker-row"), byId("device-hint"),
    (kind, deviceId) => this.#changeDevice(kind, deviceId),
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
    onAudio: ({ stream, timestamp, pcm }) => {
      if (!this.#session.accepts(stream)) return;
      this.#recorder.audio(stream, pcm);
      if (this.#audio) this.#session.onAudioArrived(stream, this.#audio.clockMs);
      this.#audio?.play({ type: "audio", stream, firstSample: timestamp, pcm }, [pcm.buffer]);
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
      this.#openAudio();
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
    new Keep(() => this.#session.transcript, this.#recorder);
    this.#settings.preferences.textOnly = !CAN_PLAY;
    if (!CAN_PLAY) this.#session.problem = INSECURE;
    this.#onSettings([]);
  }

  /** For tests and the curious; changes nothing. */
  stats() {
    return Object.freeze({
      state: this.#session.phase,
      ...this.#stats.totals,
      bufferedSamples: this.#stats.bufferedSamples,
      framesSent: this.#connection.framesSent,
      framesDropped: this.#connection.framesDropped,
      malformedFrames: this.#connection.malformedFrames,
      outputLevel: this.#audio?.outputLevel ?? 0,
      replaying: this.#replay.playing,
      recordedBytes: this.#recorder.bytes,
      spectrogram: this.#spectrogram.running,
    });
  }

  /** The button, or what stands for it, was tapped. */
  #tap() {
    if (!CAN_PLAY) {
      this.#run(this.#session.onMicrophoneFailed(INSECURE));
      return;
    }
    this.#openAudio();
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
    if (this.#audio) this.#audio.muted = this.#session.muted || this.#replay.playing;
    this.#device.listening = this.#session.listens && !this.#session.muted && !this.#replay.playing;
    this.#accessKey.ask(this.#session.problem?.wantsKey === true);
    this.#view.render(this.#session);
    this.#latency.render(this.#session.turns.turns);
  }

  /** @param {Command} command */
  #execute(command) {
    switch (command.do) {
      case "connect":
        this.#connection.key = this.#accessKey.key;
        return this.#connection.open();
      case "disconnect":
        return this.#connection.close();
      case "start-microphone":
        return void this.#startMicrophone();
      case "stop-audio":
        return this.#closeAudio();
      case "send":
        this.#events.add("out", command.event, performance.now());
        return this.#connection.send(command.event);
      case "open-stream": {
        const { stream, sampleRateHz } = command;
        this.#recorder.open(stream, command.itemId, sampleRateHz);
        return this.#audio?.play({ type: "open", stream, sampleRateHz });
      }
      case "end-stream":
        return this.#audio?.play({ type: "end", stream: command.stream });
      case "end-utterance":
        return this.#device.end();
      case "flush":
        return this.#audio?.play({ type: "flush" });
      case "duck":
        return this.#audio?.duck(command.on);
    }
  }

  /** Called in the gesture itself, so that the browser lets the audio run. */
  #openAudio() {
    if (this.#audio || !CAN_PLAY) return;
    const audio = new Audio({
      onChunk: (buffer, timestampUs, sampleRateHz) => {
        if (!this.#session.uplink) return;
        const { framesSent } = this.#connection;
        const fits = this.#connection.sendMicrophone(buffer, timestampUs, sampleRateHz);
        if (this.#connection.framesSent > framesSent) {
          const pcm = new Int16Array(buffer, HEADER_BYTES);
          this.#recorder.microphone(pcm, sampleRateHz, performance.now());
        }
        if (fits) return;
        this.#session.onUplinkSlow();
        this.#run([]);
      },
      onReport: (report) => {
        this.#stats.add(report);
        const nowMs = performance.now();
        this.#recorder.playback(report, nowMs);
        if (report.event === "started") this.#replay.stop();
        this.#run(this.#session.onPlayback(report, audio.outputLatencyMs, nowMs));
      },
      onMicrophoneLost: () => void this.#startMicrophone(),
      onFailed: (error) => this.#onAudioFailed(audio, error),
    });
    this.#audio = audio;
    if (this.#devices.speaker) audio.setSpeaker(this.#devices.speaker).catch(() => undefined);
    this.#spectrogram.listen(audio.analysers);
    void this.#device.listen(audio.analysers.you);
    this.#score.start(
      () => ({ you: audio.inputLevel, them: audio.outputLevel }),
      (you, them) => this.#view.setLevel(this.#session.phase === "speaking" ? them : you),
    );
  }

  async #startMicrophone() {
    const audio = this.#audio;
    if (!audio) return;
    try {
      const { settings, label } = await audio.startMicrophone(this.#devices.microphone);
      this.#session.onMicrophoneOn(microphoneWarnings(settings, label));
      this.#run([]);
      await this.#devices.refresh();
    } catch (error) {
      this.#onAudioFailed(audio, error);
    }
  }

  /** @param {Audio} audio @param {unknown} error */
  #onAudioFailed(audio, error) {
    const name = error instanceof Error ? error.name : "unknown error";
    if (audio !== this.#audio || name === "Superseded") return;
    this.#run(this.#session.onMicrophoneFailed(microphoneProblem(name)));
  }

  /** @param {string} message */
  #onDeviceFailed(message) {
    this.#settings.recogniseOnServer();
    this.#session.problem = deviceProblem(message);
    this.#run([]);
  }

  /** @param {"audioinput" | "audiooutput"} kind @param {string} deviceId */
  #changeDevice(kind, deviceId) {
    const audio = this.#audio;
    if (!audio) return;
    if (kind === "audiooutput") {
      audio.setSpeaker(deviceId).catch((error) => this.#onAudioFailed(audio, error));
    } else if (this.#session.microphoneOn) {
      void this.#startMicrophone();
    }
  }

  #closeAudio() {
    this.#audio?.close();
    this.#audio = null;
    this.#score.stop();
    this.#spectrogram.listen(null);
    void this.#device.listen(null);
    this.#view.setLevel(0);
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
