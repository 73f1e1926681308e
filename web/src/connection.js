// @ts-check
/**
 * The WebSocket to the gateway. Connects again after a loss, as long as `backoff.js` says so and
 * `close` was not called. The subprotocol `antiphon.v1` is required: audio goes as binary frames.
 */

import { retryDelayMs } from "./backoff.js";
import * as frames from "./frames.js";
import { keySubprotocols, refusal } from "./handshake.js";

const SUBPROTOCOLS = ["antiphon.v1", "realtime"];
/** Audio waiting in the socket at most; newer audio is dropped until the network keeps up. */
const MAX_UNSENT_S = 1;
const ENCODED_BYTES_PER_S = 16_000;

/**
 * @typedef {{state: "connecting"} | {state: "open"}
 *   | {state: "waiting", code: number, reason: string, delayMs: number}
 *   | {state: "closed", code: number, reason: string}} Link
 *   `code` is the WebSocket's, or the HTTP status of a refused handshake
 */

/**
 * @typedef {object} Listener
 * @property {(link: Link) => void} onLink
 * @property {(event: any) => void} onEvent
 * @property {(frame: frames.AudioFrame) => void} onAudio
 */

export class Connection {
  /** Access key, "" for none. */
  key = "";
  framesSent = 0;
  framesDropped = 0;
  malformedFrames = 0;
  /** Counts the sockets, so that a stream can tell that it began on an older one. */
  sockets = 0;
  #url;
  #listener;
  /** @type {WebSocket | null} */
  #socket = null;
  #seq = 0;
  #attempt = 0;
  #hadSession = false;
  #ready = false;
  /** The socket of this attempt was open. */
  #opened = false;
  #retryTimer = 0;

  /** @param {string} url @param {Listener} listener */
  constructor(url, listener) {
    this.#url = url;
    this.#listener = listener;
  }

  open() {
    this.#attempt = 0;
    this.#hadSession = false;
    this.#connect();
  }

  /** Leave for good; nothing is reported any more. */
  close() {
    clearTimeout(this.#retryTimer);
    const socket = this.#socket;
    this.#socket = null;
    this.#ready = false;
    socket?.close(1000);
  }

  /** @param {Record<string, unknown>} event */
  send(event) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(event));
  }

  /**
   * Send one chunk of the microphone. A chunk that cannot be sent is dropped; its sequence number
   * is skipped, so that the server sees the loss.
   * @param {ArrayBuffer} buffer room for the header, then PCM16
   * @param {number} timestamp capture time in microseconds
   * @param {number} sampleRateHz
   * @returns {boolean} false when the network does not keep up
   */
  sendMicrophone(buffer, timestamp, sampleRateHz) {
    if (!this.ready) return true;
    return this.#sendFrame(buffer, frames.MICROPHONE, timestamp, sampleRateHz);
  }

  /**
   * Send a chunk of compressed audio, at most 64 KiB.
   * @param {ArrayBuffer} content @param {number} timestamp capture time in microseconds
   * @returns {boolean} false when it could not be sent
   */
  sendEncoded(content, timestamp) {
    if (!this.ready) return false;
    const buffer = new ArrayBuffer(frames.HEADER_BYTES + content.byteLength);
    new Uint8Array(buffer, frames.HEADER_BYTES).set(new Uint8Array(content));
    return this.#sendFrame(buffer, frames.ENCODED, timestamp, 0);
  }

  /** Tell that nothing was heard until then. @param {number} untilUs capture time */
  sendSilence(untilUs) {
    if (this.ready) this.#sendFrame(new ArrayBuffer(frames.HEADER_BYTES), frames.SILENCE, untilUs, 0);
  }

  /** The server takes audio. */
  get ready() {
    return this.#ready && this.#socket?.readyState === WebSocket.OPEN;
  }

  /**
   * @param {ArrayBuffer} buffer @param {number} kind @param {number} timestamp
   * @param {number} sampleRateHz @returns {boolean}
   */
  #sendFrame(buffer, kind, timestamp, sampleRateHz) {
    const socket = /** @type {WebSocket} */ (this.#socket);
    const seq = this.#seq++;
    const unsentBytes = MAX_UNSENT_S * (2 * sampleRateHz || ENCODED_BYTES_PER_S);
    if (socket.bufferedAmount > unsentBytes) {
      this.framesDropped++;
      return false;
    }
    frames.writeHeader(buffer, { kind, seq, timestamp, sampleRateHz, stream: 0 });
    socket.send(buffer);
    this.framesSent++;
    return true;
  }

  #connect() {
    this.#listener.onLink({ state: "connecting" });
    const socket = new WebSocket(this.#url, [...SUBPROTOCOLS, ...keySubprotocols(this.key)]);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    this.sockets++;
    this.#seq = 0;
    this.#opened = false;
    this.#attempt++;
    socket.onopen = () => this.#onOpen(socket);
    socket.onmessage = ({ data }) => this.#onMessage(socket, data);
    socket.onclose = ({ code, reason }) => void this.#onClose(socket, code, reason);
  }

  /** @param {WebSocket} socket */
  #onOpen(socket) {
    if (socket !== this.#socket) return;
    this.#opened = true;
    if (socket.protocol === SUBPROTOCOLS[0]) {
      this.#listener.onLink({ state: "open" });
      return;
    }
    this.close();
    const reason = "The server does not speak the protocol antiphon.v1.";
    this.#listener.onLink({ state: "closed", code: 1008, reason });
  }

  /** @param {WebSocket} socket @param {string | ArrayBuffer} message */
  #onMessage(socket, message) {
    if (socket !== this.#socket) return;
    if (typeof message === "string") {
      const event = JSON.parse(message);
      if (event.type === "session.created") {
        this.#attempt = 0;
        this.#hadSession = true;
        this.#ready = true;
      }
      this.#listener.onEvent(event);
      return;
    }
    try {
      this.#listener.onAudio(frames.decode(message));
    } catch (error) {
      if (!(error instanceof frames.MalformedAudioFrame)) throw error;
      this.malformedFrames++;
    }
  }

  /** @param {WebSocket} socket @param {number} code @param {string} reason */
  async #onClose(socket, code, reason) {
    if (socket !== this.#socket) return;
    this.#ready = false;
    const refused = this.#opened ? null : await refusal(this.#url, this.key);
    if (socket !== this.#socket) return; // left meanwhile
    this.#socket = null;
    if (refused) this.#retry(refused.status, refused.reason);
    else this.#retry(code, reason);
  }

  /** @param {number} code @param {string} reason */
  #retry(code, reason) {
    const attempt = Math.max(1, this.#attempt);
    const closed = { code, reason, attempt, hadSession: this.#hadSession };
    const delayMs = retryDelayMs(closed, Math.random());
    if (delayMs === null) {
      this.#listener.onLink({ state: "closed", code, reason });
      return;
    }
    this.#listener.onLink({ state: "waiting", code, reason, delayMs });
    this.#retryTimer = setTimeout(() => this.#connect(), delayMs);
  }
}
