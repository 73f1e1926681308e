// @ts-check
/**
 * The audio graph: microphone -> capture -> chunks; playback -> gain -> loudspeaker. One AudioContext
 * at the device's own rate; resampling happens in the playback node (down) and in the gateway (up).
 * Without AudioWorklet a MediaRecorder captures.
 */

import { EncodedCapture } from "./encoded-capture.js";
import { Tap } from "./level.js";
import { Microphone } from "./microphone.js";
import { HAS_WORKLETS, createPlayback } from "./playback-node.js";

/** @typedef {import("./player.js").Report} Report */
/** @typedef {import("./player.js").PlaybackCommand} PlaybackCommand */

const DUCKED_GAIN = 0.126; // -18 dB
/** The gain is within 1 dB of its aim after 50 ms, and never jumps. */
const DUCK_TIME_CONSTANT_S = 0.012;

/**
 * @typedef {object} Listener
 * @property {(buffer: ArrayBuffer, timestampUs: number, sampleRateHz: number) => void} onChunk
 *   the buffer is taken back when the call returns
 * @property {(chunk: import("./encoded-capture.js").EncodedChunk) => boolean} onEncoded where there
 *   is no AudioWorklet; false: the chunk was lost
 * @property {(report: Report) => void} onReport
 * @property {() => void} onMicrophoneLost the device went away
 * @property {(error: unknown) => void} onFailed the graph did not start
 */

export class Audio {
  #context;
  #listener;
  #gain;
  #input;
  #output;
  /** @type {Promise<import("./playback-node.js").PlaybackNode>} */
  #playback;
  #playbackLatencyMs = 0;
  /** @type {Promise<void>} */
  #captureModule;
  /** @type {AudioWorkletNode | null} */
  #capture = null;
  /** @type {EncodedCapture | null} */
  #encoded = null;
  #microphone;
  #muted = false;
  #uplink = true;

  /**
   * Must be called in a gesture of the user, before anything is awaited: elsewhere the browser
   * leaves the context suspended.
   * @param {Listener} listener
   */
  constructor(listener) {
    this.#listener = listener;
    const { audioSession } = /** @type {any} */ (navigator);
    if (audioSession) audioSession.type = "play-and-record"; // iOS: the loudspeaker stays on
    this.#context = new AudioContext({ latencyHint: "interactive" });
    void this.#context.resume();
    this.#context.onstatechange = () => this.#onStateChange();
    this.#input = new Tap(this.#context);
    this.#output = new Tap(this.#context);
    this.#gain = this.#context.createGain();
    this.#gain.connect(this.#output.node).connect(this.#context.destination);
    this.#playback = this.#openPlayback();
    this.#captureModule = HAS_WORKLETS
      ? this.#context.audioWorklet.addModule(new URL("worklets/capture.js", import.meta.url))
      : Promise.resolve();
    const opened = Promise.all([this.#playback, this.#captureModule]);
    opened.catch((error) => listener.onFailed(error));
    this.#microphone = new Microphone(() => listener.onMicrophoneLost());
  }

  get sampleRateHz() {
    return this.#context.sampleRate;
  }

  /** The clock of the microphone's timestamps. */
  get clockMs() {
    return this.#context.currentTime * 1000;
  }

  /** Time a sample takes from the worklet to the loudspeaker. */
  get outputLatencyMs() {
    const { outputLatency, baseLatency } = this.#context;
    return ((outputLatency || 0) + (baseLatency || 0)) * 1000 + this.#playbackLatencyMs;
  }

  /** What the microphone hears is replaced by silence. */
  get muted() {
    return this.#muted;
  }

  set muted(muted) {
    this.#muted = muted;
    this.#applyToEncoder();
  }

  /** Whether what the microphone hears is for the server. @param {boolean} wanted */
  set uplink(wanted) {
    this.#uplink = wanted;
    this.#applyToEncoder();
  }

  /** Where both sides can be looked at. */
  get analysers() {
    return { you: this.#input.node, them: this.#output.node };
  }

  get inputLevel() {
    return this.muted ? 0 : this.#input.level();
  }

  get outputLevel() {
    return this.#output.level();
  }

  /**
   * Start the microphone, or change to another one.
   * @param {string} deviceId "" for the browser's choice
   * @returns {Promise<{settings: MediaTrackSettings, label: string}>} what the browser gave
   */
  async startMicrophone(deviceId) {
    await Promise.all([this.#playback, this.#captureModule]);
    const source = await this.#microphone.open(this.#context, deviceId);
    source.connect(this.#input.node);
    if (HAS_WORKLETS) {
      this.#capture ??= this.#createCapture();
      source.connect(this.#capture);
    } else {
      this.#encode();
    }
    const { settings, label } = this.#microphone;
    return { settings, label };
  }

  /** @param {PlaybackCommand} command @param {Transferable[]} [transfer] */
  play(command, transfer = []) {
    void this.#playback.then(
      (playback) => playback.post(command, transfer),
      () => undefined, // told by onFailed
    );
  }

  /** Play quietly, or as before again. @param {boolean} on */
  duck(on) {
    const { currentTime } = this.#context;
    this.#gain.gain.setTargetAtTime(on ? DUCKED_GAIN : 1, currentTime, DUCK_TIME_CONSTANT_S);
  }

  /** @param {string} deviceId "" for the default. Only where the browser can. */
  async setSpeaker(deviceId) {
    const context = /** @type {any} */ (this.#context);
    if (context.setSinkId) await context.setSinkId(deviceId);
  }

  /** Stop everything and give the devices back. */
  close() {
    this.#encoded?.close();
    this.#microphone.close();
    this.#playback.then((playback) => playback.close(), () => undefined);
    if (this.#capture) this.#capture.port.onmessage = null;
    this.#context.onstatechange = null;
    void this.#context.close();
  }

  async #openPlayback() {
    const playback = await createPlayback(this.#context, (report) =>
      this.#listener.onReport(report),
    );
    this.#playbackLatencyMs = playback.latencyMs;
    playback.node.connect(this.#gain);
    return playback;
  }

  #encode() {
    this.#encoded?.close();
    const stream = /** @type {MediaStream} */ (this.#microphone.stream);
    this.#encoded = new EncodedCapture(stream, () => this.clockMs, this.#listener.onEncoded);
    this.#applyToEncoder();
  }

  #applyToEncoder() {
    if (!this.#encoded) return;
    for (const track of this.#microphone.stream?.getAudioTracks() ?? []) {
      track.enabled = !this.#muted;
    }
    this.#encoded.wanted = this.#uplink;
  }

  #createCapture() {
    const node = new AudioWorkletNode(this.#context, "antiphon-capture", {
      channelCount: 1,
      channelCountMode: "explicit",
      outputChannelCount: [1],
    });
    node.port.onmessage = ({ data: { buffer, firstSample } }) => {
      if (this.muted) new Uint8Array(buffer).fill(0);
      const timestampUs = Math.round((firstSample * 1e6) / this.sampleRateHz);
      this.#listener.onChunk(buffer, timestampUs, this.sampleRateHz);
      node.port.postMessage(buffer, [buffer]);
    };
    // The node writes silence. Without a way to the destination some browsers never run it.
    node.connect(this.#context.destination);
    return node;
  }

  /** iOS: a phone call interrupts; resuming before the browser says "suspended" freezes the context. */
  #onStateChange() {
    if (this.#context.state === "suspended") void this.#context.resume();
  }
}
