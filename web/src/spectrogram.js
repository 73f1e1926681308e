// @ts-check
/** What both sides sound like: time to the right, pitch upwards, your voice above the answer. */

const TOP_HZ = 8_000;
/** Below it the scale is linear, above logarithmic, as in hearing. */
const BEND_HZ = 700;
const COLUMN_PX = 2;
const GAP_PX = 4;
const STILL_MS = 500;

/** The frequency at a part of the scale, 0 at the bottom. @param {number} part */
export function frequencyAt(part) {
  const top = Math.log1p(TOP_HZ / BEND_HZ);
  return BEND_HZ * Math.expm1(part * top);
}

/**
 * @typedef {object} Source
 * @property {AnalyserNode} you
 * @property {AnalyserNode} them
 */

export class Spectrogram {
  #canvas;
  #context;
  #calm = matchMedia("(prefers-reduced-motion: reduce)");
  /** @type {Source | null} */
  #source = null;
  #frame = 0;
  #drawnMs = 0;
  #bins = new Uint8Array(0);
  #visible = false;

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.#canvas = canvas;
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
  }

  /** @param {number} nowMs */
  #step(nowMs) {
    this.#frame = requestAnimationFrame((next) => this.#step(next));
    if (!this.#source || nowMs - this.#drawnMs < (this.#calm.matches ? STILL_MS : 30)) return;
    this.#drawnMs = nowMs;
    const { width, height } = this.#fit();
    if (!width || !height) return; // its drawer was closed this moment
    const lane = Math.floor((height - GAP_PX) / 2);
    const style = getComputedStyle(this.#canvas);
    const sides = /** @type {const} */ ([["you", 0], ["them", lane + GAP_PX]]);
    if (!this.#calm.matches) {
      this.#context.globalCompositeOperation = "copy"; // drawn over itself it would grow darker
      this.#context.drawImage(this.#canvas, -COLUMN_PX, 0);
      this.#context.globalCompositeOperation = "source-over";
    } else {
      this.#context.clearRect(0, 0, width, height);
    }
    for (const [side, top] of sides) {
      this.#context.fillStyle = style.getPropertyValue(`--${side}`);
      this.#read(this.#source[side]);
      if (this.#calm.matches) this.#drawStill(this.#source[side], top, lane, width);
      else this.#drawColumn(this.#source[side], top, lane, width);
    }
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

  /** @param {AnalyserNode} analyser */
  #read(analyser) {
    if (this.#bins.length !== analyser.frequencyBinCount) {
      this.#bins = new Uint8Array(analyser.frequencyBinCount);
    }
    analyser.getByteFrequencyData(this.#bins);
  }

  /** Loudness at a part of the scale, 0..1. @param {AnalyserNode} analyser @param {number} part */
  #strength(analyser, part) {
    const bin = (frequencyAt(part) * analyser.fftSize) / analyser.context.sampleRate;
    const value = (this.#bins[Math.min(this.#bins.length - 1, Math.round(bin))] ?? 0) / 255;
    return Math.max(0, (value - 0.25) / 0.75);
  }

  /** @param {AnalyserNode} analyser @param {number} top @param {number} lane @param {number} width */
  #drawColumn(analyser, top, lane, width) {
    for (let y = 0; y < lane; y += COLUMN_PX) {
      const strength = this.#strength(analyser, 1 - y / lane);
      if (strength < 0.02) continue;
      this.#context.globalAlpha = strength;
      this.#context.fillRect(width - COLUMN_PX, top + y, COLUMN_PX, COLUMN_PX);
    }
  }

  /** Without motion: the spectrum of this moment. @param {AnalyserNode} analyser @param {number} top @param {number} lane @param {number} width */
  #drawStill(analyser, top, lane, width) {
    this.#context.globalAlpha = 1;
    const bars = 48;
    for (let i = 0; i < bars; i++) {
      const height = Math.max(1, this.#strength(analyser, i / bars) * lane);
      this.#context.fillRect((i * width) / bars, top + lane - height, width / bars - 2, height);
    }
  }
}
