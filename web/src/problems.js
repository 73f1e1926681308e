// @ts-check
/** What went wrong, in words a person can act on. Pure. */

import { CLOSE_POLICY, CLOSE_TOO_BIG, CLOSE_TRY_LATER } from "./backoff.js";

/**
 * @typedef {object} Problem
 * @property {string} message what happened
 * @property {string} fix what the person can do
 */

/** @type {Problem} */
export const SLOW_UPLINK = {
  message: "The connection is too slow for your voice.",
  fix: "Words may get lost; typing works.",
};

/** Error events that need no one's attention: the wish was already fulfilled. */
const HARMLESS = new Set(["response_cancel_not_active"]);

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
    case "InsecureContext":
      return {
        message: "The browser gives no microphone to pages without HTTPS.",
        fix: "Open this page as https:// or as http://localhost.",
      };
    default:
      return {
        message: `The audio could not be started (${name}).`,
        fix: "Reload the page and tap Talk.",
      };
  }
}

/** @param {number} code @param {string} reason @returns {Problem} */
export function connectionProblem(code, reason) {
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
    };
  }
  return null;
}
