// @ts-check
/** Figures about turns: the waterfall of one, quantiles over many. Pure. */

/** @typedef {import("./turns.js").Turn} Turn */

/**
 * @typedef {object} Row
 * @property {string} label
 * @property {number} fromMs when it began, from the end of the user's speech
 * @property {number} toMs
 */

/** Parts and steps in words; one that is not here shows under its own name. @type {Record<string, string>} */
const LABELS = {
  capture_uplink: "to the server",
  endpoint_wait: "waiting for a pause",
  stt: "speech to text",
  llm_first_text: "model's first word",
  llm_first_clause: "model's first clause",
  tts_first_audio: "text to speech",
  hold: "turn decided over",
  downlink: "back to the page",
  jitter_buffer: "jitter buffer",
  playout: "sound output",
  device_pause: "pause (this device)",
  device_stt: "your words (this device)",
  answer: "the server's answer",
  pause_seen: "pause noticed",
  transcript: "your words known",
  endpoint: "turn decided over",
  model_first_text: "model's first word",
  first_clause: "first clause",
  first_audio: "first audio made",
  audio_sent: "audio sent",
};

/**
 * What the answer waited for, one thing after the other: the parts of the wait where the server
 * tells them, else the steps, each from the one before.
 * @param {Pick<Turn, "stepsMs" | "partsMs">} turn @returns {Row[]}
 */
export function waterfall({ stepsMs, partsMs }) {
  const parts = Object.entries(partsMs).filter(isTime);
  const steps = Object.entries(stepsMs).filter(isTime);
  steps.sort(([, a], [, b]) => a - b);
  let fromMs = 0;
  return (parts.length ? parts : steps).map(([name, ms]) => {
    const toMs = parts.length ? fromMs + ms : ms;
    const row = { label: LABELS[name] ?? name.replaceAll("_", " "), fromMs, toMs };
    fromMs = toMs;
    return row;
  });
}

/** What the person waited, as far as it is known. @param {Turn} turn */
export function totalMs(turn) {
  if (turn.voiceToVoiceMs === null) return turn.playedAfterMs ?? 0;
  return Math.max(turn.voiceToVoiceMs, ...waterfall(turn).map(({ toMs }) => toMs));
}

/** @param {[string, number]} entry */
function isTime([, ms]) {
  return Number.isFinite(ms);
}

/** The smallest value that `part` of all do not exceed. @param {number[]} values @param {number} part */
export function quantile(values, part) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] ?? 0;
}

/** A round number that is not below `value`, for the end of a scale. @param {number} value */
export function roundUp(value) {
  const step = 10 ** Math.floor(Math.log10(Math.max(1, value))) / 2;
  return Math.max(100, Math.ceil(value / step) * step);
}
