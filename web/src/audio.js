// @ts-check
/**
 * The audio graph: microphone -> capture -> chunks; playback -> gain -> loudspeaker. One AudioContext
 * at the device's own rate; resampling happens in the playback node (down) and in the gateway (up).
 * Without AudioWorklet a MediaRecorder captures.
 */

import { AudioStateWatch } from "./audio-state.js";
import { Tap } from "./level.js";
import { Microphone } from "./microphone.js";
import { HAS_WORKLETS, createPlayback } from "./playback-node.js";

/** @typedef {import("./player.js").Report} Report */
/** @typedef {import("./player.js").PlaybackCommand} PlaybackCommand */

/** @type {Record<import("./commands.js").Loudness, number>} */
const GAINS = { full: 1, "half-ducked": 0.251, ducked: 0.126, paused: 0.126 }; // -12 dB, -18 dB
/** The gain is within 1 dB of its aim after 50 ms, and never jumps. */
const DUCK_TIME_CONSTANT_S = 0.012;

/**
 * @typedef {object} Listener
 * @property {(buffer: ArrayBuffer, timestampUs: number, voiced: boolean) => void} onChunk PCM16 at
 *   `CAPTURE_RATE_HZ` after room for a header, when it was captured, whether it sounds like a voice near
 *   by; the buffer is taken back when the call returns
 * @property {(untilUs: number) => void} onSilence nothing was heard since the last chunk
 * @property {(chunk: import("./encoded-capture.js").EncodedChunk) => boolean} onEncoded where there
 *   is no AudioWorklet; false: the chunk was lost
 * @property {(report: Report) => void} onReport
 * @property {() => void} onMicrophoneLost the device went away
 * @property {(state: import("./audio-state.js").AudioState) => void} onState
 * @property {() => void} onFrozen the audio stands still and has to be opened anew
 * @property {(error: unknown) => void} onFailed the graph did not start
 */

export class Audio {
  #context;
  #state;
  #listener;
  #gain;
  #input;
  #output;
  #opened;
  /** @type {import("./playback-node.js").PlaybackNode | null} */
  #player = null;
  loaded = false;
  /** What waits for the player. @type {PlaybackCommand[]} */
  waiting = [];
  #playbackLatencyMs = 0;
  /** @type {AudioWorkletNode | null} */
  #capture = null;
  /** @type {import("./encoded-capture.js").EncodedCapture | null} */
  #encoded = null;
  #microphone;
  #muted = false;
  #gated = true;
  #uplink = true;

  /**
   * Must be called in a gesture of the user, before anything is awaited: elsewhere the browser
   * leaves the context suspended.
   * @param {Listener} listener
   */
  constructor(listener) {
    this.#listener = listener;
    setAudioSession("play-and-record"); // the loudspeaker stays on
    this.#context = new AudioContext({ latencyHint: "interactive" });
    void this.#context.resume();
    this.#state = new AudioStateWatch(this.#context, listener.onState, listener.onFrozen);
    this.#input = new Tap(this.#context);
    this.#output = new Tap(this.#context);
    this.#gain = this.#context.createGain();
    this.#gain.connect(this.#output.node).connect(this.#context.destination);
    const capture = new URL("worklets/capture.js", import.meta.url);
    this.#opened = Promise.all([
      this.#openPlayback(),
      HAS_WORKLETS && this.#context.audioWorklet.addModule(capture),
    ]);
    this.#opened.then(() => (this.loaded = true), listener.onFailed);
    this.#microphone = new Microphone(() => listener.onMicrophoneLost());
  }

  get sampleRateHz() {
    return this.#context.sampleRate;
  }

  /** What the browser says of the microphone that is open. */
  get microphoneSettings() {
    return this.#microphone.settings;
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

  /** Leave out what is silent. @param {boolean} gated */
  set gated(gated) {
    if (gated === this.#gated) return;
    this.#gated = gated;
    this.#capture?.port.postMessage({ gated });
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
    await this.#opened;
    const source = await this.#microphone.open(this.#context, deviceId);
    source.connect(this.#input.node);
    if (HAS_WORKLETS) {
      this.#capture ??= this.#createCapture();
      source.connect(this.#capture);
    } else {
      await this.#encode();
    }
    const { settings, label } = this.#microphone;
    return { settings, label };
  }

  /** @param {PlaybackCommand} command @param {Transferable[]} [transfer] */
  play(command, transfer = []) {
    if (this.#player) this.#player.post(command, transfer);
    else this.waiting.push(command);
  }

  /** @param {import("./commands.js").Loudness} loudness */
  setLoudness(loudness) {
    const { currentTime } = this.#context;
    this.#gain.gain.setTargetAtTime(GAINS[loudness], currentTime, DUCK_TIME_CONSTANT_S);
    this.play({ type: "pause", paused: loudness === "paused" });
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
    this.#player?.close();
    if (this.#capture) this.#capture.port.onmessage = null;
    this.#state.close();
    setAudioSession("auto");
    void this.#context.close();
  }

  async #openPlayback() {
    const playback = await createPlayback(this.#context, this.#listener.onReport);
    this.#playbackLatencyMs = playback.latencyMs;
    playback.node.connect(this.#gain);
    for (const command of this.waiting.splice(0)) playback.post(command, []);
    this.#player = playback;
  }

  async #encode() {
    const { EncodedCapture } = await import("./encoded-capture.js");
    this.#encoded?.close();
    const { stream } = this.#microphone;
    if (!stream) return; // closed meanwhile
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
    node.port.onmessage = ({ data: { buffer, timestampUs, voiced, untilUs } }) => {
      if (!buffer) return this.#listener.onSilence(untilUs);
      if (this.muted) new Uint8Array(buffer).fill(0);
      this.#listener.onChunk(buffer, timestampUs, voiced);
      node.port.postMessage(buffer, [buffer]);
    };
    node.port.postMessage({ gated: this.#gated });
    // The node writes silence. Without a way to the destination some browsers never run it.
    node.connect(this.#context.destination);
    return node;
  }
}

/** iOS: what the sound is for. @param {string} type */
function setAudioSession(type) {
  const { audioSession } = /** @type {any} */ (navigator);
  if (audioSession) audioSession.type = type;
}
