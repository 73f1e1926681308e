// @ts-check
/**
 * The page's sound: opens the audio, sends what the microphone hears, plays what comes, and gives
 * everything back. What is to happen is decided in `session.js`.
 */

import { Audio } from "./audio.js";
import { CAPTURE_RATE_HZ } from "./capture-line.js";
import { HEADER_BYTES } from "./frames.js";
import { microphoneProblem, microphoneWarnings } from "./problems.js";
import { PlaybackStats } from "./stats.js";

/** @typedef {import("./commands.js").Command} Command */
/** @typedef {import("./encoded-capture.js").EncodedChunk} EncodedChunk */
/** @typedef {import("./player.js").Report} Report */

/** A context asks for its code once: without it the audio is opened anew, so often. */
const REOPENINGS = 5;

/**
 * @typedef {object} Parts what the sound works with
 * @property {import("./session.js").Session} session
 * @property {import("./connection.js").Connection} connection
 * @property {import("./recorder.js").Recorder} recorder
 * @property {import("./devices.js").Devices} devices
 * @property {(commands: Command[]) => void} run carries out commands and shows the session
 * @property {() => boolean} gated silence is not sent
 * @property {() => void} onStarted a reply begins to be heard
 * @property {(audio: Audio) => void} onOpened
 * @property {() => void} onClosed
 */

export class Sound {
  #parts;
  /** @type {Audio | null} */
  #audio = null;
  #stats = new PlaybackStats();
  /** The socket that the compressed stream began on. */
  #encodedOn = 0;
  /** Capture time until which the recorder has the microphone. @type {number | null} */
  #recordedUs = null;
  #recordedIn = 0;
  #silent = false;
  #reopened = 0;
  #reopening = 0;

  /** @param {Parts} parts */
  constructor(parts) {
    this.#parts = parts;
  }

  get outputLevel() {
    return this.#audio?.outputLevel ?? 0;
  }

  get stats() {
    return { ...this.#stats, ...this.#stats.totals, outputLatencyMs: this.#audio?.outputLatencyMs ?? 0 };
  }

  /** @param {boolean} muted */
  set muted(muted) {
    const audio = this.#audio;
    if (!audio) return;
    audio.muted = muted;
    audio.uplink = this.#parts.session.uplink;
    audio.gated = this.#parts.gated();
  }

  /** Called in the gesture itself, so that the browser lets the audio run. */
  open() {
    if (this.#audio) return;
    const { session, devices, run, onOpened } = this.#parts;
    const audio = new Audio({
      onChunk: (buffer, timestampUs, voiced) => this.#onChunk(buffer, timestampUs, voiced),
      onSilence: (untilUs) => this.#onSilence(untilUs),
      onEncoded: (chunk) => this.#onEncoded(chunk),
      onReport: (report) => this.#onReport(audio, report),
      onMicrophoneLost: () => this.startMicrophone(),
      onState: (state) => {
        session.onAudioState(state);
        run([]);
      },
      onFrozen: () => this.#openAnew(),
      onFailed: (error) => this.#onFailed(audio, error),
    });
    this.#audio = audio;
    if (devices.speaker) audio.setSpeaker(devices.speaker).catch(() => undefined);
    onOpened(audio);
  }

  close() {
    clearTimeout(this.#reopening);
    this.#reopening = 0;
    this.#audio?.close();
    this.#audio = null;
    this.#parts.onClosed();
  }

  async startMicrophone() {
    const audio = this.#audio;
    if (!audio) return;
    const { session, devices, run } = this.#parts;
    try {
      const { settings, label } = await audio.startMicrophone(devices.microphone);
      session.onMicrophoneOn(microphoneWarnings(settings, label));
      run([]);
      await devices.refresh();
    } catch (error) {
      this.#onFailed(audio, error);
    }
  }

  /** @param {import("./devices.js").Kind} kind @param {string} deviceId */
  changeDevice(kind, deviceId) {
    const audio = this.#audio;
    if (!audio) return;
    if (kind === "audiooutput") {
      audio.setSpeaker(deviceId).catch((error) => this.#onFailed(audio, error));
    } else if (this.#parts.session.microphoneOn) {
      void this.startMicrophone();
    }
  }

  /** Microphones came or went: take the one that is wanted, if it is another than the open one. */
  onDevicesChanged() {
    const { session, devices } = this.#parts;
    const open = this.#audio?.microphoneSettings;
    if (session.microphoneOn && open && devices.wantsOther(open)) void this.startMicrophone();
  }

  /** Audio of the server has come. @param {import("./frames.js").AudioFrame} frame */
  onAudio({ stream, timestamp, pcm }) {
    const { session, recorder } = this.#parts;
    if (!session.accepts(stream)) return;
    recorder.audio(stream, pcm);
    const audio = this.#audio;
    if (!audio) return;
    session.onAudioArrived(stream, audio.clockMs);
    audio.play({ type: "audio", stream, firstSample: timestamp, pcm }, [pcm.buffer]);
  }

  /** @param {Command} command one that is about sound */
  execute(command) {
    switch (command.do) {
      case "start-microphone":
        return void this.startMicrophone();
      case "stop-audio":
        return this.close();
      case "open-stream": {
        const { stream, itemId, sampleRateHz } = command;
        this.#parts.recorder.open(stream, itemId, sampleRateHz);
        return this.#audio?.play({ type: "open", stream, sampleRateHz });
      }
      case "end-stream":
        return this.#audio?.play({ type: "end", stream: command.stream });
      case "flush":
        return this.#audio?.play({ type: "flush" });
      case "duck":
        return this.#audio?.setLoudness(command.to);
    }
  }

  async #openAnew() {
    const waiting = this.#audio?.waiting ?? [];
    this.close();
    this.open();
    for (const command of waiting) this.#audio?.play(command);
    if (this.#parts.session.voice) await this.startMicrophone();
  }

  /** @param {ArrayBuffer} buffer @param {number} timestampUs @param {boolean} voiced */
  #onChunk(buffer, timestampUs, voiced) {
    const { session, connection, recorder, run } = this.#parts;
    const ducks = session.onMicrophone(voiced, performance.now());
    if (ducks.length) run(ducks);
    if (!session.uplink) return;
    const { framesSent } = connection;
    const fits = connection.sendMicrophone(buffer, timestampUs, CAPTURE_RATE_HZ);
    if (connection.framesSent > framesSent) {
      const pcm = new Int16Array(buffer, HEADER_BYTES);
      this.#recordSilence(timestampUs);
      this.#silent = false;
      recorder.microphone(pcm, CAPTURE_RATE_HZ, performance.now());
      this.#recordedUs = timestampUs + Math.round((pcm.length * 1e6) / CAPTURE_RATE_HZ);
    }
    if (!fits) this.#tooSlow();
  }

  /** @param {number} untilUs */
  #onSilence(untilUs) {
    const { session, connection } = this.#parts;
    if (!session.uplink || !connection.takesMore) return;
    connection.sendSilence(untilUs);
    this.#silent = true;
    this.#recordSilence(untilUs);
  }

  /** The recorder counts as the server does: announced silence too. @param {number} untilUs */
  #recordSilence(untilUs) {
    const { connection, recorder } = this.#parts;
    if (this.#recordedIn !== connection.sessions) this.#recordedUs = null;
    this.#recordedIn = connection.sessions;
    if (this.#silent && this.#recordedUs !== null && untilUs > this.#recordedUs) {
      recorder.silence((untilUs - this.#recordedUs) / 1000);
    }
    if (this.#silent) this.#recordedUs = untilUs;
  }

  /** @param {EncodedChunk} chunk @returns {boolean} */
  #onEncoded({ content, mimeType, first, timestampUs }) {
    const { connection } = this.#parts;
    if (first && connection.ready) {
      connection.send({ type: "antiphon.encoded_audio.start", mime_type: mimeType });
      this.#encodedOn = connection.sockets;
    }
    if (!connection.ready || this.#encodedOn !== connection.sockets) return false;
    const sent = connection.sendEncoded(content, timestampUs);
    if (!sent) this.#tooSlow();
    return sent;
  }

  #tooSlow() {
    this.#parts.session.onUplinkSlow();
    this.#parts.run([]);
  }

  /** @param {Audio} audio @param {Report} report */
  #onReport(audio, report) {
    const { session, recorder, run, onStarted } = this.#parts;
    this.#stats.add(report);
    const nowMs = performance.now();
    recorder.playback(report, nowMs);
    if (report.event === "started") onStarted();
    run(session.onPlayback(report, audio.outputLatencyMs, nowMs));
  }

  /** @param {Audio} audio @param {unknown} error */
  #onFailed(audio, error) {
    const name = error instanceof Error ? error.name : "unknown error";
    if (audio !== this.#audio || name === "Superseded" || this.#reopening) return;
    if (name === "AbortError" && !audio.loaded && this.#reopened < REOPENINGS) {
      this.#reopening = setTimeout(() => this.#openAnew(), 300 * 2 ** this.#reopened++);
      return;
    }
    this.#parts.run(this.#parts.session.onMicrophoneFailed(microphoneProblem(name)));
  }
}
