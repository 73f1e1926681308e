// @ts-check
/** When to connect again after a WebSocket closed. Pure. */

import { FOREIGN, TOO_MANY, UNAUTHORISED, UNAVAILABLE } from "./handshake.js";

const FIRST_DELAY_MS = 500;
const MAX_DELAY_MS = 10_000;
const FULL_DELAY_MS = 5_000;
/** Tries before the first session; after one, trying goes on until the user stops. */
const FIRST_CONTACT_TRIES = 4;

/** A session waits for its page: the first try is soon. */
const FIRST_RESUME_DELAY_MS = 100;
const MAX_RESUME_DELAY_MS = 2_000;

/** What a browser calls a connection that ended without a close code. */
export const CLOSE_LOST = 1006;
export const CLOSE_POLICY = 1008;
export const CLOSE_TOO_BIG = 1009;
export const CLOSE_RESTART = 1012;
export const CLOSE_TRY_LATER = 1013;

/** There is no place now, and will be one later. */
const FULL = new Set([CLOSE_TRY_LATER, UNAVAILABLE, TOO_MANY]);
/** Trying again would end the same way. */
const FINAL = new Set([CLOSE_POLICY, CLOSE_TOO_BIG, UNAUTHORISED, FOREIGN]);

/**
 * @param {object} closed
 * @param {number} closed.code of the WebSocket, or the HTTP status of a refused handshake
 * @param {string} closed.reason
 * @param {number} closed.attempt tries since the last session, from 1
 * @param {boolean} closed.hadSession whether this page has had a session since the user started
 * @param {number} random 0..1; spreads clients that lost the same server
 * @returns {number | null} milliseconds to wait, or null to give up
 */
export function retryDelayMs({ code, reason, attempt, hadSession }, random) {
  if (FINAL.has(code)) return null;
  const full = FULL.has(code);
  const invited = code === CLOSE_RESTART || full;
  if (!hadSession && !invited && attempt >= FIRST_CONTACT_TRIES) return null;
  const spread = 0.75 + random / 2;
  if (full) {
    const asked = /(\d+(?:\.\d+)?)\s*s\b/.exec(reason)?.[1];
    return asked ? Number(asked) * 1000 * (1 + random / 4) : FULL_DELAY_MS * spread;
  }
  return Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** (attempt - 1)) * spread;
}

/**
 * @param {number} attempt to have a session back, from 1 @param {number} random 0..1
 * @returns {number} milliseconds to wait before the next one
 */
export function resumeDelayMs(attempt, random) {
  const longestMs = Math.min(MAX_RESUME_DELAY_MS, FIRST_RESUME_DELAY_MS * 2 ** (attempt - 1));
  return longestMs * (0.5 + random / 2);
}
