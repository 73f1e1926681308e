// @ts-check
/** What went wrong, in words a person can act on. Pure. */

import { CLOSE_POLICY, CLOSE_RESTART, CLOSE_TOO_BIG, CLOSE_TRY_LATER } from "./backoff.js";
import { FOREIGN, TOO_MANY, UNAUTHORISED, UNAVAILABLE } from "./handshake.js";

/**
 * @typedef {object} Problem
 * @property {string} message what happened
 * @property {string} fix what the person can do
 * @property {"note"} [tone] something to know, nothing broken
 * @property {true} [queued] the server will have room later
 * @property {true} [wantsKey] an access key mends it
 */

/** @type {Problem} */
export const SLOW_UPLINK = {
  message: "The connection is too slow for your voice.",
  fix: "Words may get lost; typing works.",
};

/** @type {Problem} */
export const RESUMING = {
  message: "The connection is lost; the page is getting it back.",
  fix: "The conversation goes on where it was. Go on speaking: the last 5 s are kept.",
  tone: "note",
};

/** @type {Problem} */
export const BEHIND = {
  message: "The server is behind.",
  fix: "Go on speaking: the last 5 s are kept.",
  tone: "note",
};

/** @type {Problem} */
export const BEGUN_ANEW = {
  message: "The conversation could not be resumed.",
  fix: "A new one has begun; what was said stays here, the server has forgotten it.",
  tone: "note",
};

/** @type {Problem} */
export const SOUND_BLOCKED = {
  message: "The browser holds the sound back.",
  fix: "Tap anywhere to enable sound.",
  tone: "note",
};

/** @type {Problem} */
export const SOUND_INTERRUPTED = {
  message: "The sound is taken by a call or another app.",
  fix: "It goes on here when that has ended.",
  tone: "note",
};

/** @type {Problem} */
export const HELD_TOO_SHORT = {
  message: "That was too short.",
  fix: "Hold the button, or the space bar, for as long as you speak.",
  tone: "note",
};

/** @type {Problem} */
export const INSECURE = {
  message: "The browser gives no microphone to pages without HTTPS.",
  fix: "Open this page as https:// or as http://localhost. Typing works, answers are shown.",
};

/** @type {Record<string, string>} */
const LOST_STAGES = {
  stt: "The server cannot make out words at the moment.",
  llm: "The server cannot think of answers at the moment.",
  tts: "The server has lost its voice for the moment.",
};

/** @param {string} stage that has no worker left @returns {Problem} */
export function stageProblem(stage) {
  return {
    message: LOST_STAGES[stage] ?? `The server lacks a part at the moment: ${stage}.`,
    fix: "It is started again by itself, and your turn waits for it. The conversation stays.",
    tone: "note",
  };
}

/** @param {string} reason why recognition on this device ended @returns {Problem} */
export function deviceProblem(reason) {
  return {
    message: `This device cannot recognise speech: ${reason}.`,
    fix: "The server does it from now on; Settings, Recognise on, changes that.",
    tone: "note",
  };
}

/** A microphone at this rate or below sounds like a telephone. */
const TELEPHONE_HZ = 16_000;
const BLUETOOTH = /bluetooth|hands-?free|airpods|buds\b/i;

/**
 * What makes an open microphone worse than it could be.
 * @param {{echoCancellation?: boolean | string, sampleRate?: number}} settings
 * @param {string} label of the device
 * @returns {Problem[]}
 */
export function microphoneWarnings({ echoCancellation, sampleRate }, label) {
  /** @type {Problem[]} */
  const warnings = [];
  if (echoCancellation === false) {
    warnings.push({
      message: "Echo cancellation is off with this microphone.",
      fix: "Use headphones, or Antiphon may answer its own voice.",
      tone: "note",
    });
  }
  if (BLUETOOTH.test(label) || (sampleRate && sampleRate <= TELEPHONE_HZ)) {
    const rate = sampleRate ? ` (${sampleRate / 1000} kHz)` : "";
    warnings.push({
      message: `This microphone sounds like a telephone${rate}: a Bluetooth headset, it seems.`,
      fix: "You are understood better with the built-in microphone, chosen under Settings; the headset still plays.",
      tone: "note",
    });
  }
  return warnings;
}

/** Error events that need no one's attention: the wish was fulfilled already, or `BEGUN_ANEW` tells it. */
const HARMLESS = new Set(["response_cancel_not_active", "session_not_resumable"]);

/** @param {string} name the `name` of what getUserMedia raised @returns {Problem} */
export function microphoneProblem(name) {
  switch (name) {
    case "NotAllowedError":
    case "SecurityError":
      return {
        message: "The microphone is blocked.",
        fix: "Allow it in the browser's settings for this site, then tap Talk. Typing works without.",
      };
    case "NotFoundError":
    case "OverconstrainedError":
      return {
        message: "No microphone was found.",
        fix: "Connect one, then tap Talk. Typing works without.",
      };
    case "NotReadableError":
    case "AbortError":
      return {
        message: "The microphone does not answer.",
        fix: "Close other programs that use it, or choose another one under Settings.",
      };
    case "NotSupportedError":
      return {
        message: "This browser cannot join the microphone to the loudspeaker: their sample rates differ.",
        fix: "Use the microphone and the loudspeaker of one device, or set both to 48 kHz in the system's sound settings.",
      };
    case "InsecureContext":
      return INSECURE;
    default:
      return {
        message: `The audio could not be started (${name}).`,
        fix: "Reload the page and tap Talk.",
      };
  }
}

/** @param {number} code @param {string} reason @returns {Problem} */
export function connectionProblem(code, reason) {
  if (code === UNAUTHORISED) {
    return {
      message: reason,
      fix: "Enter it here; whoever runs the server knows it.",
      wantsKey: true,
    };
  }
  if (code === FOREIGN) {
    return {
      message: `The server refused this page: ${reason || "it was opened from elsewhere"}.`,
      fix: "Open it by the address that the server printed, or add this one to gateway.allowed_origins.",
    };
  }
  if (code === CLOSE_POLICY) {
    return {
      message: reason || "The server refused this page.",
      fix: "Check the address and the key, then tap Talk.",
    };
  }
  if (code === CLOSE_TOO_BIG) {
    return { message: reason || "A message was too large.", fix: "Send a shorter one." };
  }
  if (code === CLOSE_TRY_LATER) {
    return { message: "The server is full.", fix: "Try again in a while." };
  }
  return {
    message: "The server cannot be reached.",
    fix: "Check that Antiphon is running, then tap Talk.",
  };
}

/**
 * Why the page waits before it connects again, or null where the caption says enough.
 * @param {number} code @param {string} reason
 * @param {number} [position] among those who wait for a place @returns {Problem | null}
 */
export function waitingProblem(code, reason, position) {
  if (code === CLOSE_RESTART) {
    return {
      message: "The server is restarting.",
      fix: "The page connects again by itself. What was said stays here, the new session starts afresh.",
      tone: "note",
    };
  }
  if (![UNAVAILABLE, TOO_MANY, CLOSE_TRY_LATER].includes(code)) return null;
  if (/stopping/.test(reason)) {
    return {
      message: "The server is stopping.",
      fix: "The page connects as soon as it is back.",
      tone: "note",
    };
  }
  if (position) {
    return {
      message: position === 1 ? "The server is full; you are next." : `The server is full; you are number ${position} in line.`,
      fix: "Your place in line is kept while this page is open. It connects by itself.",
      tone: "note",
      queued: true,
    };
  }
  return {
    message: `The server is full${reason ? `: ${reason}` : ""}.`,
    fix: "The page asks again by itself until a place is free.",
    tone: "note",
    queued: true,
  };
}

/**
 * The problem an `error` event tells of, or null for one without consequence.
 * @param {{message?: string, code?: string, type?: string} | undefined} error
 * @returns {Problem | null}
 */
export function eventProblem(error) {
  if (error?.code && HARMLESS.has(error.code)) return null;
  return {
    message: error?.message || "The server reported an error.",
    fix:
      error?.type === "server_error"
        ? "The session goes on; say or type it again."
        : "The session goes on.",
  };
}

/**
 * The problem of a response that did not complete, or null.
 * @param {{status?: string, status_details?: any}} response
 * @returns {Problem | null}
 */
export function responseProblem({ status, status_details: details }) {
  if (status === "failed") {
    return {
      message: details?.error?.message || "The answer failed.",
      fix: "Say or type it again.",
    };
  }
  if (status === "incomplete") {
    const full = details?.reason === "max_output_tokens";
    return {
      message: full ? "The answer reached its length limit." : "The answer was cut short.",
      fix: 'Say "go on" to hear more.',
      tone: "note",
    };
  }
  return null;
}
