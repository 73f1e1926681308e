// @ts-check
/** Pure: what is said of the language model that answers, and of those that could instead. */

/**
 * @typedef {object} Offer a model that is there and could answer
 * @property {string} name
 * @property {string} url
 * @property {string} title
 * @property {string} server what runs it; "" for the embedded engine
 * @property {number} size_bytes 0: not told
 *
 * @typedef {object} Proposal a model to fetch
 * @property {string} name
 * @property {string} url
 * @property {string} title
 * @property {number} size_bytes
 * @property {string} licence
 *
 * @typedef {object} Change
 * @property {string} name
 * @property {string} url
 * @property {"fetching" | "switching" | "done" | "failed" | "stopped"} state
 * @property {number} done_bytes
 * @property {number} total_bytes 0: not known
 * @property {string} problem
 * @property {string} keep lines of a configuration that keep it
 *
 * @typedef {object} State the answer of `/v1/language_model`
 * @property {{engine: string, model: string, demonstration: boolean} | null} answers
 * @property {boolean} can_switch
 * @property {readonly Offer[]} offers
 * @property {Proposal | null} proposal
 * @property {Change | null} change
 *
 * @typedef {object} Choice one model that can be asked for
 * @property {string} name
 * @property {string} url
 * @property {string} title
 * @property {string} text with its size, and what fetching it means
 * @property {boolean} fetches
 *
 * @typedef {object} Progress
 * @property {string} text
 * @property {string} figures
 * @property {number | null} part 0..1; null: not known
 * @property {boolean} stoppable
 * @property {boolean} ended
 */

const GOES_ON = "Your conversation goes on.";

/** @param {number} bytes */
export function size(bytes) {
  if (bytes >= 1e9) return `${(bytes / 1e9).toFixed(1)} GB`;
  return `${Math.round(bytes / 1e6)} MB`;
}

/** All that can be asked for: what is there, then what can be fetched. @param {State} state @returns {Choice[]} */
export function choices({ offers, proposal }) {
  const there = offers.map((offer) => ({
    name: offer.name,
    url: offer.url,
    title: offer.title,
    text: described(offer.title, offer.server || "embedded", offer.size_bytes),
    fetches: false,
  }));
  if (!proposal) return there;
  const text = `${proposal.title} (${size(proposal.size_bytes)} to fetch, licence ${proposal.licence})`;
  return [...there, { ...picked(proposal), text, fetches: true }];
}

/** What is better than the model that only shows that everything works. @param {State} state @returns {Choice[]} */
export function better(state) {
  const { answers, can_switch } = state;
  if (!can_switch || !answers?.demonstration) return [];
  return choices(state).filter(({ name }) => name !== answers.model);
}

/** The name by which somebody who wants it later remembers an offer. @param {readonly Choice[]} offered */
export function nameOf(offered) {
  return offered.map(({ name, url }) => `${name} ${url}`).join("\n");
}

/** The sentences of the notice. @param {State} state @param {readonly Choice[]} offered at least one */
export function invitation({ offers }, offered) {
  const { name, url, title, text, fetches } = /** @type {Choice} */ (offered[0]);
  const small = "A tiny model answers now, to show that everything works.";
  if (fetches) return `${small} This machine can run a better one: ${text}. ${GOES_ON}`;
  const server = offers.find((offer) => offer.name === name && offer.url === url)?.server;
  const where = server ? `${capital(server)} on this machine` : "This server";
  const what = offered.length > 1 ? "better ones" : `a better one: ${title}`;
  return `${small} ${where} has ${what}. ${GOES_ON}`;
}

/** How far a change is. @param {State} state @returns {Progress | null} */
export function progress(state) {
  const { change } = state;
  if (!change) return null;
  const title = titleOf(state, change);
  const none = { figures: "", part: null, stoppable: false, ended: true };
  switch (change.state) {
    case "fetching":
      return {
        text: `Fetching ${title}. Until it is here, the model before answers.`,
        figures: change.total_bytes
          ? `${size(change.done_bytes)} of ${size(change.total_bytes)}`
          : "Begins",
        part: change.total_bytes ? change.done_bytes / change.total_bytes : null,
        stoppable: true,
        ended: false,
      };
    case "switching":
      return { ...none, text: `Switching to ${title}. Until it is ready, the model before answers.`, ended: false };
    case "done":
      return { ...none, text: `${title} answers from now on.` };
    case "stopped":
      return { ...none, text: `Stopped. What came of ${title} is kept for the next time.` };
    default:
      return { ...none, text: `${title} does not answer, the model before goes on: ${change.problem}` };
  }
}

/** @param {State} state @returns {string} */
export function answersNow({ answers }) {
  if (!answers) return "No language model answers now.";
  const which = answers.demonstration ? " It is tiny, and there to show that everything works." : "";
  return `${answers.model || "The server's own choice"} answers now.${which}`;
}

/** Whether a choice is what answers. @param {State} state @param {Choice} choice */
export function isCurrent({ answers }, { name }) {
  return answers !== null && (name === answers.model || name === `${answers.engine}:${answers.model}`);
}

/** @param {State} state @param {Change} change */
function titleOf(state, change) {
  const all = choices(state);
  const found = all.find(({ name, url }) => name === change.name && url === change.url);
  return found?.title ?? change.name;
}

/** @param {Proposal} proposal */
function picked({ name, url, title }) {
  return { name, url, title };
}

/** @param {string} title @param {string} server @param {number} bytes */
function described(title, server, bytes) {
  return bytes ? `${title} (${server}, ${size(bytes)})` : `${title} (${server})`;
}

/** @param {string} text */
function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
