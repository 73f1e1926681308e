// @ts-check
/** What the session asks the page to do. Pure. */

/** How loud a reply is played; half, while only this page thinks that somebody speaks over it.
 * Paused, it stands still.
 * @typedef {"full" | "half-ducked" | "ducked" | "paused"} Loudness */

/**
 * @typedef {{do: "connect"} | {do: "disconnect"}
 *   | {do: "start-microphone"} | {do: "stop-audio"}
 *   | {do: "send", event: Record<string, unknown>}
 *   | {do: "open-stream", stream: number, itemId: string, sampleRateHz: number}
 *   | {do: "end-stream", stream: number}
 *   | {do: "end-utterance"}
 *   | {do: "flush"} | {do: "duck", to: Loudness}} Command
 */

/**
 * @param {string} type
 * @param {Record<string, unknown>} [fields]
 * @returns {Command}
 */
export function send(type, fields = {}) {
  return { do: "send", event: { type, ...fields } };
}

/** @param {string} id of the item @param {string} text @returns {Command[]} */
export function askInWriting(id, text) {
  const content = [{ type: "input_text", text }];
  const item = { id, type: "message", role: "user", content };
  return [send("conversation.item.create", { item }), send("response.create")];
}
