// @ts-check
/**
 * What both sides sound like: time to the right, pitch upwards, your voice above the answer. The
 * spectrum is made on the graphics card where the browser has WebGPU, else by the audio graph.
 */

import { BANDS, FFT_SAMPLES, frequencyAt } from "./log-mel.js";

const COLUMN_PX = 2;
const GAP_PX = 4;
const PERIOD_MS = 30;
const STILL_MS = 500;
/** What is fainter is not drawn, what is louder is drawn full. */
const FAINT_DB = -82;
const FULL_DB = -30;

/**
 * @typedef {object} Source
 * @property {AnalyserNode} you
 * @property {AnalyserNode} them
 */

/** How strongly to draw a loudness, 0..1. @param {number} db */
function strength(db) {
  return Math.max(0, Math.min(1, (db - FAINT_DB) / (FULL_DB - FAINT_DB)));
}

export class Spectrogram {
  #canvas;
  #context;
  #onMaker;
  #calm = matchMedia("(prefers-reduced-motion: reduce)");
  /** @type {Source | null} */
  #source = null;
  #frame = 0;
  #drawnMs = 0;
  #visible = false;
  /** @type {import("./gpu-log-mel.js").GpuLogMel | null} */
  #gpu = null;
  #samples = [new Float32Array(FFT_SAMPLES), new Float32Array(FFT_SAMPLES)];
  #bins = new Float32Array(0);

  /** @param {HTMLCanvasElement} canvas @param {(maker: "WebGPU" | "AnalyserNode") => void} onMaker */
  constructor(canvas, onMaker) {
    this.#canvas = canvas;
    this.#onMaker = onMaker;
    this.#context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    new IntersectionObserver(([entry]) => {
      this.#visible = entry?.isIntersecting === true;
      this.#update();
    }).observe(canvas);
    document.addEventListener("visibilitychange", () => this.#update());
  }

  /** Whether it is being drawn. */
  get running() {
    return this.#frame !== 0;
  }

  /** @param {Source | null} source null when there is no audio */
  listen(source) {
    this.#source = source;
    this.#update();
  }

  /** Draw only while someone can see it. */
  #update() {
    const wanted = this.#source !== null && this.#visible && !document.hidden;
    if (wanted === this.running) return;
    cancelAnimationFrame(this.#frame);
    this.#frame = wanted ? requestAnimationFrame((nowMs) => this.#step(nowMs)) : 0;
    if (wanted) void this.#openGpu();
    else this.#closeGpu();
  }

  async #openGpu() {
    const source = this.#source;
    const rateHz = source?.you.context.sampleRate ?? 48_000;
    const { GpuLogMel } = await import("./gpu-log-mel.js");
    const gpu = await GpuLogMel.create(rateHz, 2);
    if (!this.running || source !== this.#source) gpu?.close();
    else this.#gpu = gpu;
    this.#onMaker(gpu ? "WebGPU" : "AnalyserNode");
  }

  #closeGpu() {
    this.#gpu?.close();
    this.#gpu = null;
  }

  /** @param {number} nowMs */
  #step(nowMs) {
    this.#frame = requestAnimationFrame((next) => this.#step(next));
    const periodMs = this.#calm.matches ? STILL_MS : PERIOD_MS;
    if (!this.#source || nowMs - this.#drawnMs < periodMs) return;
    this.#drawnMs = nowMs;
    if (this.#gpu?.lost) {
      this.#gpu = null;
      this.#onMaker("AnalyserNode");
    }
    if (this.#gpu) void this.#askGpu(this.#gpu, this.#source);
    else this.#draw([this.#read(this.#source.you), this.#read(this.#source.them)]);
  }

  /** @param {import("./gpu-log-mel.js").GpuLogMel} gpu @param {Source} source */
  async #askGpu(gpu, { you, them }) {
    [you, them].forEach((analyser, i) => {
      analyser.getFloatTimeDomainData(/** @type {any} */ (this.#samples[i]));
    });
    const loudness = await gpu.analyse(this.#samples);
    if (loudness && this.running) this.#draw(loudness.map((voice) => voice.map((power) => strength(10 * power))));
  }

  /** @param {AnalyserNode} analyser @returns {Float32Array} [BANDS] strengths */
  #read(analyser) {
    if (this.#bins.length !== analyser.frequencyBinCount) {
      this.#bins = new Float32Array(analyser.frequencyBinCount);
    }
    analyser.getFloatFrequencyData(/** @type {any} */ (this.#bins));
    const binHz = analyser.context.sampleRate / analyser.fftSize;
    return Float32Array.from({ length: BANDS }, (_, band) => {
      const bin = Math.round(frequencyAt((band + 1) / (BANDS + 1)) / binHz);
      return strength(this.#bins[Math.min(this.#bins.length - 1, bin)] ?? FAINT_DB);
    });
  }

  /** @param {Float32Array[]} voices strengths of the bands */
  #draw(voices) {
    const { width, height } = this.#fit();
    if (!width || !height) return; // its drawer was closed this moment
    const lane = Math.floor((height - GAP_PX) / 2);
    const style = getComputedStyle(this.#canvas);
    if (!this.#calm.matches) {
      this.#context.globalCompositeOperation = "copy"; // drawn over itself it would grow darker
      this.#context.drawImage(this.#canvas, -COLUMN_PX, 0);
      this.#context.globalCompositeOperation = "source-over";
    } else {
      this.#context.clearRect(0, 0, width, height);
    }
    voices.forEach((strengths, i) => {
      this.#context.fillStyle = style.getPropertyValue(i ? "--them" : "--you");
      const top = i * (lane + GAP_PX);
      if (this.#calm.matches) this.#drawStill(strengths, top, lane, width);
      else this.#drawColumn(strengths, top, lane, width);
    });
    this.#context.globalAlpha = 1;
  }

  #fit() {
    const canvas = this.#canvas;
    const scale = devicePixelRatio || 1;
    const width = Math.round(canvas.clientWidth * scale);
    const height = Math.round(canvas.clientHeight * scale);
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    }
    return { width, height };
  }

  /** @param {Float32Array} strengths @param {number} top @param {number} lane @param {number} width */
  #drawColumn(strengths, top, lane, width) {
    const pitch = lane / BANDS;
    strengths.forEach((value, band) => {
      if (value < 0.02) return;
      this.#context.globalAlpha = value;
      this.#context.fillRect(width - COLUMN_PX, top + lane - (band + 1) * pitch, COLUMN_PX, pitch);
    });
  }

  /** Without motion: the spectrum of this moment. @param {Float32Array} strengths @param {number} top @param {number} lane @param {number} width */
  #drawStill(strengths, top, lane, width) {
    this.#context.globalAlpha = 1;
    const pitch = width / BANDS;
    strengths.forEach((value, band) => {
      const height = Math.max(1, value * lane);
      this.#context.fillRect(band * pitch, top + lane - height, pitch - 2, height);
    });
  }
}
