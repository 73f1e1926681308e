// @ts-check
/**
 * What the playback worklet does, without Web Audio: streams of PCM16 in, samples for the
 * loudspeaker out, with a jitter buffer, click-free stops and the exact position of each stream.
 *
 * Streams play one after the other in the order they were opened. A stream starts once the jitter
 * buffer is filled or the stream has ended. Running dry counts as an underrun only when more audio
 * comes after it: the end of a stream, announced late, is none.
 */

import { Arrivals, JitterBuffer } from "./jitter.js";
import { Resampler } from "./resampler.js";
import { SampleRing } from "./ring.js";

const FADE_MS = 5;
const INITIAL_RING_S = 2;
/** Audio of one stream held at most; what exceeds it is dropped and counted. */
export const MAX_BUFFER_S = 60;

/**
 * @typedef {object} Report
 * @property {number} stream
 * @property {"started" | "playing" | "ended" | "flushed"} event
 * @property {number} playedSamples at the stream's rate
 * @property {number} bufferedSamples at the stream's rate
 * @property {number} underruns of this stream
 * @property {number} droppedSamples of this stream
 * @property {number} jitterMs what the jitter buffer waits for now
 * @property {number} waitedMs how much later than its first audio the stream is played
 * @property {number} neededMs how much later it had to be played to be without a gap
 * @property {number} [clockMs] when, by the clock of the microphone's timestamps; the worklet's
 */

/**
 * @typedef {{type: "open", stream: number, sampleRateHz: number}
 *   | {type: "audio", stream: number, firstSample: number, pcm: Int16Array}
 *   | {type: "end", stream: number}
 *   | {type: "pause", paused: boolean}
 *   | {type: "flush"}} PlaybackCommand
 */

class Stream {
  written = 0;
  started = false;
  running = false;
  dry = false;
  ended = false;
  underruns = 0;
  droppedSamples = 0;
  /** When it was there, and too little of it. @type {number | null} */
  waitsSinceMs = null;
  arrivals = new Arrivals();

  /** @param {number} id @param {number} sampleRateHz @param {number} deviceRateHz */
  constructor(id, sampleRateHz, deviceRateHz) {
    this.id = id;
    this.sampleRateHz = sampleRateHz;
    this.ring = new SampleRing(INITIAL_RING_S * sampleRateHz, MAX_BUFFER_S * sampleRateHz);
    this.resampler = new Resampler(sampleRateHz, deviceRateHz);
  }

  get playedSamples() {
    return this.started ? Math.min(this.written, this.resampler.position) : 0;
  }

  get bufferedMs() {
    return this.msOf(this.ring.length);
  }

  /** @param {number} samples */
  msOf(samples) {
    return (samples * 1000) / this.sampleRateHz;
  }

  /** @param {Report["event"]} event @param {number} jitterMs @returns {Report} */
  report(event, jitterMs) {
    return {
      stream: this.id,
      event,
      playedSamples: this.playedSamples,
      bufferedSamples: this.written - this.playedSamples,
      underruns: this.underruns,
      droppedSamples: this.droppedSamples,
      jitterMs,
      waitedMs: this.arrivals.waitedMs,
      neededMs: this.arrivals.neededMs,
    };
  }
}

export class Player {
  /** @type {Stream[]} */
  #streams = [];
  #deviceRateHz;
  #report;
  #jitter = new JitterBuffer();
  #rendered = 0;
  #gainStep;
  #gain = 0;
  /** @type {Stream | undefined} the stream that is fading out after a flush */
  #fading;
  #paused = false;
  /** The last sample played, and how much of it still sounds after the audio broke off. */
  #last = 0;
  #residue = 0;

  /**
   * @param {number} deviceRateHz
   * @param {(report: Report) => void} report called when a stream starts, ends or was flushed
   */
  constructor(deviceRateHz, report) {
    this.#deviceRateHz = deviceRateHz;
    this.#report = report;
    this.#gainStep = 1000 / (FADE_MS * deviceRateHz);
  }

  get jitterMs() {
    return this.#jitter.targetMs;
  }

  /** Time as the loudspeaker counts it. */
  get #nowMs() {
    return (this.#rendered * 1000) / this.#deviceRateHz;
  }

  /** Announce a stream. @param {number} id @param {number} sampleRateHz */
  open(id, sampleRateHz) {
    if (this.#find(id)) return;
    this.#streams.push(new Stream(id, sampleRateHz, this.#deviceRateHz));
  }

  /**
   * Add audio. What the stream already has is skipped; a gap is filled with silence. Audio of a
   * stream that is unknown or has ended is dropped.
   * @param {number} id
   * @param {number} firstSample index of the first sample within the stream
   * @param {Int16Array} pcm
   */
  push(id, firstSample, pcm) {
    const stream = this.#find(id);
    if (!stream || stream.ended) return;
    if (stream.dry) {
      stream.dry = false;
      stream.underruns++;
      this.#jitter.grow();
    }
    const [positionMs, durationMs] = [stream.msOf(firstSample), stream.msOf(pcm.length)];
    stream.arrivals.add(this.#nowMs, positionMs, durationMs, stream.bufferedMs);
    if (firstSample > stream.written) {
      stream.written += stream.ring.pushSilence(firstSample - stream.written);
    }
    const fresh = pcm.subarray(Math.min(pcm.length, Math.max(0, stream.written - firstSample)));
    const taken = stream.ring.pushPcm16(fresh);
    stream.written += taken;
    stream.droppedSamples += fresh.length - taken;
  }

  /** No more audio will come for this stream. @param {number} id */
  end(id) {
    const stream = this.#find(id);
    if (!stream) return;
    stream.ended = true;
    stream.dry = false;
  }

  /** Fade out within 5 ms and stand still, or go on from the same sample. @param {boolean} paused */
  pause(paused) {
    this.#paused = paused;
  }

  /** Fade out within 5 ms and drop all streams; each reports how far it was played. */
  flush() {
    const first = this.#streams[0];
    this.#paused = false;
    this.#fading = first?.running ? first : undefined;
    const dropped = this.#streams.filter((stream) => stream !== this.#fading);
    this.#streams = this.#fading ? [this.#fading] : [];
    for (const stream of dropped) this.#tell(stream, "flushed");
  }

  /** The report of the stream that is playing now, if any. */
  progress() {
    const stream = this.#streams[0];
    return stream?.started ? stream.report("playing", this.jitterMs) : undefined;
  }

  /** Fill `out` with the next samples. @param {Float32Array} out */
  render(out) {
    let at = 0;
    while (at < out.length) {
      const stream = this.#streams[0];
      if (!stream || this.#stands(stream) || !this.#ready(stream)) break;
      const end = this.#paused ? Math.min(out.length, at + this.#fadeSamples) : out.length;
      const count = stream.resampler.pull(stream.ring, out, at, end, stream.ended, stream.written);
      const whole = at + count === end;
      this.#shape(out, at, at + count);
      at += count;
      if (stream === this.#fading) {
        if (this.#gain === 0 || !whole) this.#endFade(stream);
      } else if (!whole) {
        this.#runDry(stream);
      }
    }
    out.fill(0, at);
    this.#decay(out, at);
    const first = this.#streams[0];
    const stood = first && this.#stands(first) ? out.length - at : 0;
    this.#rendered += out.length - stood;
  }

  /** Whether nothing of a stream is played now. Time stands still then. @param {Stream} stream */
  #stands(stream) {
    return this.#paused && (this.#gain === 0 || !stream.running);
  }

  /** How long the rest of a fade is. */
  get #fadeSamples() {
    return Math.ceil(this.#gain / this.#gainStep);
  }

  /** @param {Stream} stream */
  #ready(stream) {
    if (stream.running) return true;
    if (!stream.ended && !stream.ring.length) return false;
    if (!stream.arrivals.begun) stream.arrivals.begin(this.#nowMs);
    stream.waitsSinceMs ??= this.#nowMs;
    // What comes no faster than it is played is not worth a longer wait.
    const waitedMs = this.#nowMs - stream.waitsSinceMs;
    if (!stream.ended && Math.max(stream.bufferedMs, waitedMs) <= this.jitterMs) return false;
    stream.waitsSinceMs = null;
    stream.running = true;
    this.#gain = 0;
    if (!stream.started && stream.written > 0) {
      stream.started = true;
      stream.arrivals.start(this.#nowMs);
      this.#tell(stream, "started");
    }
    return true;
  }

  /** @param {Stream} stream */
  #runDry(stream) {
    stream.running = false;
    if (stream.ended) {
      this.#streams.shift();
      this.#finish(stream, "ended");
    } else {
      stream.dry = true;
    }
  }

  /** Apply the fades. @param {Float32Array} out @param {number} from @param {number} to */
  #shape(out, from, to) {
    for (let i = from; i < to; i++) {
      const change = this.#fading || this.#paused ? -this.#gainStep : this.#gainStep;
      this.#gain = Math.min(1, Math.max(0, this.#gain + change));
      out[i] = /** @type {number} */ (out[i]) * this.#gain;
    }
    if (to > from) {
      this.#last = /** @type {number} */ (out[to - 1]);
      this.#residue = 1;
    }
  }

  /** Let the last sample fade where the audio broke off. @param {Float32Array} out @param {number} from */
  #decay(out, from) {
    for (let i = from; i < out.length && this.#residue > 0; i++) {
      this.#residue = Math.max(0, this.#residue - this.#gainStep);
      out[i] = this.#last * this.#residue;
    }
  }

  /** @param {Stream} stream */
  #endFade(stream) {
    this.#fading = undefined;
    this.#streams.shift();
    this.#finish(stream, "flushed");
  }

  /** @param {Stream} stream @param {Report["event"]} event */
  #finish(stream, event) {
    if (stream.started) this.#jitter.learn(stream.arrivals.lateMs, stream.underruns > 0);
    this.#tell(stream, event);
  }

  /** @param {Stream} stream @param {Report["event"]} event */
  #tell(stream, event) {
    this.#report(stream.report(event, this.jitterMs));
  }

  /** @param {number} id */
  #find(id) {
    return this.#streams.find((stream) => stream.id === id);
  }
}
