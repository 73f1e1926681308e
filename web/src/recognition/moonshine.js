// @ts-check
/**
 * Moonshine tiny in onnxruntime-web: the encoder takes raw samples at 16 kHz, the decoder writes one
 * token at a time and keeps what it has read. Cost grows with the length of the audio.
 */

import { readTokens, textOf } from "./tokens.js";
import { RATE_HZ } from "./utterance.js";

const LAYERS = 6;
const HEADS = 8;
const HEAD_SIZE = 36;
const START = 1;
const END = 2;
/** Nobody speaks faster; without a limit the model may repeat itself for ever. */
const TOKENS_PER_SECOND = 6.5;
const LEAST_TOKENS = 6;

/** @typedef {any} Ort onnxruntime-web */
/** @typedef {Record<string, any>} Tensors */

export class Moonshine {
  #ort;
  #encoder;
  #decoder;
  #tokens;

  /**
   * @param {Ort} ort @param {string} model address of its directory @param {string[]} providers
   * @returns {Promise<Moonshine>}
   */
  static async load(ort, model, providers) {
    const options = { executionProviders: providers, logSeverityLevel: 3 }; // errors only
    const [encoder, decoder, tokenizer] = await Promise.all(
      ["encoder_model.ort", "decoder_model_merged.ort", "tokenizer.bin"].map((name) => fetchFile(model + name)),
    );
    const create = (/** @type {ArrayBuffer} */ file) => ort.InferenceSession.create(new Uint8Array(file), options);
    return new Moonshine(
      ort,
      await create(/** @type {ArrayBuffer} */ (encoder)),
      await create(/** @type {ArrayBuffer} */ (decoder)),
      readTokens(/** @type {ArrayBuffer} */ (tokenizer)),
    );
  }

  /** @param {Ort} ort @param {any} encoder @param {any} decoder @param {Uint8Array[]} tokens */
  constructor(ort, encoder, decoder, tokens) {
    this.#ort = ort;
    this.#encoder = encoder;
    this.#decoder = decoder;
    this.#tokens = tokens;
  }

  /** @param {Float32Array} samples at 16 kHz @returns {Promise<string>} */
  async transcribe(samples) {
    const mask = this.#tensor("int64", new BigInt64Array(samples.length).fill(1n), [1, samples.length]);
    const input = this.#tensor("float32", samples, [1, samples.length]);
    const { last_hidden_state: heard } = await this.#encoder.run({ input_values: input, attention_mask: mask });
    const most = Math.max(LEAST_TOKENS, Math.ceil((samples.length / RATE_HZ) * TOKENS_PER_SECOND));
    let past = this.#emptyPast();
    /** @type {number[]} */
    const ids = [];
    for (let token = START; ids.length < most; ) {
      const first = token === START && ids.length === 0;
      const outputs = await this.#decoder.run({
        ...past,
        input_ids: this.#tensor("int64", BigInt64Array.of(BigInt(token)), [1, 1]),
        encoder_hidden_states: heard,
        encoder_attention_mask: mask,
        use_cache_branch: this.#tensor("bool", Uint8Array.of(first ? 0 : 1), [1]),
      });
      token = strongest(outputs.logits.data);
      if (token === END) break;
      ids.push(token);
      past = nextPast(past, outputs, first);
    }
    return textOf(this.#tokens, ids);
  }

  /** @param {string} type @param {any} values @param {number[]} shape */
  #tensor(type, values, shape) {
    return new this.#ort.Tensor(type, values, shape);
  }

  /** @returns {Tensors} */
  #emptyPast() {
    /** @type {Tensors} */
    const past = {};
    for (const name of pastNames()) {
      past[`past_key_values.${name}`] = this.#tensor("float32", new Float32Array(0), [1, HEADS, 0, HEAD_SIZE]);
    }
    return past;
  }
}

/** What the encoder's side has read is made in the first step only. @param {Tensors} past @param {Tensors} outputs @param {boolean} first */
function nextPast(past, outputs, first) {
  /** @type {Tensors} */
  const next = {};
  for (const name of pastNames()) {
    const key = `past_key_values.${name}`;
    next[key] = first || name.includes("decoder") ? outputs[`present.${name}`] : past[key];
  }
  return next;
}

function pastNames() {
  return Array.from({ length: LAYERS }, (_, layer) =>
    ["decoder.key", "decoder.value", "encoder.key", "encoder.value"].map((part) => `${layer}.${part}`),
  ).flat();
}

/** @param {Float32Array} logits @returns {number} */
function strongest(logits) {
  let best = 0;
  for (let i = 1; i < logits.length; i++) {
    if (Number(logits[i]) > Number(logits[best])) best = i;
  }
  return best;
}

/** @param {string} address @returns {Promise<ArrayBuffer>} */
export async function fetchFile(address) {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address}: HTTP ${response.status}`);
  return response.arrayBuffer();
}
