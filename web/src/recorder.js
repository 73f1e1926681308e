// @ts-check
/**
 * Keeps what was said and heard, in memory only and bounded, at 24 kHz. The oldest audio goes first.
 * Pure.
 *
 * The microphone is counted as the server counts it: samples sent in this session. So the times in
 * the server's events say where in it an item lies.
 */

import { Resampler } from "./resampler.js";
import { SampleRing } from "./ring.js";

/** @typedef {import("./player.js").Report} Report */

export const RATE_HZ = 24_000;
/** Both sides together: 11 minutes of microphone alone, 5.8 with both always sounding. */
export const MAX_BYTES = 32 * 1024 * 1024;
/** Longer silences of both sides are cut to this in the export. */
const MAX_GAP_MS = 3_000;
/** A block of the microphone that begins this much later than the last ended stands apart. */
const MAX_DRIFT_MS = 250;

/**
 * A piece of one side. `start` is its place in the microphone's count, or in the stream.
 * @typedef {{side: "you" | "them", start: number, atMs: number, pcm: Int16Array, take: Take | null}} Piece
 */

/** @typedef {{itemId: string, startMs: number | null, received: number, heard: number}} Take */

/** Turns PCM of one rate into 24 kHz, piece by piece. */
class Converter {
  #ring;
  #resampler;
  #out = new Float32Array(4_096);

  /** @param {number} rateHz */
  constructor(rateHz) {
    this.rateHz = rateHz;
    this.#ring = new SampleRing(rateHz, rateHz * 60);
    this.#resampler = new Resampler(rateHz, RATE_HZ);
  }

  /** @param {Int16Array} pcm */
  convert(pcm) {
    if (this.rateHz === RATE_HZ) return pcm.slice();
    this.#ring.pushPcm16(pcm);
    /** @type {number[]} */
    const samples = [];
    for (;;) {
      const count = this.#resampler.pull(this.#ring, this.#out, 0, this.#out.length, false, 0);
      for (let i = 0; i < count; i++) {
        const sample = /** @type {number} */ (this.#out[i]) * 32_768;
        samples.push(Math.max(-32_768, Math.min(32_767, Math.round(sample))));
      }
      if (count < this.#out.length) return Int16Array.from(samples);
    }
  }
}

export class Recorder {
  bytes = 0;
  /** @type {Piece[]} in the order they came */
  #pieces = [];
  /** @type {Map<number, Take & {converter: Converter}>} */
  #streams = new Map();
  /** @type {Converter | null} */
  #converter = null;
  #maxBytes;
  #sent = 0;
  #sessionStart = 0;
  #nextMs = 0;
  /** Where items lie in the microphone's count. @type {Map<string, {from: number, to: number}>} */
  #spans = new Map();
  #heldFrom = 0;

  /** @param {number} maxBytes */
  constructor(maxBytes = MAX_BYTES) {
    this.#maxBytes = maxBytes;
  }

  /** Something can be exported. */
  get empty() {
    return this.#pieces.length === 0;
  }

  /** A chunk that was sent. @param {Int16Array} pcm @param {number} rateHz @param {number} nowMs */
  microphone(pcm, rateHz, nowMs) {
    if (this.#converter?.rateHz !== rateHz) this.#converter = new Converter(rateHz);
    const kept = this.#converter.convert(pcm);
    const durationMs = (pcm.length * 1000) / rateHz;
    const follows = Math.abs(nowMs - durationMs - this.#nextMs) < MAX_DRIFT_MS;
    const atMs = follows ? this.#nextMs : nowMs - durationMs;
    this.#nextMs = atMs + durationMs;
    this.#keep({ side: "you", start: this.#sent, atMs, pcm: kept, take: null });
    this.#sent += kept.length;
  }

  /** Silence that was not sent and counts all the same. @param {number} durationMs */
  silence(durationMs) {
    this.#sent += Math.round((durationMs * RATE_HZ) / 1000);
  }

  /** The button is held: what is sent from now on belongs together. */
  hold() {
    this.#heldFrom = this.#sent;
  }

  /** Audio of an item will come on this stream. @param {number} stream @param {string} itemId @param {number} rateHz */
  open(stream, itemId, rateHz) {
    const converter = new Converter(rateHz);
    this.#streams.set(stream, { itemId, startMs: null, received: 0, heard: Infinity, converter });
  }

  /** @param {number} stream @param {Int16Array} pcm */
  audio(stream, pcm) {
    const take = this.#streams.get(stream);
    if (!take) return;
    const kept = take.converter.convert(pcm);
    this.#keep({ side: "them", start: take.received, atMs: 0, pcm: kept, take });
    take.received += kept.length;
  }

  /** @param {Report} report @param {number} nowMs */
  playback({ stream, event, playedSamples }, nowMs) {
    const take = this.#streams.get(stream);
    if (!take) return;
    if (event === "started") take.startMs = nowMs;
    if (event === "flushed") take.heard = Math.round((playedSamples * RATE_HZ) / take.converter.rateHz);
  }

  /** @param {any} event of the server */
  onEvent(event) {
    const at = (/** @type {number} */ ms) => this.#sessionStart + Math.round((ms * RATE_HZ) / 1000);
    switch (event.type) {
      case "session.created":
        this.#sessionStart = this.#sent;
        this.#streams.clear();
        break;
      case "input_audio_buffer.speech_started":
        this.#span(event.item_id, at(event.audio_start_ms), Infinity);
        break;
      case "input_audio_buffer.speech_stopped": {
        const span = this.#spans.get(event.item_id);
        if (span) span.to = at(event.audio_end_ms);
        break;
      }
      case "input_audio_buffer.committed":
        if (!this.#spans.has(event.item_id)) this.#span(event.item_id, this.#heldFrom, this.#sent);
        break;
    }
  }

  /** The audio of an item as far as it was heard and is still kept, or null. @param {string} itemId */
  clip(itemId) {
    const span = this.#spans.get(itemId);
    const pieces = this.#pieces
      .filter(({ side, take }) => (span ? side === "you" : take?.itemId === itemId))
      .map((piece) => cut(piece, span?.from ?? 0, span?.to ?? piece.take?.heard ?? 0));
    const clip = join(pieces);
    return clip.length ? clip : null;
  }

  /** Both sides in time, you left and the answers right, long silences shortened. */
  mixdown() {
    const placed = this.#pieces
      .map((piece) => ({ side: piece.side, atMs: playedAt(piece), pcm: cut(piece, 0, heard(piece)) }))
      .filter(({ atMs, pcm }) => atMs !== null && pcm.length)
      .map(({ side, atMs, pcm }) => ({ side, atMs: /** @type {number} */ (atMs), pcm }))
      .sort((a, b) => a.atMs - b.atMs);
    let endMs = placed[0]?.atMs ?? 0;
    let cutMs = endMs;
    const at = placed.map(({ atMs, pcm }) => {
      cutMs += Math.max(0, atMs - endMs - MAX_GAP_MS);
      endMs = Math.max(endMs, atMs + (pcm.length * 1000) / RATE_HZ);
      return Math.round(((atMs - cutMs) * RATE_HZ) / 1000);
    });
    const length = Math.max(0, ...placed.map(({ pcm }, i) => (at[i] ?? 0) + pcm.length));
    const [you, them] = [new Int16Array(length), new Int16Array(length)];
    placed.forEach(({ side, pcm }, i) => (side === "you" ? you : them).set(pcm, at[i]));
    return [you, them];
  }

  clear() {
    this.#pieces = [];
    this.#spans.clear();
    this.bytes = 0;
  }

  /** @param {string} itemId @param {number} from @param {number} to */
  #span(itemId, from, to) {
    this.#spans.set(itemId, { from, to });
    const [oldest] = this.#spans.keys();
    if (this.#spans.size > 500 && oldest !== undefined) this.#spans.delete(oldest);
  }

  /** @param {Piece} piece */
  #keep(piece) {
    this.#pieces.push(piece);
    this.bytes += piece.pcm.byteLength;
    let drop = 0;
    while (this.bytes > this.#maxBytes && drop < this.#pieces.length) {
      this.bytes -= /** @type {Piece} */ (this.#pieces[drop++]).pcm.byteLength;
    }
    if (drop) this.#pieces.splice(0, drop);
  }
}

/** @param {Piece} piece */
function heard({ start, pcm, take }) {
  return take ? take.heard : start + pcm.length;
}

/** When it sounded; null for what nobody heard yet. @param {Piece} piece */
function playedAt({ start, atMs, take }) {
  if (!take) return atMs;
  return take.startMs === null ? null : take.startMs + (start * 1000) / RATE_HZ;
}

/** What of a piece lies between two places of its side. @param {Piece} piece @param {number} from @param {number} to */
function cut({ start, pcm }, from, to) {
  return pcm.subarray(Math.max(0, from - start), Math.max(0, Math.min(pcm.length, to - start)));
}

/** @param {Int16Array[]} pieces */
function join(pieces) {
  const joined = new Int16Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    joined.set(piece, at);
    at += piece.length;
  }
  return joined;
}
