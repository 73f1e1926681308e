// @ts-check
/** Both voices over time: yours grows up from a line, the answer down from it. */

import { Needle } from "./level.js";

const BAR_PX = 3;
const GAP_PX = 3;
/** A bar's time; the whole line shows about five seconds. */
const BAR_MS = 50;

export class Score {
  #canvas;
  #context;
  #calm = matchMedia("(prefers-reduced-motion: reduce)");
  #youNeedle = new Needle();
  #themNeedle = new Needle();
  /** @type {{you: number, them: number}[]} newest first */
  #bars = [];
  #barStartMs = 0;
  #frame = 0;

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.#canvas = canvas;
    this.#context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    const redraw = () => this.#draw();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
    new ResizeObserver(redraw).observe(canvas);
  }

  /**
   * Draw until `stop`, once per animation frame.
   * @param {() => {you: number, them: number}} levels both 0..1
   * @param {(you: number, them: number) => void} onLevels gets the smoothed values
   */
  start(levels, onLevels) {
    if (this.#frame) return;
    const step = (/** @type {number} */ nowMs) => {
      this.#frame = requestAnimationFrame(step);
      const { you, them } = levels();
      this.#add(nowMs, this.#youNeedle.next(you), this.#themNeedle.next(them));
      this.#draw();
      const newest = this.#bars[0];
      if (newest && !this.#calm.matches) onLevels(newest.you, newest.them);
    };
    this.#frame = requestAnimationFrame(step);
  }

  stop() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#bars = [];
    this.#draw();
  }

  /** @param {number} nowMs @param {number} you @param {number} them */
  #add(nowMs, you, them) {
    const newest = this.#bars[0];
    if (newest && nowMs - this.#barStartMs < BAR_MS) {
      newest.you = Math.max(you, newest.you);
      newest.them = Math.max(them, newest.them);
      return;
    }
    this.#barStartMs = nowMs;
    this.#bars.unshift({ you, them });
    this.#bars.length = Math.min(this.#bars.length, 200);
  }

  #draw() {
    const canvas = this.#canvas;
    const scale = devicePixelRatio || 1;
    const width = canvas.clientWidth;
    const height = canvas.clientHeight;
    if (canvas.width !== Math.round(width * scale)) canvas.width = Math.round(width * scale);
    if (canvas.height !== Math.round(height * scale)) canvas.height = Math.round(height * scale);
    const context = this.#context;
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, width, height);
    const style = getComputedStyle(canvas);
    const colours = {
      you: style.getPropertyValue("--you"),
      them: style.getPropertyValue("--them"),
      line: style.getPropertyValue("--line"),
    };
    if (this.#calm.matches) this.#drawMeters(width, height, colours);
    else this.#drawBars(width, height, colours);
  }

  /** @typedef {{you: string, them: string, line: string}} Colours */

  /** @param {number} width @param {number} height @param {Colours} colours */
  #drawBars(width, height, colours) {
    const middle = height / 2;
    const reach = middle - GAP_PX;
    const count = Math.floor(width / (BAR_PX + GAP_PX));
    for (let i = 0; i < count; i++) {
      const bar = this.#bars[i] ?? { you: 0, them: 0 };
      const x = width - (i + 1) * (BAR_PX + GAP_PX) + GAP_PX;
      this.#context.globalAlpha = 1 - 0.75 * (i / count);
      if (bar.you < 0.03 && bar.them < 0.03) this.#bar(x, middle - 1, BAR_PX, 2, colours.line);
      const up = bar.you * reach;
      const down = bar.them * reach;
      if (up >= 1) this.#bar(x, middle - 1 - up, BAR_PX, up, colours.you);
      if (down >= 1) this.#bar(x, middle + 1, BAR_PX, down, colours.them);
    }
    this.#context.globalAlpha = 1;
  }

  /** Without motion: two plain level meters. @param {number} width @param {number} height @param {Colours} colours */
  #drawMeters(width, height, colours) {
    const newest = this.#bars[0] ?? { you: 0, them: 0 };
    this.#bar(0, height / 2 - 12, width, 6, colours.line);
    this.#bar(0, height / 2 + 6, width, 6, colours.line);
    this.#bar(0, height / 2 - 12, width * newest.you, 6, colours.you);
    this.#bar(0, height / 2 + 6, width * newest.them, 6, colours.them);
  }

  /** @param {number} x @param {number} y @param {number} w @param {number} h @param {string} colour */
  #bar(x, y, w, h, colour) {
    this.#context.fillStyle = colour;
    this.#context.beginPath();
    this.#context.roundRect(x, y, w, h, Math.min(w, h) / 2);
    this.#context.fill();
  }
}
