// @ts-check
/** Wires the page: gestures, socket and audio in; the session decides; commands out. */

import { Audio } from "./audio.js";
import { Connection } from "./connection.js";
import { Devices } from "./devices.js";
import { Panel } from "./panel.js";
import { microphoneProblem } from "./problems.js";
import { Score } from "./score.js";
import { Session } from "./session.js";
import { PlaybackStats } from "./stats.js";
import { View } from "./view.js";

/** @typedef {import("./session.js").Command} Command */

/** @param {string} id */
const byId = (id) => /** @type {any} */ (document.getElementById(id));

class Page {
  #session = new Session(newItemId);
  #view = new View();
  #panel = new Panel();
  #score = new Score(byId("score"));
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
      this.#panel.log("in", event.type, nowMs);
      this.#run(this.#session.onEvent(event, nowMs));
    },
    onAudio: ({ stream, timestamp, pcm }) => {
      if (!this.#session.accepts(stream)) return;
      if (this.#audio) this.#session.onAudioArrived(stream, this.#audio.clockMs);
      this.#audio?.play({ type: "audio", stream, firstSample: timestamp, pcm }, [pcm.buffer]);
    },
  });

  constructor() {
    const view = this.#view;
    view.talk.addEventListener("click", () => {
      this.#openAudio();
      this.#run(this.#session.talk());
    });
    view.mute.addEventListener("click", () => {
      this.#session.setMuted(!this.#session.muted);
      this.#run([]);
    });
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
      if (event.key !== "Escape" || this.#panel.closeFocused()) return;
      this.#run(this.#session.stop());
    });
    this.#run([]);
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
    });
  }

  /** @param {Command[]} commands */
  #run(commands) {
    for (const command of commands) this.#execute(command);
    if (this.#audio) this.#audio.muted = this.#session.muted;
    this.#view.render(this.#session);
    this.#panel.renderTurns(this.#session.turns.turns);
  }

  /** @param {Command} command */
  #execute(command) {
    switch (command.do) {
      case "connect":
        return this.#connection.open();
      case "disconnect":
        return this.#connection.close();
      case "start-microphone":
        return void this.#startMicrophone();
      case "stop-audio":
        return this.#closeAudio();
      case "send":
        this.#panel.log("out", String(command.event["type"]), performance.now());
        return this.#connection.send(command.event);
      case "open-stream": {
        const { stream, sampleRateHz } = command;
        return this.#audio?.play({ type: "open", stream, sampleRateHz });
      }
      case "end-stream":
        return this.#audio?.play({ type: "end", stream: command.stream });
      case "flush":
        return this.#audio?.play({ type: "flush" });
      case "duck":
        return this.#audio?.duck(command.on);
    }
  }

  /** Called in the gesture itself, so that the browser lets the audio run. */
  #openAudio() {
    if (this.#audio) return;
    const audio = new Audio({
      onChunk: (...chunk) => {
        if (this.#connection.sendMicrophone(...chunk)) return;
        this.#session.onUplinkSlow();
        this.#run([]);
      },
      onReport: (report) => {
        this.#stats.add(report);
        const nowMs = performance.now();
        this.#run(this.#session.onPlayback(report, audio.outputLatencyMs, nowMs));
      },
      onMicrophoneLost: () => void this.#startMicrophone(),
      onFailed: (error) => this.#onAudioFailed(audio, error),
    });
    this.#audio = audio;
    if (this.#devices.speaker) audio.setSpeaker(this.#devices.speaker).catch(() => undefined);
    this.#score.start(
      () => ({ you: audio.inputLevel, them: audio.outputLevel }),
      (you, them) => this.#view.setLevel(this.#session.phase === "speaking" ? them : you),
    );
  }

  async #startMicrophone() {
    const audio = this.#audio;
    if (!audio) return;
    try {
      const settings = await audio.startMicrophone(this.#devices.microphone);
      this.#session.onMicrophoneOn();
      this.#run([]);
      await this.#devices.refresh(settings);
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
