// @ts-check
/** Single keys that do something, unless the person writes or turned them off. */

const WRITES = "input, textarea, select, [contenteditable]";

/**
 * @param {Record<string, () => void>} actions by `KeyboardEvent.key`, letters in lower case
 * @param {() => boolean} enabled
 */
export function listenForShortcuts(actions, enabled) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.repeat || !enabled()) return;
    if (/** @type {Element} */ (event.target).closest(WRITES)) return;
    const action = actions[event.key.toLowerCase()];
    if (!action) return;
    event.preventDefault();
    action();
  });
}
