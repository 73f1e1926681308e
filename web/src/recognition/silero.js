// @ts-check
/** Silero's voice activity detection in onnxruntime-web, one window after the other. */

import { fetchFile } from "./moonshine.js";
import { RATE_HZ, WINDOW_SAMPLES } from "./utterance.js";

const CONTEXT_SAMPLES = 64;
const STATE_SHAPE = [2, 1, 128];

export class Silero {
  #ort;
  #session;
  #state;
  #rate;
  #heard = new Float32Array(CONTEXT_SAMPLES + WINDOW_SAMPLES);

  /** @param {any} ort @param {string} model address of its directory */
  static async load(ort, model) {
    const file = await fetchFile(`${model}silero_vad_16k.onnx`);
    return new Silero(ort, await ort.InferenceSession.create(new Uint8Array(file), { executionProviders: ["wasm"] }));
  }

  /** @param {any} ort @param {any} session */
  constructor(ort, session) {
    this.#ort = ort;
    this.#session = session;
    this.#state = new ort.Tensor("float32", new Float32Array(256), STATE_SHAPE);
    this.#rate = new ort.Tensor("int64", BigInt64Array.of(BigInt(RATE_HZ)), []);
  }

  /** @param {Float32Array} window [512] at 16 kHz @returns {Promise<number>} probability of speech */
  async hear(window) {
    this.#heard.copyWithin(0, WINDOW_SAMPLES);
    this.#heard.set(window, CONTEXT_SAMPLES);
    const input = new this.#ort.Tensor("float32", this.#heard.slice(), [1, this.#heard.length]);
    const { output, stateN } = await this.#session.run({ input, state: this.#state, sr: this.#rate });
    this.#state = stateN;
    return output.data[0];
  }
}
