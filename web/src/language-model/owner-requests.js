// @ts-check
/** Asks the server about its language model, as its owner. */

/** @typedef {import("./offer.js").State} State */
/** @typedef {import("./offer.js").Choice} Choice */

const ADDRESS = new URL("v1/language_model", document.baseURI);

/** @param {string} key "" for none @returns {Promise<State | null>} null when it does not say */
export async function ask(key) {
  const response = await send("GET", key);
  return response?.ok ? await response.json().catch(() => null) : null;
}

/** @param {string} key @param {Choice} choice @returns {Promise<string>} why not; "" when it began */
export async function use(key, { name, url }) {
  const response = await send("POST", key, JSON.stringify({ name, url }));
  if (!response) return "The server does not answer.";
  if (response.ok) return "";
  const body = await response.json().catch(() => null);
  return String(body?.error?.message ?? response.status);
}

/** @param {string} key */
export async function stop(key) {
  await send("DELETE", key);
}

/** @param {string} method @param {string} key @param {string} [body] @returns {Promise<Response | null>} */
async function send(method, key, body) {
  /** @type {Record<string, string>} */
  const headers = key ? { Authorization: `Bearer ${key}` } : {};
  if (body) headers["Content-Type"] = "application/json";
  try {
    return await fetch(ADDRESS, { method, headers, body: body ?? null, cache: "no-store" });
  } catch {
    return null;
  }
}
