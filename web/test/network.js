/**
 * A server, a network and the player in virtual time: the server paces as `playout.py` does, each
 * message is late by a draw of its own, and none overtakes another.
 */

import { Player } from "../src/player.js";
import { seeded } from "./random.js";

const RATE_HZ = 24_000;
const SAMPLES_MS = RATE_HZ / 1000;
const QUANTUM = 128;
const REPORT_MS = 100;
const LEAD_MS = 400;
const UNREPORTED_LEAD_MS = 1_000;
const MOST_ROUND_TRIP_MS = 500;
const PIECE_MS = 40;

/** One direction. */
class Way {
  #waiting = [];
  #lastMs = 0;

  constructor(random, latencyMs, jitterMs) {
    Object.assign(this, { random, latencyMs, jitterMs });
  }

  send(nowMs, message) {
    const lateMs = this.latencyMs + (2 * this.random() - 1) * this.jitterMs;
    this.#lastMs = Math.max(this.#lastMs, nowMs + lateMs);
    this.#waiting.push([this.#lastMs, message]);
  }

  arrived(nowMs) {
    const count = this.#waiting.findIndex(([atMs]) => atMs > nowMs);
    return this.#waiting.splice(0, count < 0 ? this.#waiting.length : count).map(([, m]) => m);
  }
}

/** Sends one reply as far ahead as `playout.py`. */
class Pacing {
  sentMs = 0;
  #playEndMs = 0;
  #underway = [];
  #receivedSentMs = null;

  constructor(roundTrip) {
    this.roundTrip = roundTrip;
  }

  /** How much of what is made may go now. */
  take(nowMs, madeMs) {
    const before = this.sentMs;
    const limitMs = this.roundTrip.known ? LEAD_MS + this.roundTrip.ms : UNREPORTED_LEAD_MS;
    while (this.sentMs < madeMs && this.#playEndMs - nowMs < limitMs) {
      const piece = Math.min(PIECE_MS, madeMs - this.sentMs);
      this.sentMs += piece;
      this.#playEndMs = Math.max(this.#playEndMs, nowMs) + piece;
      this.#underway.push([this.sentMs, nowMs]);
    }
    return this.sentMs - before;
  }

  report({ playedMs, receivedMs }, nowMs) {
    this.roundTrip.known = true;
    this.#playEndMs = nowMs + Math.max(0, this.sentMs - playedMs);
    while (this.#underway.length && this.#underway[0][0] <= receivedMs + 2) {
      this.#receivedSentMs = this.#underway.shift()[1];
    }
    const { roundTrip } = this;
    if (this.#underway.length) {
      const missingMs = Math.min(MOST_ROUND_TRIP_MS, nowMs - this.#underway[0][1]);
      roundTrip.ms = Math.max(roundTrip.ms, missingMs);
    }
    const ageMs = nowMs - this.#receivedSentMs;
    if (this.#receivedSentMs !== null && ageMs < roundTrip.ms) {
      roundTrip.ms += 0.25 * (ageMs - roundTrip.ms);
    }
  }
}

/**
 * Play replies of one session.
 * @returns each reply's last report
 */
export function playOver({ seed, latencyMs, jitterMs, replies = 20, replyMs = 3_000, chunkMs = 100, pace = 0.1 }) {
  const random = seeded(seed);
  const down = new Way(random, latencyMs, jitterMs);
  const up = new Way(random, latencyMs, jitterMs);
  const roundTrip = { ms: 0, known: false };
  const ended = [];
  let upAt = 0;
  const tell = ({ stream, playedSamples, bufferedSamples }) => {
    const playedMs = playedSamples / SAMPLES_MS;
    up.send(upAt, { stream, playedMs, receivedMs: playedMs + bufferedSamples / SAMPLES_MS });
  };
  const player = new Player(RATE_HZ, (report) => {
    tell(report);
    if (report.event === "ended") ended.push(report);
  });
  const out = new Float32Array(QUANTUM);
  let rendered = 0;
  let nextReport = 0;
  let nowMs = 0;
  for (let stream = 1; stream <= replies; stream++) {
    const pacing = new Pacing(roundTrip);
    const beganMs = (nowMs += 500);
    let over = false;
    player.open(stream, RATE_HZ);
    while (ended.length < stream) {
      nowMs += 1;
      for (const report of up.arrived(nowMs)) if (report.stream === stream) pacing.report(report, nowMs);
      const chunks = 1 + Math.floor((nowMs - beganMs) / Math.max(1, chunkMs * pace));
      const first = pacing.sentMs;
      const count = pacing.take(nowMs, Math.min(replyMs, chunks * chunkMs));
      if (count) down.send(nowMs, { first, count });
      if (pacing.sentMs === replyMs && !over) down.send(nowMs, { end: (over = true) });
      for (const { first, count, end } of down.arrived(nowMs)) {
        if (end) player.end(stream);
        else player.push(stream, first * SAMPLES_MS, new Int16Array(count * SAMPLES_MS));
      }
      upAt = nowMs;
      while (rendered < nowMs * SAMPLES_MS) {
        player.render(out);
        rendered += QUANTUM;
      }
      const progress = nowMs >= nextReport ? player.progress() : undefined;
      if (progress) {
        nextReport = nowMs + REPORT_MS;
        tell(progress);
      }
    }
  }
  return ended;
}

export function median(values) {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
}
