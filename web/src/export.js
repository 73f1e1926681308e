// @ts-check
/** The transcript as text and as JSON. Pure. */

/** @typedef {import("./transcript.js").Entry} Entry */

const NAMES = { user: "You", assistant: "Antiphon" };

/** @param {readonly Entry[]} entries */
export function transcriptText(entries) {
  return written(entries)
    .map(({ role, text, interrupted }) => {
      return `${NAMES[role]}: ${text.trim()}${interrupted ? " [interrupted]" : ""}\n`;
    })
    .join("\n");
}

/** @param {readonly Entry[]} entries @param {string} savedAt ISO 8601 */
export function transcriptJson(entries, savedAt) {
  const items = written(entries).map(({ id, role, text, final, interrupted }) => {
    return { id, role, text: text.trim(), final, interrupted };
  });
  return `${JSON.stringify({ saved_at: savedAt, items }, null, 2)}\n`;
}

/** @param {readonly Entry[]} entries */
function written(entries) {
  return entries.filter(({ text }) => text.trim());
}
