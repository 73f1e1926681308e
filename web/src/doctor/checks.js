// @ts-check
/** What was measured, as verdicts with a fix. Pure. */

import { microphoneProblem } from "../problems.js";

/**
 * @typedef {object} Verdict
 * @property {"ok" | "warn" | "fail"} level
 * @property {string} text what was found
 * @property {string} [fix] what the person can do
 */

const QUIET_DBFS = -75;
const SLOW_ROUND_TRIP_MS = 150;
const UNSTEADY_MS = 60;
const LOUD_LEAK_DB = -30;
const TELEPHONE_HZ = 16_000;

/** @param {boolean} secure @param {string} origin @returns {Verdict} */
export function secureContext(secure, origin) {
  if (secure) return { level: "ok", text: `${origin} is secure: the browser may give a microphone.` };
  return {
    level: "fail",
    text: `${origin} is not secure: the browser gives no microphone.`,
    fix: "Open http://localhost on the server's own machine, or start it with --lan and use its https link.",
  };
}

/** @param {string} error name of what getUserMedia raised, "" for none @param {string} label @returns {Verdict} */
export function permission(error, label) {
  if (!error) return { level: "ok", text: `Allowed: ${label || "a microphone without a name"}.` };
  const { message, fix } = microphoneProblem(error);
  return { level: "fail", text: message, fix: fix.replace(", then tap Talk", ", then check again") };
}

/**
 * @param {number} contextHz of the sound system @param {number | undefined} microphoneHz
 * @returns {Verdict}
 */
export function sampleRate(contextHz, microphoneHz) {
  const text = `Loudspeaker at ${contextHz / 1000} kHz, microphone at ${microphoneHz ? `${microphoneHz / 1000} kHz` : "an unknown rate"}.`;
  if (microphoneHz && microphoneHz <= TELEPHONE_HZ) {
    return {
      level: "warn",
      text: `${text} That is telephone quality, as with a Bluetooth headset.`,
      fix: "Choose the built-in microphone under Settings; the headset still plays.",
    };
  }
  if (contextHz < 24_000) {
    return {
      level: "warn",
      text: `${text} The loudspeaker cannot play all of the answer's sound.`,
      fix: "Leave the headset's call mode, or choose another loudspeaker.",
    };
  }
  return { level: "ok", text };
}

/** @param {number} rmsDbfs loudness of what was recorded @returns {Verdict} */
export function hearing(rmsDbfs) {
  if (rmsDbfs > QUIET_DBFS) {
    return { level: "ok", text: `The microphone hears something (${Math.round(rmsDbfs)} dB of full scale).` };
  }
  return {
    level: "warn",
    text: "The microphone delivers silence.",
    fix: "Check its switch and the volume in the system's sound settings, or choose another one.",
  };
}

/** @param {boolean | string | undefined} setting as the browser reports it @returns {Verdict} */
export function echoCancellation(setting) {
  if (setting === undefined) return { level: "ok", text: "The browser does not say." };
  if (setting) return { level: "ok", text: "On." };
  return { level: "warn", text: "Off.", fix: "Use headphones, or another microphone or browser." };
}

/** @param {{found: boolean, gainDb: number}} leak of the chirps @returns {Verdict} */
export function echoLeak({ found, gainDb }) {
  if (!found) return { level: "ok", text: "The microphone does not hear the loudspeaker." };
  const heard = `The microphone hears the loudspeaker at ${Math.round(gainDb)} dB.`;
  if (gainDb < LOUD_LEAK_DB) return { level: "ok", text: `${heard} That is faint enough.` };
  return {
    level: "warn",
    text: `${heard} An answer may interrupt itself.`,
    fix: "Use headphones, or turn the loudspeaker down. Some browsers cancel the echo only after some seconds: check again.",
  };
}

/** @param {number} underruns @param {number} playedS @param {number} latencyMs of the output @returns {Verdict} */
export function playback(underruns, playedS, latencyMs) {
  const text = `${playedS.toFixed(1)} s played, ${underruns} gaps, ${Math.round(latencyMs)} ms of output latency.`;
  if (playedS < 1) {
    return { level: "fail", text: "No sound was played.", fix: "Reload the page and check again." };
  }
  if (!underruns) return { level: "ok", text };
  return {
    level: "warn",
    text,
    fix: "This device is busy: close other tabs and programs. With Bluetooth, try a cable.",
  };
}

/**
 * @param {number} status of the handshake, 101 when there is a session, 0 when nobody answers
 * @param {string} reason @returns {Verdict}
 */
export function server(status, reason) {
  if (status === 101) return { level: "ok", text: "A session opens." };
  if (status === 401) {
    return { level: "fail", text: reason, fix: "Open the page by the link with the key, or enter the key there." };
  }
  if (status === 429 || status === 503) {
    return { level: "warn", text: `No place now: ${reason}.`, fix: "Check again in a minute." };
  }
  if (status === 403) {
    return { level: "fail", text: `Refused: ${reason}.`, fix: "Open the page by the address that the server printed." };
  }
  return {
    level: "fail",
    text: "The server does not answer.",
    fix: "Start it with make run; `antiphon doctor` there says what is missing. A proxy must let WebSockets through.",
  };
}

/** @param {number[]} tripsMs @returns {Verdict} */
export function roundTrip(tripsMs) {
  const median = quantile(tripsMs, 0.5);
  const text = `${Math.round(median)} ms at the median of ${tripsMs.length}.`;
  if (median <= SLOW_ROUND_TRIP_MS) return { level: "ok", text };
  return { level: "warn", text, fix: "Every answer comes that much later. Come nearer to the access point, or use a cable." };
}

/** @param {number[]} tripsMs @returns {Verdict} */
export function jitter(tripsMs) {
  const spread = quantile(tripsMs, 0.95) - quantile(tripsMs, 0.5);
  const text = `95 of 100 trips take at most ${Math.round(spread)} ms longer than the median.`;
  if (spread <= UNSTEADY_MS) return { level: "ok", text };
  return {
    level: "warn",
    text,
    fix: "The page buffers more sound to hide this, so answers begin later. A steadier network helps.",
  };
}

/** @param {Verdict[]} verdicts @returns {string} */
export function summary(verdicts) {
  const failed = verdicts.filter(({ level }) => level === "fail").length;
  const warned = verdicts.filter(({ level }) => level === "warn").length;
  if (failed) return `${failed} of ${verdicts.length} checks failed. What mends them is written below.`;
  if (warned) return `You can talk. ${warned} of ${verdicts.length} checks could be better.`;
  return `All ${verdicts.length} checks are fine. You can talk.`;
}

/** @param {number[]} values @param {number} part */
function quantile(values, part) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(part * sorted.length) - 1)] ?? 0;
}
