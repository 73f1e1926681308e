// @ts-check
/** Shows how long the answers took: a trend over the turns and the steps of one of them. */

import { quantile, roundUp, totalMs, waterfall } from "./latency.js";

/** @typedef {import("./turns.js").Turn} Turn */

const SVG = "http://www.w3.org/2000/svg";
const TREND_TURNS = 40;
const TREND_WIDTH = 320;
const TREND_HEIGHT = 72;

/** @param {string} id */
const byId = (id) => /** @type {any} */ (document.getElementById(id));

/** @param {string} tag @param {string} text */
function element(tag, text) {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}

export class LatencyView {
  #pick = /** @type {HTMLSelectElement} */ (byId("turn-pick"));
  /** @type {readonly Turn[]} */
  #turns = [];
  /** The turn that was picked; 0 follows the latest. */
  #picked = 0;

  constructor() {
    this.#pick.addEventListener("change", () => {
      this.#picked = Number(this.#pick.value);
      this.#draw();
    });
  }

  /** @param {readonly Turn[]} turns oldest first */
  render(turns) {
    if (turns === this.#turns) return;
    this.#turns = turns;
    byId("latency-empty").hidden = turns.length > 0;
    byId("latency").hidden = turns.length === 0;
    if (turns.length) this.#draw();
  }

  #draw() {
    const turns = this.#turns;
    const turn = turns.find(({ number }) => number === this.#picked) ?? turns.at(-1);
    if (!turn) return;
    const totals = turns.map(totalMs);
    byId("latency-p50").textContent = `${Math.round(quantile(totals, 0.5))} ms`;
    byId("latency-p95").textContent = `${Math.round(quantile(totals, 0.95))} ms`;
    byId("latency-count").textContent = String(turns.length);
    this.#fillPick();
    drawTrend(byId("trend"), turns.slice(-TREND_TURNS), turn);
    drawWaterfall(byId("waterfall"), turn);
    byId("turn-note").textContent = note(turn);
    byId("turns").replaceChildren(...[...turns].reverse().map(turnRow));
  }

  #fillPick() {
    const options = [new Option("The latest turn", "0")];
    for (const turn of [...this.#turns].reverse()) {
      options.push(new Option(`Turn ${turn.number}: ${Math.round(totalMs(turn))} ms`, String(turn.number)));
    }
    this.#pick.replaceChildren(...options);
    if (!options.some(({ value }) => Number(value) === this.#picked)) this.#picked = 0;
    this.#pick.value = String(this.#picked);
  }
}

/** @param {Turn} turn */
function note({ playedAfterMs }) {
  if (playedAfterMs === null) return "";
  return `This page played the first sound ${Math.round(playedAfterMs)} ms after it knew that your turn was over.`;
}

/** @param {HTMLTableElement} table @param {Turn} turn */
function drawWaterfall(table, turn) {
  const rows = waterfall(turn);
  const scaleMs = roundUp(totalMs(turn));
  table.hidden = rows.length === 0;
  const caption = /** @type {HTMLElement} */ (table.caption);
  caption.textContent = `Turn ${turn.number}: what the answer waited for, in milliseconds from the end of your words`;
  const body = /** @type {HTMLElement} */ (table.tBodies[0]);
  body.replaceChildren(
    ...rows.map(({ label, fromMs, toMs }) => {
      const row = document.createElement("tr");
      const head = element("th", label);
      head.setAttribute("scope", "row");
      const chart = document.createElement("td");
      const bar = element("span", "");
      bar.className = "span";
      bar.setAttribute("aria-hidden", "true");
      bar.style.setProperty("--from", String(fromMs / scaleMs));
      bar.style.setProperty("--part", String((toMs - fromMs) / scaleMs));
      chart.append(bar);
      row.append(
        head, chart, element("td", `${Math.round(toMs - fromMs)}`), element("td", `${Math.round(toMs)}`),
      );
      return row;
    }),
  );
}

/** @param {SVGSVGElement} svg @param {readonly Turn[]} turns @param {Turn} chosen */
function drawTrend(svg, turns, chosen) {
  const totals = turns.map(totalMs);
  const scaleMs = roundUp(Math.max(...totals));
  const pitch = TREND_WIDTH / Math.max(12, turns.length);
  const parts = turns.map((turn, i) => {
    const height = Math.max(2, (totalMs(turn) / scaleMs) * TREND_HEIGHT);
    const bar = shape("rect", {
      x: i * pitch + pitch * 0.15, y: TREND_HEIGHT - height, width: pitch * 0.7, height,
      rx: Math.min(3, pitch * 0.2),
    });
    if (turn === chosen) bar.classList.add("chosen");
    return bar;
  });
  const median = TREND_HEIGHT * (1 - quantile(totals, 0.5) / scaleMs);
  const line = shape("line", { x1: 0, x2: TREND_WIDTH, y1: median, y2: median });
  svg.replaceChildren(...parts, line);
  const list = totals.map((ms) => Math.round(ms)).join(", ");
  svg.setAttribute("aria-label", `Totals of the last ${turns.length} turns in milliseconds: ${list}`);
}

/** @param {string} tag @param {Record<string, number>} attributes */
function shape(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value.toFixed(1));
  return made;
}

/** @param {Turn} turn */
function turnRow(turn) {
  const row = document.createElement("tr");
  const head = element("th", String(turn.number));
  head.setAttribute("scope", "row");
  const page = turn.playedAfterMs === null ? "–" : String(Math.round(turn.playedAfterMs));
  row.append(head, element("td", String(Math.round(totalMs(turn)))), element("td", page));
  return row;
}
