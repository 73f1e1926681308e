// @ts-check
/**
 * Why the server did not take a WebSocket. Browsers hide the status of a refused upgrade, so the
 * same address is asked once more by plain HTTP: it refuses for the same reasons.
 */

export const UNAUTHORISED = 401;
export const FOREIGN = 403;
export const TOO_MANY = 429;
export const UNAVAILABLE = 503;

const REFUSALS = new Set([UNAUTHORISED, FOREIGN, TOO_MANY, UNAVAILABLE]);

const KEY_SUBPROTOCOL = "openai-insecure-api-key.";
const NO_KEY = "This server asks for an access key.";
const WRONG_KEY = "The server does not accept this access key.";
const PATIENCE_MS = 4_000;

/** An address with the name under which this page waits when there is no place. @param {string} url */
export function waitingUrl(url) {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  const name = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return `${url}${url.includes("?") ? "&" : "?"}waiting=${name}`;
}

/** Characters of a subprotocol, which a key travels as (RFC 9110, token). @param {string} key */
export function isPossibleKey(key) {
  return /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(key);
}

/** @param {string} key "" for none @returns {string[]} */
export function keySubprotocols(key) {
  return key ? [KEY_SUBPROTOCOL + key] : [];
}

/**
 * @param {string} url of the WebSocket @param {string} key "" for none
 * @returns {Promise<{status: number, reason: string, position?: number} | null>} null when it is
 *   not a refusal, or nobody answers; `position` among those who wait for a place
 */
export async function refusal(url, key) {
  try {
    const response = await fetch(url.replace(/^ws/, "http"), {
      headers: key ? { Authorization: `Bearer ${key}` } : {},
      cache: "no-store",
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    const { status } = response;
    if (!REFUSALS.has(status)) return null;
    if (status === UNAUTHORISED) return { status, reason: key ? WRONG_KEY : NO_KEY };
    const body = await response.json().catch(() => null);
    const after = response.headers.get("Retry-After");
    const message = String(body?.error?.message ?? "");
    const reason = after ? `${message}, room again in ${after} s perhaps` : message;
    return { status, reason, position: body?.error?.position };
  } catch {
    return null;
  }
}
