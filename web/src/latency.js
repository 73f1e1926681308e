// @ts-check
/** Figures about turns: the waterfall of one, quantiles over many. Pure. */

/** @typedef {import("./turns.js").Turn} Turn */

/**
 * @typedef {object} Row
 * @property {string} label
 * @property {number} fromMs the step before, both from the end of the user's speech
 * @property {number} atMs
 */

/** Steps in words; one that is not here shows under its own name. @type {Record<string, string>} */
const LABELS = {
  pause_seen: "pause noticed",
  transcript: "your words known",
  endpoint: "turn decided over",
  model_first_text: "model's first word",
  first_clause: "first clause",
  first_audio: "first audio made",
  audio_sent: "audio sent",
};

/** Each step in the order it happened. @param {Turn} turn @returns {Row[]} */
export function waterfall({ stepsMs }) {
  const steps = Object.entries(stepsMs).filter(([, ms]) => Number.isFinite(ms));
  steps.sort(([, a], [, b]) => a - b);
  let fromMs = 0;
  return steps.map(([name, atMs]) => {
    const row = { label: LABELS[name] ?? name.replaceAll("_", " "), fromMs, atMs };
    fromMs = atMs;
    return row;
  });
}

/** What the person waited, as far as it is known. @param {Turn} turn */
export function totalMs({ stepsMs, voiceToVoiceMs, playedAfterMs }) {
  if (voiceToVoiceMs === null) return playedAfterMs ?? 0;
  return Math.max(voiceToVoiceMs, ...Object.values(stepsMs).filter(Number.isFinite));
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
