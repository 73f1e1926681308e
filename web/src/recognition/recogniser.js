// @ts-check
/** Recognition on this device, from the page's side: a tap on the microphone, a worker, its words. */

import { Resampler } from "../resampler.js";
import { SampleRing } from "../ring.js";
import { DEFAULT_END_MS, RATE_HZ } from "./utterance.js";

/** @typedef {import("./hearing.js").Heard} Heard */
/** @typedef {{model: string, runtime: string, detector: string}} Place addresses of directories */

const RING_S = 2;

/**
 * @typedef {object} Listener
 * @property {(heard: Heard) => void} onHeard
 * @property {(text: string) => void} onState in words, for the settings
 * @property {(message: string) => void} onFailed
 */

export class Recogniser {
  #listener;
  #worker;
  /** @type {AudioWorkletNode | null} */
  #tap = null;
  /** What comes in counts: the microphone is neither muted nor waiting to be held. */
  listening = true;
  /** The model is loaded. */
  ready = false;

  /**
   * @param {Listener} listener @param {Place} place @param {boolean} webgpu
   * @param {number} endMs silence that ends an utterance; 0 for the usual
   */
  constructor(listener, place, webgpu, endMs) {
    this.#listener = listener;
    this.#worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
    this.#worker.onmessage = ({ data }) => this.#onMessage(data);
    this.#worker.onerror = (event) => listener.onFailed(event.message || "the worker did not start");
    listener.onState("Loading the model from your server. The browser keeps it.");
    const addresses = Object.fromEntries(
      Object.entries(place).map(([name, path]) => [name, new URL(path, document.baseURI).href]),
    );
    this.#worker.postMessage({ type: "load", ...addresses, webgpu, endMs: endMs || DEFAULT_END_MS });
  }

  /** Listen to what flows through a node. @param {AudioNode} source */
  async listen(source) {
    const { context } = source;
    await context.audioWorklet.addModule(new URL("../worklets/tap.js", import.meta.url));
    const ring = new SampleRing(RING_S * context.sampleRate);
    const resampler = new Resampler(context.sampleRate, RATE_HZ);
    const out = new Float32Array(RATE_HZ);
    const tap = new AudioWorkletNode(context, "antiphon-tap", { channelCount: 1, channelCountMode: "explicit" });
    tap.port.onmessage = ({ data }) => {
      const pcm = Int16Array.from(data, (sample) => Math.max(-1, Math.min(1, sample)) * 32_767);
      if (this.listening) ring.pushPcm16(pcm);
      else ring.pushSilence(pcm.length);
      const count = resampler.pull(ring, out, 0, out.length, false, 0);
      if (count) this.#worker.postMessage({ type: "audio", samples: out.slice(0, count) });
    };
    source.connect(tap);
    tap.connect(context.destination); // it writes silence; some browsers run nothing else
    this.#tap = tap;
  }

  /** The person has finished, whatever is heard. */
  end() {
    this.#worker.postMessage({ type: "end" });
  }

  /** Listen no more; the model stays loaded. */
  silence() {
    this.#tap?.disconnect();
    this.#tap = null;
  }

  close() {
    this.silence();
    this.#worker.terminate();
  }

  /** @param {any} message */
  #onMessage(message) {
    if (message.type === "failed") this.#listener.onFailed(message.message);
    else if (message.type === "ready") {
      this.ready = true;
      const seconds = (message.loadMs / 1000).toFixed(1);
      this.#listener.onState(`${message.note}Ready on this device (${message.engine}), loaded in ${seconds} s.`);
    } else this.#listener.onHeard(message);
  }
}
