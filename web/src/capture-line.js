// @ts-check
/**
 * What the capture worklet does, without Web Audio: samples of the device in, 20 ms chunks at 16 kHz
 * with their capture time out, and none of them while nothing is heard.
 *
 *     heard      ▇▇▇▇▇▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▇▇▇▇▇▇
 *     sent       ▇▇▇▇▇▇▇▇▇▇▇··········▇▇▇▇▇▇▇▇▇
 *                     └ hangover ┘└ silence ┘└ pre-roll
 *
 * Instead of what is not sent, the time until which nothing was heard is told, so that the server hears
 * silence there. Pushing allocates nothing but a chunk when the pool is empty.
 */

import { CHUNK_MS, Chunker } from "./chunker.js";
import { Gate } from "./gate.js";
import { Resampler } from "./resampler.js";
import { SampleRing } from "./ring.js";

/** The rate that speech recognition works at; more would be thrown away. */
export const CAPTURE_RATE_HZ = 16_000;
/** Sent after the last sound: longer than most turns need to end, so that they end on real audio. */
const HANGOVER_CHUNKS = 2_200 / CHUNK_MS;
/** Sent from before the first sound. */
const PRE_ROLL_CHUNKS = 300 / CHUNK_MS;
/** How often silence is told: often while a turn may still have to end, seldom after that. */
const TELL_CHUNKS = 100 / CHUNK_MS;
const TELL_SELDOM_CHUNKS = 1_000 / CHUNK_MS;
const SELDOM_AFTER_CHUNKS = 5_000 / CHUNK_MS;
const RING_S = 0.5;

/**
 * @typedef {object} Output
 * @property {(buffer: ArrayBuffer, timestampUs: number, voiced: boolean) => void} chunk to be sent; room
 *   for the header, then PCM16; when its first sample was captured; it sounds like a voice near by
 * @property {(untilUs: number) => void} silence nothing was heard since the last chunk until then
 */

export class CaptureLine {
  /** Leave silence out. */
  gated = true;
  #deviceRateHz;
  #output;
  #ring;
  #resampler;
  #resampled = new Float32Array(1_024);
  #chunker;
  #gate = new Gate();
  /** Device frame of the first sample, moved by whatever the device left out. */
  #firstFrame = -1;
  #nextFrame = 0;
  #count = 0;
  #quietChunks = 0;
  #closedChunks = 0;
  /** Chunks that are sent only if something is heard soon. @type {(ArrayBuffer | null)[]} */
  #held = new Array(PRE_ROLL_CHUNKS).fill(null);
  #heldUs = new Float64Array(PRE_ROLL_CHUNKS);
  #heldFirst = 0;
  #heldCount = 0;

  /** @param {number} deviceRateHz @param {number} headerBytes @param {Output} output */
  constructor(deviceRateHz, headerBytes, output) {
    this.#deviceRateHz = deviceRateHz;
    this.#output = output;
    this.#ring = new SampleRing(deviceRateHz * RING_S);
    this.#resampler = new Resampler(deviceRateHz, CAPTURE_RATE_HZ);
    this.#chunker = new Chunker(CAPTURE_RATE_HZ, headerBytes, (buffer, first, power, correlation) =>
      this.#onChunk(buffer, first, power, correlation),
    );
  }

  /** @param {Float32Array} samples in -1..1 @param {number} frame of the device's clock */
  push(samples, frame) {
    if (this.#firstFrame < 0) this.#firstFrame = this.#nextFrame = frame;
    this.#firstFrame += frame - this.#nextFrame;
    this.#nextFrame = frame + samples.length;
    this.#ring.pushFloats(samples);
    const out = this.#resampled;
    for (;;) {
      const count = this.#resampler.pull(this.#ring, out, 0, out.length, false, 0);
      this.#chunker.push(out, count, this.#count);
      this.#count += count;
      if (count < out.length) return;
    }
  }

  /** Give a buffer back for reuse. @param {ArrayBuffer} buffer */
  recycle(buffer) {
    this.#chunker.recycle(buffer);
  }

  /**
   * @param {ArrayBuffer} buffer @param {number} first @param {number} power @param {number} correlation
   */
  #onChunk(buffer, first, power, correlation) {
    const timestampUs = Math.round(
      ((this.#firstFrame / this.#deviceRateHz) + first / CAPTURE_RATE_HZ) * 1e6,
    );
    const heard = this.#gate.hears(power, correlation);
    this.#quietChunks = heard ? 0 : this.#quietChunks + 1;
    if (this.gated && this.#quietChunks > HANGOVER_CHUNKS) {
      this.#hold(buffer, timestampUs);
      return;
    }
    if (this.#closedChunks) this.#open();
    this.#output.chunk(buffer, timestampUs, this.#gate.voiced);
  }

  /** @param {ArrayBuffer} buffer @param {number} timestampUs */
  #hold(buffer, timestampUs) {
    if (this.#heldCount === PRE_ROLL_CHUNKS) this.recycle(this.#takeHeld());
    const at = (this.#heldFirst + this.#heldCount++) % PRE_ROLL_CHUNKS;
    this.#held[at] = buffer;
    this.#heldUs[at] = timestampUs;
    const every =
      this.#closedChunks < SELDOM_AFTER_CHUNKS ? TELL_CHUNKS : TELL_SELDOM_CHUNKS;
    if (this.#closedChunks++ % every === 0) this.#tellSilence();
  }

  #open() {
    this.#closedChunks = 0;
    this.#tellSilence();
    while (this.#heldCount) {
      const timestampUs = /** @type {number} */ (this.#heldUs[this.#heldFirst]);
      this.#output.chunk(this.#takeHeld(), timestampUs, false);
    }
  }

  /** Until the oldest chunk that is still held. */
  #tellSilence() {
    this.#output.silence(/** @type {number} */ (this.#heldUs[this.#heldFirst]));
  }

  #takeHeld() {
    const buffer = /** @type {ArrayBuffer} */ (this.#held[this.#heldFirst]);
    this.#held[this.#heldFirst] = null;
    this.#heldFirst = (this.#heldFirst + 1) % PRE_ROLL_CHUNKS;
    this.#heldCount--;
    return buffer;
  }
}
