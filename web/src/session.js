// @ts-check
/**
 * The state of the page. Pure: what happened goes in, commands come out, the view is read from the
 * properties. No sockets, no audio, no clock; time is passed in.
 */

import { caption } from "./caption.js";
import { SLOW_UPLINK, connectionProblem, eventProblem, responseProblem } from "./problems.js";
import { Playout, heardMs } from "./playout.js";
import { Transcript } from "./transcript.js";
import { Turns } from "./turns.js";

/** @typedef {import("./player.js").Report} Report */
/** @typedef {import("./problems.js").Problem} Problem */
/** @typedef {"idle" | "connecting" | "listening" | "thinking" | "speaking" | "error"} Phase */

/**
 * What the page must do next.
 * @typedef {{do: "connect"} | {do: "disconnect"}
 *   | {do: "start-microphone"} | {do: "stop-audio"}
 *   | {do: "send", event: Record<string, unknown>}
 *   | {do: "open-stream", stream: number, sampleRateHz: number}
 *   | {do: "end-stream", stream: number}
 *   | {do: "flush"} | {do: "duck", on: boolean}} Command
 */

/**
 * @typedef {{state: "connecting"} | {state: "open"}
 *   | {state: "waiting", code: number, reason: string, delayMs: number}
 *   | {state: "closed", code: number, reason: string}} Link
 */

/** Texts typed before the session stands; more are refused. */
const MAX_PENDING_TEXTS = 8;

export class Session {
  transcript = new Transcript();
  turns = new Turns();
  muted = false;
  ducked = false;
  /** The microphone is wanted. */
  voice = false;
  /** Samples reach the server. */
  microphoneOn = false;
  /** @type {Problem | null} */
  problem = null;
  /** @type {Link["state"]} */
  link = "closed";
  #retryInS = 0;
  #ready = false;
  #failed = false;
  #userSpeaking = false;
  #awaitingAnswer = false;
  /** Something was asked in writing in this session. */
  #typed = false;
  /** @type {string | null} */
  #responseId = null;
  #playout = new Playout();
  /** @type {string[]} */
  #pendingTexts = [];
  #newId;

  /** @param {() => string} newId a fresh id for an item */
  constructor(newId) {
    this.#newId = newId;
  }

  get active() {
    return this.link !== "closed";
  }

  /** @returns {Phase} */
  get phase() {
    if (!this.active) return this.#failed ? "error" : "idle";
    if (this.#playout.sounding) return "speaking";
    if (!this.#ready) return "connecting";
    if (!this.#userSpeaking && (this.#responseId || this.#awaitingAnswer)) return "thinking";
    if (!this.voice) return "idle";
    return this.microphoneOn ? "listening" : "connecting";
  }

  get caption() {
    return caption(this, this.#ready, this.#retryInS);
  }

  /** Whether audio of this stream is to be played. @param {number} stream */
  accepts(stream) {
    return this.#playout.accepts(stream);
  }

  /** Audio of a stream has arrived. @param {number} stream @param {number} clockMs */
  onAudioArrived(stream, clockMs) {
    this.#playout.arrived(stream, clockMs);
  }

  /** The button was pressed. @returns {Command[]} */
  talk() {
    if (this.voice) return this.stop();
    this.voice = true;
    this.problem = null;
    if (this.#ready) return [{ do: "start-microphone" }];
    return this.active ? [] : this.#connect();
  }

  /** End everything and release everything. @returns {Command[]} */
  stop() {
    if (!this.active) return [];
    this.#close();
    return [{ do: "disconnect" }, { do: "stop-audio" }];
  }

  /**
   * Ask in writing; connects if need be.
   * @param {string} text @param {number} nowMs @returns {Command[]}
   */
  sendText(text, nowMs) {
    const trimmed = text.trim();
    if (!trimmed) return [];
    if (!this.#ready) {
      if (this.#pendingTexts.length < MAX_PENDING_TEXTS) this.#pendingTexts.push(trimmed);
      return this.active ? [] : this.#connect();
    }
    const id = this.#newId();
    this.transcript.add(id, "user");
    this.transcript.append(id, trimmed);
    this.transcript.finish(id);
    this.#awaitingAnswer = true;
    this.#typed = true;
    this.turns.asked(nowMs);
    const content = [{ type: "input_text", text: trimmed }];
    return [
      ...this.#silence(),
      send("conversation.item.create", { item: { id, type: "message", role: "user", content } }),
      send("response.create"),
    ];
  }

  /** @param {boolean} muted */
  setMuted(muted) {
    this.muted = muted;
  }

  dismissProblem() {
    this.problem = null;
    this.#failed = false;
  }

  /** @param {Link} link @returns {Command[]} */
  onLink(link) {
    this.link = link.state;
    if (link.state === "connecting" || link.state === "open") return [];
    this.#loseConnection();
    if (link.state === "waiting") {
      this.#retryInS = Math.max(1, Math.round(link.delayMs / 1000));
      return [{ do: "flush" }, { do: "duck", on: false }];
    }
    this.#close();
    this.#failed = true;
    this.problem = connectionProblem(link.code, link.reason);
    return [{ do: "stop-audio" }];
  }

  onUplinkSlow() {
    this.problem ??= SLOW_UPLINK;
  }

  onMicrophoneOn() {
    this.microphoneOn = true;
  }

  /** A conversation in writing goes on; a spoken one ends. @param {Problem} problem @returns {Command[]} */
  onMicrophoneFailed(problem) {
    const commands = this.#typed ? [] : this.stop();
    this.voice = false;
    this.microphoneOn = false;
    this.problem = problem;
    this.#failed = !this.active;
    return commands;
  }

  /**
   * @param {Report} report @param {number} latencyMs of the audio output @param {number} nowMs
   * @returns {Command[]}
   */
  onPlayback(report, latencyMs, nowMs) {
    const voice = this.#playout.report(report);
    if (!voice) return [];
    const { itemId: item_id, contentIndex: content_index, sampleRateHz } = voice;
    if (report.event === "started") this.turns.played(voice.responseId, nowMs);
    if (report.event === "flushed") {
      const audio_end_ms = heardMs(report.playedSamples, sampleRateHz, latencyMs);
      return [send("conversation.item.truncate", { item_id, content_index, audio_end_ms })];
    }
    const ended = report.event === "ended";
    const loud = ended && this.ducked ? this.#loud() : [];
    if (ended && !this.#playout.speaks(item_id)) this.transcript.finish(item_id);
    const played_ms = heardMs(report.playedSamples, sampleRateHz, ended ? 0 : latencyMs);
    const buffered_ms = Math.floor((report.bufferedSamples * 1000) / sampleRateHz);
    const played = report.event === "started" ? firstPlayed(voice, report.clockMs, latencyMs) : [];
    return [...loud, send("antiphon.playout", { item_id, played_ms, buffered_ms }), ...played];
  }

  /** An event of the server. @param {any} event @param {number} nowMs @returns {Command[]} */
  onEvent(event, nowMs) {
    switch (event.type) {
      case "session.created":
        return this.#begin(nowMs);
      case "error":
        this.problem = eventProblem(event.error) ?? this.problem;
        return [];
      case "input_audio_buffer.speech_started":
        this.#userSpeaking = true;
        this.#awaitingAnswer = false;
        return this.#playout.busy ? this.#interrupt() : [];
      case "input_audio_buffer.speech_stopped":
        this.#userSpeaking = false;
        this.#awaitingAnswer = true;
        this.turns.asked(nowMs);
        return [];
      case "antiphon.audio.started":
        return this.#openStream(event);
      case "antiphon.duck":
        this.ducked = event.ducked && this.#playout.speaks(event.item_id);
        return [{ do: "duck", on: this.ducked }];
      case "antiphon.turn.metrics":
        this.turns.metrics(event);
        return [];
      default:
        return event.type?.startsWith("response.")
          ? this.#onResponseEvent(event)
          : this.#onItemEvent(event);
    }
  }

  /** @param {any} event @returns {Command[]} */
  #onItemEvent(event) {
    this.transcript.onEvent(event);
    switch (event.type) {
      case "conversation.item.input_audio_transcription.completed":
        if (!event.transcript.trim()) this.#awaitingAnswer = false;
        return [];
      case "conversation.item.input_audio_transcription.failed":
        this.#awaitingAnswer = false;
        this.problem = { message: "Your words were not understood.", fix: "Say them again." };
        return [];
      case "conversation.item.truncated":
        return [send("conversation.item.retrieve", { item_id: event.item_id })];
      default:
        return [];
    }
  }

  /** @param {any} event @returns {Command[]} */
  #onResponseEvent(event) {
    if (event.type === "response.created") {
      this.#responseId = event.response.id;
      this.#awaitingAnswer = false;
      this.problem = null;
      return [];
    }
    if (event.type === "response.done") return this.#endResponse(event.response);
    if (this.#playout.isInterrupted(event.response_id)) return [];
    switch (event.type) {
      case "response.output_audio_transcript.delta":
      case "response.output_text.delta":
        this.transcript.add(event.item_id, "assistant");
        this.transcript.append(event.item_id, event.delta);
        return [];
      case "response.output_audio_transcript.done":
      case "response.output_text.done":
        this.transcript.add(event.item_id, "assistant");
        this.transcript.replace(event.item_id, event.transcript ?? event.text);
        if (!this.#playout.speaks(event.item_id)) this.transcript.finish(event.item_id);
        return [];
      case "response.output_audio.done":
        return this.#endStreams((voice) => voice.itemId === event.item_id);
      default:
        return [];
    }
  }

  /** @param {any} response @returns {Command[]} */
  #endResponse(response) {
    if (this.#responseId === response.id) this.#responseId = null;
    this.problem = responseProblem(response) ?? this.problem;
    const ended = this.#endStreams((voice) => voice.responseId === response.id);
    if (response.status !== "cancelled" || this.#playout.isInterrupted(response.id)) return ended;
    this.#playout.ignore(response.id);
    if (this.#playout.busy) return [...ended, ...this.#interrupt()];
    for (const item of response.output ?? []) this.#retract(item);
    return ended;
  }

  /** An item of a cancelled response: what was never heard goes. @param {any} item */
  #retract(item) {
    const read = item.content?.[0]?.type === "output_text";
    if (read || this.transcript.get(item.id)?.final) this.transcript.interrupt(item.id);
    else this.transcript.remove(item.id);
  }

  /** @param {any} event @returns {Command[]} */
  #openStream(event) {
    if (!this.#playout.announce(event)) return [];
    return [{ do: "open-stream", stream: event.stream, sampleRateHz: event.sample_rate_hz }];
  }

  /** @param {(voice: import("./playout.js").Voice) => boolean} which @returns {Command[]} */
  #endStreams(which) {
    return this.#playout.complete(which).map((stream) => ({ do: "end-stream", stream }));
  }

  /** Fall silent; each stream's flush report brings its truncation. @returns {Command[]} */
  #interrupt() {
    for (const voice of this.#playout.interrupt()) this.transcript.interrupt(voice.itemId);
    return [{ do: "flush" }, ...this.#loud()];
  }

  /** @returns {Command[]} */
  #loud() {
    this.ducked = false;
    return [{ do: "duck", on: false }];
  }

  /** Make room for a typed question. @returns {Command[]} */
  #silence() {
    const cancel = this.#responseId ? [send("response.cancel")] : [];
    if (this.#responseId) this.#playout.ignore(this.#responseId);
    return this.#playout.busy ? [...cancel, ...this.#interrupt()] : cancel;
  }

  /** @param {number} nowMs @returns {Command[]} */
  #begin(nowMs) {
    this.#ready = true;
    this.problem = null;
    const texts = this.#pendingTexts.splice(0);
    return [
      .../** @type {Command[]} */ (
        this.voice && !this.microphoneOn ? [{ do: "start-microphone" }] : []
      ),
      ...texts.flatMap((text) => this.sendText(text, nowMs)),
    ];
  }

  /** @returns {Command[]} */
  #connect() {
    this.link = "connecting";
    this.problem = null;
    this.#failed = false;
    return [{ do: "connect" }];
  }

  #loseConnection() {
    this.#ready = false;
    this.#typed = false;
    this.#userSpeaking = false;
    this.#awaitingAnswer = false;
    this.#responseId = null;
    this.ducked = false;
    this.#playout.clear();
    this.transcript.finishAll();
  }

  #close() {
    this.#loseConnection();
    this.link = "closed";
    this.voice = false;
    this.microphoneOn = false;
    this.muted = false;
    this.problem = null;
    this.#pendingTexts = [];
  }
}

/**
 * Tell when the first sample of a stream was played, so that the server knows the whole wait.
 * @param {import("./playout.js").Voice} voice @param {number | undefined} startedMs
 * @param {number} latencyMs @returns {Command[]}
 */
function firstPlayed({ itemId: item_id, receivedMs }, startedMs, latencyMs) {
  if (startedMs === undefined || receivedMs === null) return [];
  const started_us = Math.round(startedMs * 1000);
  const received_us = Math.min(Math.round(receivedMs * 1000), started_us);
  const heard_us = started_us + Math.round(latencyMs * 1000);
  return [send("antiphon.turn.played", { item_id, received_us, started_us, heard_us })];
}

/**
 * @param {string} type
 * @param {Record<string, unknown>} [fields]
 * @returns {Command}
 */
function send(type, fields = {}) {
  return { do: "send", event: { type, ...fields } };
}
