// @ts-check
/**
 * The state of the page. Pure: what happened goes in, commands come out, the view is read from the
 * properties. No sockets, no audio, no clock; time is passed in.
 */

import { Answers } from "./answers.js";
import { caption } from "./caption.js";
import { askInWriting, send } from "./commands.js";
import { HeardHere } from "./heard-here.js";
import { Hold } from "./hold.js";
import {
  BEGUN_ANEW, BEHIND, HELD_TOO_SHORT, RESUMING, SLOW_UPLINK, SOUND_BLOCKED, SOUND_INTERRUPTED, connectionProblem,
  eventProblem, responseProblem, stageProblem, waitingProblem,
} from "./problems.js";
import { Transcript } from "./transcript.js";
import { Turns } from "./turns.js";

/** @typedef {import("./player.js").Report} Report */
/** @typedef {import("./problems.js").Problem} Problem */
/** @typedef {"idle" | "connecting" | "ready" | "listening" | "thinking" | "speaking" | "error"} Phase */

/** @typedef {import("./commands.js").Command} Command */

/** @typedef {import("./connection.js").Link} Link */

/** Texts typed before the session stands; more are refused. */
const MAX_PENDING_TEXTS = 8;

export class Session {
  transcript = new Transcript();
  turns = new Turns();
  muted = false;
  /** The microphone is wanted. */
  voice = false;
  /** Samples reach the server. */
  microphoneOn = false;
  /** Words are made on this device, and only they go to the server. */
  recognisesHere = false;
  #heard = new HeardHere(this.transcript);
  #hold = new Hold();
  /** @type {Problem | null} */
  problem = null;
  /** What could be better, and breaks nothing. @type {readonly Problem[]} */
  warnings = [];
  /** While a lost connection is being replaced it stays "open". @type {Link["state"]} */
  link = "closed";
  #retryInS = 0;
  #ready = false;
  #failed = false;
  #userSpeaking = false;
  /** The item that is being spoken, as the server hears it; "" for none. */
  #utterance = "";
  #answers = new Answers(this.transcript, this.turns);
  /** Something was asked in writing in this session. */
  #typed = false;
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
    if (this.#answers.sounding) return "speaking";
    if (!this.#ready) return "connecting";
    if (!this.#userSpeaking && this.#answers.due) return "thinking";
    if (!this.voice) return "idle";
    if (!this.microphoneOn) return "connecting";
    return this.listens ? "listening" : "ready";
  }

  /** The button is to be held, not tapped. */
  get holds() {
    return this.#hold.wanted && this.microphoneOn;
  }

  /** Whether what the microphone hears counts. */
  get listens() {
    return !this.#hold.wanted || this.#hold.held;
  }

  /** Whether what the microphone hears is for the server. */
  get uplink() {
    return this.listens && !this.recognisesHere;
  }

  /** The reply is played quietly. */
  get ducked() {
    return this.#answers.ducked;
  }

  get caption() {
    return caption(this, this.#ready, this.#retryInS);
  }

  /** Whether audio of this stream is to be played. @param {number} stream */
  accepts(stream) {
    return this.#answers.accepts(stream);
  }

  /** Audio of a stream has arrived. @param {number} stream @param {number} clockMs */
  onAudioArrived(stream, clockMs) {
    this.#answers.onAudioArrived(stream, clockMs);
  }

  /** The button was pressed. @returns {Command[]} */
  talk() {
    if (this.voice) return this.stop();
    this.voice = true;
    this.problem = null;
    if (this.#ready) return [{ do: "start-microphone" }];
    return this.active ? [] : this.#connect();
  }

  /** End everything and forget what was said. @returns {Command[]} */
  clear() {
    const commands = this.stop();
    this.transcript.entries = [];
    this.turns.turns = [];
    return commands;
  }

  /** End everything and release everything. @returns {Command[]} */
  stop() {
    if (!this.active) return [];
    this.#close();
    return [{ do: "disconnect" }, { do: "stop-audio" }];
  }

  /**
   * Ask in writing; connects if need be.
   * @param {string} text @param {number} nowMs @param {string} [id] of its item @returns {Command[]}
   */
  sendText(text, nowMs, id = this.#newId()) {
    const trimmed = text.trim();
    if (!trimmed) return [];
    if (!this.#ready) {
      if (this.#pendingTexts.length < MAX_PENDING_TEXTS) this.#pendingTexts.push(trimmed);
      return this.active ? [] : this.#connect();
    }
    this.transcript.add(id, "user");
    this.transcript.replace(id, trimmed);
    this.transcript.finish(id);
    this.#answers.awaited = true;
    this.#typed = true;
    this.turns.asked(nowMs);
    return [...this.#answers.silence(), ...askInWriting(id, trimmed)];
  }

  /**
   * What this device has heard of the person.
   * @param {import("./recognition/hearing.js").Heard} heard @param {number} nowMs @returns {Command[]}
   */
  onHeard(heard, nowMs) {
    if (!this.#ready) return [];
    this.#userSpeaking = heard.type === "started" || heard.type === "partial";
    const words = this.#heard.take(heard, this.#newId);
    if (!words) return this.#answers.duck(heard.type === "started");
    if (heard.type !== "final") return this.#answers.silence();
    this.turns.recognised(heard);
    return this.sendText(words.text, nowMs, words.id);
  }

  /** The button is held down: what is said from now on is a turn. @param {number} nowMs @returns {Command[]} */
  press(nowMs) {
    if (!this.microphoneOn || !this.#hold.press(nowMs)) return [];
    this.#userSpeaking = true;
    this.muted = false;
    if (this.problem?.tone === "note") this.problem = null;
    return [...this.#answers.silence(), send("input_audio_buffer.clear")];
  }

  /** The button was let go. @param {number} nowMs @returns {Command[]} */
  release(nowMs) {
    const held = this.#hold.release(nowMs);
    if (!held) return [];
    this.#userSpeaking = false;
    if (held === "slip") {
      this.problem = HELD_TOO_SHORT;
      return [send("input_audio_buffer.clear")];
    }
    if (this.recognisesHere) return [{ do: "end-utterance" }];
    this.#answers.awaited = true;
    this.turns.asked(nowMs);
    return [send("input_audio_buffer.commit"), send("response.create")];
  }

  /** The button is to be held for each turn, or tapped once. @param {boolean} wanted */
  setPushToTalk(wanted) {
    if (wanted === this.#hold.wanted) return;
    if (this.#hold.held) this.#userSpeaking = this.#hold.held = false;
    this.#hold.wanted = wanted;
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
    if (link.state === "resuming" || link.state === "resumed" || link.state === "anew") {
      if (link.state === "resuming") this.problem = RESUMING;
      else if (link.state === "anew") this.problem = BEGUN_ANEW;
      else if (this.problem === RESUMING) this.problem = null;
      // Who would end the duck or the pause may be gone for good.
      return link.state === "resuming" && this.ducked ? this.#answers.duck(false) : [];
    }
    this.link = link.state;
    if (link.state === "connecting" || link.state === "open") return [];
    this.#loseConnection();
    if (link.state === "waiting") {
      this.#retryInS = Math.max(1, Math.round(link.delayMs / 1000));
      this.problem = waitingProblem(link.code, link.reason, link.position);
      return [{ do: "flush" }, { do: "duck", to: "full" }];
    }
    this.#close();
    this.#failed = true;
    this.problem = connectionProblem(link.code, link.reason);
    return [{ do: "stop-audio" }];
  }

  /** A chunk of the microphone. @param {boolean} voiced @param {number} nowMs @returns {Command[]} */
  onMicrophone(voiced, nowMs) {
    return this.#answers.onMicrophone(voiced && !this.muted, nowMs);
  }

  /** @param {import("./audio-state.js").AudioState} state */
  onAudioState(state) {
    if (state === "blocked") this.problem = SOUND_BLOCKED;
    else if (state === "interrupted") this.problem = SOUND_INTERRUPTED;
    else if (this.problem === SOUND_BLOCKED || this.problem === SOUND_INTERRUPTED) {
      this.problem = null;
    }
  }

  onUplinkSlow() {
    this.problem ??= SLOW_UPLINK;
  }

  /** @param {readonly Problem[]} [warnings] what makes it worse than it could be */
  onMicrophoneOn(warnings = []) {
    this.microphoneOn = true;
    this.warnings = warnings;
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
    return this.#answers.onPlayback(report, latencyMs, nowMs);
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
        this.#openUtterance(event.item_id);
        this.#answers.awaited = false;
        return this.#answers.interrupt();
      case "input_audio_buffer.speech_stopped":
        this.#userSpeaking = false;
        this.#utterance = "";
        this.#answers.awaited = true;
        this.turns.asked(nowMs);
        return [];
      case "antiphon.audio.started":
      case "antiphon.duck":
        return this.#answers.onEvent(event);
      case "antiphon.degraded":
        this.#onDegraded(event);
        return [];
      case "antiphon.flow":
        if (event.microphone === "pause") this.problem ??= BEHIND;
        else if (this.problem === BEHIND) this.problem = null;
        return [];
      case "antiphon.turn.metrics":
        this.turns.metrics(event);
        return [];
      case "response.created":
        this.problem = null;
        return this.#answers.onEvent(event);
      case "response.done":
        this.problem = responseProblem(event.response) ?? this.problem;
        return this.#answers.onEvent(event);
      default:
        return event.type?.startsWith("response.")
          ? this.#answers.onEvent(event)
          : this.#onItemEvent(event);
    }
  }

  /** @param {{stage: string, degraded: boolean}} event */
  #onDegraded({ stage, degraded }) {
    const problem = stageProblem(stage);
    if (degraded) this.problem = problem;
    else if (this.problem?.message === problem.message) this.problem = null;
  }

  /** After a restart of the server the same utterance begins once more. @param {string} itemId */
  #openUtterance(itemId) {
    if (this.#utterance && this.#utterance !== itemId) this.transcript.remove(this.#utterance);
    this.#utterance = itemId;
    this.#userSpeaking = true;
  }

  /** @param {any} event @returns {Command[]} */
  #onItemEvent(event) {
    this.transcript.onEvent(event);
    switch (event.type) {
      case "conversation.item.input_audio_transcription.completed":
        if (!event.transcript.trim()) this.#answers.awaited = false;
        return [];
      case "conversation.item.input_audio_transcription.failed":
        this.#answers.awaited = false;
        this.problem = { message: "Your words were not understood.", fix: "Say them again." };
        return [];
      case "conversation.item.truncated":
        return [send("conversation.item.retrieve", { item_id: event.item_id })];
      default:
        return [];
    }
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
    this.#utterance = "";
    this.#hold.held = false;
    this.#answers.clear();
    this.transcript.finishAll();
  }

  #close() {
    this.#loseConnection();
    this.link = "closed";
    this.voice = false;
    this.microphoneOn = false;
    this.muted = false;
    this.problem = null;
    this.warnings = [];
    this.#pendingTexts = [];
  }
}
