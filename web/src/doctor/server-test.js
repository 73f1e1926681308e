// @ts-check
/** Opens a session and asks it for nothing, over and over: whether there is one, and how far it is. */

import { keySubprotocols, refusal } from "../handshake.js";

const TRIPS = 20;
const PATIENCE_MS = 10_000;

/**
 * @param {string} url of the WebSocket @param {string} key "" for none
 * @returns {Promise<{status: number, reason: string, tripsMs: number[]}>} status 101: a session
 */
export async function testServer(url, key) {
  const socket = new WebSocket(url, ["antiphon.v1", "realtime", ...keySubprotocols(key)]);
  socket.binaryType = "arraybuffer";
  /** @type {number[]} */
  const tripsMs = [];
  try {
    if (!(await next(socket, "session.created"))) {
      const refused = await refusal(url, key);
      return { status: refused?.status ?? 0, reason: refused?.reason ?? "", tripsMs };
    }
    for (let i = 0; i < TRIPS; i++) {
      const began = performance.now();
      socket.send(JSON.stringify({ type: "session.update", session: { type: "realtime" } }));
      if (!(await next(socket, "session.updated"))) break;
      tripsMs.push(performance.now() - began);
    }
    return { status: 101, reason: "", tripsMs };
  } finally {
    socket.close(1000);
  }
}

/** Wait for an event. @param {WebSocket} socket @param {string} type @returns {Promise<boolean>} whether it came */
function next(socket, type) {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), PATIENCE_MS);
    const end = (/** @type {boolean} */ came) => {
      clearTimeout(timer);
      resolve(came);
    };
    socket.onclose = () => end(false);
    socket.onmessage = ({ data }) => {
      if (typeof data === "string" && JSON.parse(data).type === type) end(true);
    };
  });
}
