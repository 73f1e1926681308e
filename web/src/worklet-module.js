// @ts-check
/** Loads the code of an audio worklet, also over a link that breaks meanwhile. */

/** Waits between the tries: together the time in which a link that is lost usually comes back. */
const DELAYS_MS = [200, 400, 800, 1_600, 3_200, 6_400];

/**
 * Like `addModule`, which asks once. What waits for the node waits on.
 * @param {AudioContext} context @param {string} path beside this file
 * @returns {Promise<void>}
 */
export async function addModule(context, path) {
  const url = new URL(path, import.meta.url);
  for (const [i, delayMs] of DELAYS_MS.entries()) {
    try {
      return await context.audioWorklet.addModule(url);
    } catch (error) {
      if (context.state === "closed") throw error;
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      url.search = `try=${i + 2}`; // a context keeps what failed by its address, and asks no more for it
    }
  }
  return context.audioWorklet.addModule(url);
}
