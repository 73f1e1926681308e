// @ts-check
/**
 * What the page must know so that its session can go on in another connection: the server's ticket,
 * how many messages came, what was played, what the server may lack, what it cannot take yet. Pure.
 */

import { CLOSE_LOST, CLOSE_RESTART } from "./backoff.js";
import { HEADER_BYTES } from "./frames.js";

/** Of events and audio together; half a minute of microphone. */
export const MAX_KEPT_BYTES = 1024 * 1024;
/** So much audio is kept while there is no connection, or it cannot be sent. */
export const MAX_AWAY_S = 5;
const ACK_EVERY_MESSAGES = 32;
/** Largest sample of 32,768 in audio that holds no speech near by. */
const QUIET_PEAK = 600;
/** What the server need not be told again. */
const PASSING = new Set(["antiphon.playout", "antiphon.ack"]);

/**
 * @typedef {object} Kept
 * @property {string | ArrayBuffer} message
 * @property {number} number of an event: which one it is, from 1; of a frame: its sequence number
 * @property {number} seconds of audio
 * @property {boolean} quiet
 */

/** Events and frames that the server has not acknowledged, in the order they were sent. */
export class Unacknowledged {
  /** @type {Kept[]} */
  #kept = [];
  #bytes = 0;
  #events = 0;
  /** @type {number | null} */
  #awayS = null;
  #newest = -1;
  /** While frames are held back: the newest one that was sent. @type {number | null} */
  #sent = null;
  #heldS = 0;

  /** @param {string} text @param {boolean} passing count it, and keep nothing */
  addEvent(text, passing = false) {
    this.#events++;
    if (!passing) this.#add({ message: text, number: this.#events, seconds: 0, quiet: false });
  }

  /**
   * @param {ArrayBuffer} frame kept as it is @param {number} seq @param {number} sampleRateHz 0 for no audio
   * @returns {number} how many that are held back had to go for it
   */
  addFrame(frame, seq, sampleRateHz) {
    const pcm = new Int16Array(frame, HEADER_BYTES);
    const quiet = pcm.every((sample) => Math.abs(sample) < QUIET_PEAK);
    const seconds = sampleRateHz ? pcm.length / sampleRateHz : 0;
    this.#newest = seq;
    return this.#add({ message: frame, number: seq, seconds, quiet });
  }

  /** There is no connection from now on. */
  away() {
    this.#awayS ??= this.#heldS;
    this.letGo();
  }

  get holding() {
    return this.#sent !== null;
  }

  /** Hold new frames back. */
  hold() {
    this.#sent ??= this.#newest;
  }

  /** The oldest frame that is held back; it counts as sent. @returns {ArrayBuffer | null} */
  nextHeld() {
    const held = this.#sent === null ? null : this.#kept.find((one) => this.#isHeld(one));
    if (!held) return null;
    this.#sent = held.number;
    this.#heldS -= held.seconds;
    return /** @type {ArrayBuffer} */ (held.message);
  }

  /** Hold no more back. */
  letGo() {
    this.#sent = null;
    this.#heldS = 0;
  }

  /** Forget what the server has. @param {number} eventsReceived @param {number | null} lastFrame */
  acknowledge(eventsReceived, lastFrame) {
    this.#kept = this.#kept.filter(({ message, number }) =>
      number > (typeof message === "string" ? eventsReceived : (lastFrame ?? -1)),
    );
    this.#bytes = this.#kept.reduce((sum, { message }) => sum + bytesOf(message), 0);
  }

  /**
   * What the server lacks, to be sent again; it counts as sent from now on.
   * @param {number} eventsReceived @param {number | null} lastFrame
   */
  resumed(eventsReceived, lastFrame) {
    this.acknowledge(eventsReceived, lastFrame);
    this.#awayS = null;
    this.#events = eventsReceived;
    for (const one of this.#kept) if (typeof one.message === "string") one.number = ++this.#events;
    return this.#kept.map(({ message }) => message);
  }

  /** @param {Kept} one */
  #isHeld({ message, number }) {
    return this.#sent !== null && typeof message !== "string" && number > this.#sent;
  }

  /** @param {Kept} one @returns {number} how many that are held back had to go for it */
  #add(one) {
    let gone = 0;
    this.#kept.push(one);
    this.#bytes += bytesOf(one.message);
    if (this.#isHeld(one)) {
      this.#heldS += one.seconds;
      for (; this.#heldS > MAX_AWAY_S + 0.001; gone++) {
        this.#heldS -= this.#dropOldestAudio((each) => this.#isHeld(each));
      }
    } else if (this.#awayS !== null) {
      this.#awayS += one.seconds;
      while (this.#awayS > MAX_AWAY_S + 0.001) this.#awayS -= this.#dropOldestAudio();
    }
    while (this.#bytes > MAX_KEPT_BYTES) {
      if (!this.#dropOldestAudio()) this.#drop(0);
    }
    return gone;
  }

  /** A quiet frame if there is any. @param {(one: Kept) => boolean} [of] @returns {number} its seconds, 0 when there is none */
  #dropOldestAudio(of = () => true) {
    const quiet = this.#kept.findIndex((one) => one.quiet && one.seconds > 0 && of(one));
    const oldest = quiet >= 0 ? quiet : this.#kept.findIndex((one) => one.seconds > 0 && of(one));
    return oldest < 0 ? 0 : this.#drop(oldest);
  }

  /** @param {number} index @returns {number} the seconds that are gone */
  #drop(index) {
    const [dropped] = /** @type {[Kept]} */ (this.#kept.splice(index, 1));
    this.#bytes -= bytesOf(dropped.message);
    return dropped.seconds;
  }
}

/** One session, whichever connection it has. */
export class Resumption {
  unacknowledged = new Unacknowledged();
  /** How long the server waits for this page. */
  withinMs = 0;
  /** The server asked to come back after so long. */
  afterMs = 0;
  #claim = "";
  #received = 0;
  #acknowledged = 0;
  #newest = { stream: -1, itemId: "", samples: 0 };
  /** @type {{item_id: unknown, played_ms: unknown} | null} */
  #position = null;

  /** @param {number} code that the connection ended with */
  mayFollow(code) {
    return this.#claim !== "" && (code === CLOSE_LOST || code === CLOSE_RESTART);
  }

  /** The subprotocol that asks for the session. */
  get claim() {
    return this.#claim;
  }

  /** The first message of the new connection. */
  get request() {
    const { itemId, samples } = this.#newest;
    return {
      type: "antiphon.resume",
      last_seq: this.#received,
      ...this.#position,
      ...(itemId ? { received_item_id: itemId, received_samples: samples } : {}),
    };
  }

  /** A message came. @returns {Record<string, unknown> | null} the acknowledgement, when one is due */
  count() {
    this.#received++;
    if (!this.#claim || this.#received - this.#acknowledged < ACK_EVERY_MESSAGES) return null;
    this.#acknowledged = this.#received;
    return { type: "antiphon.ack", seq: this.#received };
  }

  /** @param {any} event of the server @returns {boolean} it is about the connection alone */
  onEvent(event) {
    switch (event.type) {
      case "antiphon.session":
        this.#claim = `antiphon.resume.${event.session_id}.${event.resume_token}`;
        this.withinMs = event.resume_within_s * 1000;
        return true;
      case "antiphon.ack":
        this.unacknowledged.acknowledge(event.events_received, event.last_frame ?? null);
        return true;
      case "antiphon.reconnect":
        this.afterMs = event.after_ms;
        return true;
      case "antiphon.audio.started":
        this.#newest = { stream: event.stream, itemId: event.item_id, samples: 0 };
        return false;
      default:
        return false;
    }
  }

  /** @param {import("./frames.js").AudioFrame} frame of the server */
  onAudio({ stream, timestamp, pcm }) {
    if (stream === this.#newest.stream) this.#newest.samples = timestamp + pcm.length;
  }

  /** The page says something. @param {any} event @param {string} text the same @param {boolean} away */
  onSend(event, text, away) {
    const passing = PASSING.has(event.type);
    if (event.type === "antiphon.playout") {
      this.#position = { item_id: event.item_id, played_ms: event.played_ms };
    }
    if (!passing || !away) this.unacknowledged.addEvent(text, passing);
  }
}

/** @param {string | ArrayBuffer} message */
function bytesOf(message) {
  return typeof message === "string" ? message.length : message.byteLength;
}
