// @ts-check
/** This browser's storage. Where it is blocked, what is kept lasts as long as the page. */

/** @param {string} key @returns {string} "" when nothing is kept */
export function load(key) {
  try {
    return localStorage.getItem(key) ?? "";
  } catch {
    return "";
  }
}

/** @param {string} key @param {string} value "" forgets it */
export function save(key, value) {
  try {
    if (value) localStorage.setItem(key, value);
    else localStorage.removeItem(key);
  } catch {
    // storage is blocked
  }
}
