// @ts-check
/**
 * The WebSocket to the gateway. After a loss it asks for the same session, as long as the server keeps
 * it; then, as long as `backoff.js` says so and `close` was not called, for a new one. The subprotocol
 * `antiphon.v1` is required: audio goes as binary frames.
 */

import { CLOSE_LOST, resumeDelayMs, retryDelayMs } from "./backoff.js";
import * as frames from "./frames.js";
import { FOREIGN, UNAUTHORISED, keySubprotocols, refusal, waitingUrl } from "./handshake.js";
import { Resumption } from "./resume.js";

const SUBPROTOCOLS = ["antiphon.v1", "realtime"];
/** Audio waiting in the socket at most, a second of it; more is held back until the network keeps up. */
const MAX_UNSENT_BYTES = 32_000;
/** What means the audio before it. */
const BEHIND_AUDIO = new Set(["input_audio_buffer.commit", "input_audio_buffer.clear"]);
/** For one try to have the session back. */
const RESUME_PATIENCE_MS = 5_000;

/**
 * @typedef {{state: "connecting"} | {state: "open"}
 *   | {state: "resuming"} | {state: "resumed"} | {state: "anew"}
 *   | {state: "waiting", code: number, reason: string, delayMs: number, position?: number}
 *   | {state: "closed", code: number, reason: string}} Link
 *   `code` is the WebSocket's, or the HTTP status of a refused handshake; `position` the place among
 *   those who wait for a session; "anew" follows the `session.created` of a session that stands for
 *   one that could not be resumed
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
  /** Counts the sessions. */
  sessions = 0;
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
  /** The server asked to hold the microphone back. */
  #paused = false;
  #resumption = new Resumption();
  /** Tries to have the session back, and until when that makes sense. @type {{attempt: number, untilMs: number} | null} */
  #resuming = null;
  /** The next session stands for one that was lost. */
  #anew = false;

  /** @param {string} url @param {Listener} listener */
  constructor(url, listener) {
    this.#url = waitingUrl(url);
    this.#listener = listener;
  }

  open() {
    this.#attempt = 0;
    this.#hadSession = false;
    this.#resuming = null;
    this.#anew = false;
    this.#connect();
  }

  /** Leave for good; nothing is reported any more. */
  close() {
    clearTimeout(this.#retryTimer);
    this.#ready = false;
    this.#resuming = null;
    this.#leave(1000);
  }

  /** Send an event, now or when the session goes on. @param {Record<string, unknown>} event */
  send(event) {
    const open = !this.#resuming && this.#socket?.readyState === WebSocket.OPEN;
    if (!open && !this.takesMore) return;
    const text = JSON.stringify(event);
    if (open && BEHIND_AUDIO.has(/** @type {string} */ (event["type"]))) this.#sendHeld(Infinity);
    this.#resumption.onSend(event, text, !open);
    if (open) this.#socket?.send(text);
  }

  /**
   * Send one chunk of the microphone, or hold it back until the server and the network can take it.
   * @param {ArrayBuffer} buffer room for the header, then PCM16
   * @param {number} timestamp capture time in microseconds
   * @param {number} sampleRateHz
   * @returns {boolean} false when audio is lost for it
   */
  sendMicrophone(buffer, timestamp, sampleRateHz) {
    if (!this.takesMore) return true;
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
    if (!this.takesMore) return;
    this.#sendFrame(new ArrayBuffer(frames.HEADER_BYTES), frames.SILENCE, untilUs, 0);
  }

  /** The server takes audio. */
  get ready() {
    return this.#ready && !this.#resuming && this.#socket?.readyState === WebSocket.OPEN;
  }

  /** There is a session; what it cannot take now is kept for it. */
  get takesMore() {
    return this.ready || this.#resuming !== null;
  }

  /**
   * @param {ArrayBuffer} buffer @param {number} kind @param {number} timestamp
   * @param {number} sampleRateHz @returns {boolean}
   */
  #sendFrame(buffer, kind, timestamp, sampleRateHz) {
    const socket = this.ready ? this.#socket : null;
    const { unacknowledged } = this.#resumption;
    const seq = this.#seq++;
    const full = socket !== null && socket.bufferedAmount > MAX_UNSENT_BYTES;
    if (full && kind === frames.ENCODED) {
      this.framesDropped++;
      return false;
    }
    frames.writeHeader(buffer, { kind, seq, timestamp, sampleRateHz, stream: 0 });
    this.framesSent++;
    if (kind === frames.ENCODED) {
      socket?.send(buffer);
      return true;
    }
    if (full) unacknowledged.hold();
    // The caller uses its buffer again.
    const dropped = unacknowledged.addFrame(buffer.slice(0), seq, sampleRateHz);
    this.framesDropped += dropped;
    if (!unacknowledged.holding) socket?.send(buffer);
    else if (!this.#paused) this.#sendHeld(MAX_UNSENT_BYTES);
    return dropped === 0;
  }

  /** Send what is held back, as long as no more than this waits in the socket. @param {number} unsentBytes */
  #sendHeld(unsentBytes) {
    const { unacknowledged } = this.#resumption;
    while (this.ready && /** @type {WebSocket} */ (this.#socket).bufferedAmount <= unsentBytes) {
      const frame = unacknowledged.nextHeld();
      if (!frame) {
        if (!this.#paused) unacknowledged.letGo();
        return;
      }
      this.#socket?.send(frame);
    }
  }

  #connect() {
    const claim = this.#resuming ? [this.#resumption.claim] : [];
    if (!this.#resuming) this.#listener.onLink({ state: "connecting" });
    const socket = new WebSocket(this.#url, [...SUBPROTOCOLS, ...claim, ...keySubprotocols(this.key)]);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    this.sockets++;
    this.#opened = this.#paused = false;
    if (this.#resuming) {
      this.#retryTimer = setTimeout(() => this.#onClose(socket, CLOSE_LOST, ""), RESUME_PATIENCE_MS);
    } else {
      this.#resumption = new Resumption();
      this.#attempt++;
    }
    socket.onopen = () => this.#onOpen(socket);
    socket.onmessage = ({ data }) => this.#onMessage(socket, data);
    socket.onclose = ({ code, reason }) => void this.#onClose(socket, code, reason);
  }

  /** @param {WebSocket} socket */
  #onOpen(socket) {
    if (socket !== this.#socket) return;
    this.#opened = true;
    if (socket.protocol === SUBPROTOCOLS[0]) {
      if (this.#resuming) socket.send(JSON.stringify(this.#resumption.request));
      else this.#listener.onLink({ state: "open" });
      return;
    }
    this.close();
    const reason = "The server does not speak the protocol antiphon.v1.";
    this.#listener.onLink({ state: "closed", code: 1008, reason });
  }

  /** @param {WebSocket} socket @param {string | ArrayBuffer} message */
  #onMessage(socket, message) {
    if (socket !== this.#socket) return;
    const event = typeof message === "string" ? JSON.parse(message) : null;
    if (this.#resuming && event && this.#onAnswer(socket, event)) return;
    const due = this.#resumption.count();
    if (due) this.send(due);
    if (event) this.#onEvent(event);
    else this.#onAudio(/** @type {ArrayBuffer} */ (message));
  }

  /** @param {any} event */
  #onEvent(event) {
    if (this.#resumption.onEvent(event)) return;
    if (event.type === "antiphon.flow") this.#pause(event.microphone === "pause");
    const begins = event.type === "session.created";
    if (begins) {
      this.#attempt = 0;
      this.#seq = 0;
      this.sessions++;
      this.#hadSession = true;
      this.#ready = true;
    }
    this.#listener.onEvent(event);
    if (begins && this.#anew) {
      this.#anew = false;
      this.#listener.onLink({ state: "anew" });
    }
  }

  /** @param {boolean} paused */
  #pause(paused) {
    this.#paused = paused;
    if (paused) this.#resumption.unacknowledged.hold();
    else this.#sendHeld(MAX_UNSENT_BYTES);
  }

  /** @param {ArrayBuffer} message */
  #onAudio(message) {
    try {
      const frame = frames.decode(message);
      this.#resumption.onAudio(frame);
      this.#listener.onAudio(frame);
    } catch (error) {
      if (!(error instanceof frames.MalformedAudioFrame)) throw error;
      this.malformedFrames++;
    }
  }

  /**
   * The first message of a connection that asked for the session.
   * @param {WebSocket} socket @param {any} event @returns {boolean} it says no more than that
   */
  #onAnswer(socket, event) {
    clearTimeout(this.#retryTimer);
    if (event.type === "antiphon.resumed") {
      this.#resuming = null;
      const { unacknowledged } = this.#resumption;
      for (const message of unacknowledged.resumed(event.events_received, event.last_frame ?? null)) {
        socket.send(message);
      }
      this.#listener.onLink({ state: "resumed" });
      return true;
    }
    if (event.type === "session.created") {
      this.#lose();
      this.#listener.onLink({ state: "waiting", code: CLOSE_LOST, reason: "", delayMs: 0 });
      this.#listener.onLink({ state: "open" });
      // The server has counted the request as an event of the new session.
      this.#resumption.unacknowledged.addEvent("", true);
      return false;
    }
    this.#lose();
    this.#leave(1000);
    this.#retry(CLOSE_LOST, "");
    return true;
  }

  /** @param {WebSocket} socket @param {number} code @param {string} reason */
  async #onClose(socket, code, reason) {
    if (socket !== this.#socket) return;
    clearTimeout(this.#retryTimer);
    if (this.#resumption.mayFollow(code) && this.#ready && !this.#resuming) {
      this.#leave();
      const untilMs = performance.now() + this.#resumption.withinMs;
      this.#resuming = { attempt: 1, untilMs };
      this.#resumption.unacknowledged.away();
      this.#listener.onLink({ state: "resuming" });
      this.#resume(this.#resumption.afterMs);
      this.#resumption.afterMs = 0;
      return;
    }
    const refused = this.#opened ? null : await refusal(this.#url, this.key);
    if (socket !== this.#socket) return; // left meanwhile
    this.#leave();
    const final = refused?.status === UNAUTHORISED || refused?.status === FOREIGN;
    if (this.#resuming && !final && performance.now() < this.#resuming.untilMs) {
      this.#resume(resumeDelayMs(this.#resuming.attempt++, Math.random()));
      return;
    }
    if (this.#resuming) this.#lose();
    this.#ready = false;
    if (refused) this.#retry(refused.status, refused.reason, refused.position);
    else this.#retry(code, reason);
  }

  /** @param {number} delayMs */
  #resume(delayMs) {
    this.#retryTimer = setTimeout(() => this.#connect(), delayMs);
  }

  /** The session cannot be had back. */
  #lose() {
    this.#resuming = null;
    this.#ready = false;
    this.#anew = true;
    this.#resumption = new Resumption();
  }

  /** Have nothing more to do with the socket. @param {number} [code] */
  #leave(code) {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close(code);
  }

  /** @param {number} code @param {string} reason @param {number} [position] among those who wait */
  #retry(code, reason, position) {
    const attempt = Math.max(1, this.#attempt);
    const closed = { code, reason, attempt, hadSession: this.#hadSession };
    const delayMs = retryDelayMs(closed, Math.random());
    if (delayMs === null) {
      this.#listener.onLink({ state: "closed", code, reason });
      return;
    }
    this.#listener.onLink({ state: "waiting", code, reason, delayMs, position });
    this.#retryTimer = setTimeout(() => this.#connect(), delayMs);
  }
}
