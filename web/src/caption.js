// @ts-check
/** The state of the page in one line. Pure. */

/**
 * @param {import("./session.js").Session} session
 * @param {boolean} ready the server's session stands
 * @param {number} retryInS seconds until the next try to connect
 */
export function caption({ phase, link, active, muted, ducked }, ready, retryInS) {
  if (link === "waiting") return `Connection lost. Trying again in ${retryInS} s`;
  switch (phase) {
    case "idle":
      return active ? "Connected. Tap to talk, or type" : "Tap to talk, or type";
    case "connecting":
      return ready ? "Starting the microphone" : "Connecting";
    case "listening":
      return muted ? "Muted" : "Listening";
    case "thinking":
      return "Thinking";
    case "speaking":
      return ducked ? "Speaking quietly" : "Speaking";
    case "error":
      return "Not connected";
  }
}
