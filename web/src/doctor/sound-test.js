// @ts-check
/**
 * Plays the chirps through the page's own player while the microphone records: what it hears of them,
 * and whether the player ran dry. One use each.
 */

import { constraints } from "../microphone.js";
import { chirps, DURATION_S, findChirps } from "./chirp.js";

/** @typedef {import("../player.js").Report} Report */

const STREAM = 1;
const RATE_HZ = 24_000;
const FEED_MS = 40;
const RECORD_S = DURATION_S + 1;
const FIRST_FED_MS = 200;
const MAX_WAIT_MS = 8_000;

/**
 * @typedef {object} Heard
 * @property {string} error name of what getUserMedia raised, "" for none
 * @property {string} label of the microphone
 * @property {MediaTrackSettings} settings
 * @property {number} contextHz
 * @property {number} rmsDbfs
 * @property {{found: boolean, gainDb: number}} leak
 * @property {number} underruns
 * @property {number} playedS
 * @property {number} latencyMs
 */

/**
 * Must be called in a gesture, before anything is awaited.
 * @param {string} deviceId of the microphone, "" for the browser's choice
 * @returns {Promise<Heard>}
 */
export async function testSound(deviceId) {
  const context = new AudioContext({ latencyHint: "interactive" });
  void context.resume();
  /** @type {MediaStream | null} */
  let stream = null;
  let error = "";
  try {
    const modules = ["../worklets/playback.js", "../worklets/tap.js"];
    await Promise.all(modules.map((path) => context.audioWorklet.addModule(new URL(path, import.meta.url))));
    try {
      stream = await navigator.mediaDevices.getUserMedia(constraints(deviceId));
    } catch (problem) {
      error = problem instanceof Error ? problem.name : "unknown error";
    }
    const recording = record(context, stream);
    const played = await play(context);
    await until(() => !stream || recording.seconds() >= RECORD_S);
    const samples = recording.samples();
    const track = stream?.getAudioTracks()[0];
    return {
      error,
      label: track?.label ?? "",
      settings: track?.getSettings() ?? {},
      contextHz: context.sampleRate,
      rmsDbfs: decibels(Math.sqrt(samples.reduce((sum, x) => sum + x * x, 0) / Math.max(1, samples.length))),
      leak: stream ? findChirps(samples, context.sampleRate) : { found: false, gainDb: -120 },
      underruns: played?.underruns ?? 0,
      playedS: (played?.playedSamples ?? 0) / RATE_HZ,
      latencyMs: ((context.outputLatency || 0) + (context.baseLatency || 0)) * 1000,
    };
  } finally {
    for (const track of stream?.getTracks() ?? []) track.stop();
    void context.close();
  }
}

/** Keep what the microphone delivers. @param {AudioContext} context @param {MediaStream | null} stream */
function record(context, stream) {
  /** @type {Float32Array[]} */
  const blocks = [];
  const seconds = () => blocks.reduce((sum, { length }) => sum + length, 0) / context.sampleRate;
  if (stream) {
    const node = new AudioWorkletNode(context, "antiphon-tap", { channelCount: 1, channelCountMode: "explicit" });
    node.port.onmessage = ({ data }) => {
      if (seconds() < 2 * RECORD_S) blocks.push(data);
    };
    context.createMediaStreamSource(stream).connect(node).connect(context.destination);
  }
  const samples = () => {
    const all = new Float32Array(Math.round(seconds() * context.sampleRate));
    let at = 0;
    for (const block of blocks) {
      all.set(block, at);
      at += block.length;
    }
    return all;
  };
  return { seconds, samples };
}

/** Feed the player as the network would. @param {AudioContext} context @returns {Promise<Report | null>} its last report */
async function play(context) {
  const node = new AudioWorkletNode(context, "antiphon-playback", { numberOfInputs: 0, outputChannelCount: [1] });
  node.connect(context.destination);
  /** @type {Report | null} */
  let last = null;
  node.port.onmessage = ({ data }) => {
    last = data;
  };
  const pcm = Int16Array.from(chirps(RATE_HZ), (sample) => Math.round(sample * 32_767));
  node.port.postMessage({ type: "open", stream: STREAM, sampleRateHz: RATE_HZ });
  const began = performance.now();
  const step = (FEED_MS * RATE_HZ) / 1000;
  for (let at = 0; at < pcm.length; at += step) {
    const dueMs = began - FIRST_FED_MS + (at * 1000) / RATE_HZ;
    if (dueMs > performance.now()) await pause(dueMs - performance.now());
    node.port.postMessage({ type: "audio", stream: STREAM, firstSample: at, pcm: pcm.slice(at, at + step) });
  }
  node.port.postMessage({ type: "end", stream: STREAM });
  await until(() => last?.event === "ended");
  return last;
}

/** @param {() => boolean} condition */
async function until(condition) {
  const began = performance.now();
  while (!condition() && performance.now() - began < MAX_WAIT_MS) await pause(FEED_MS);
}

/** @param {number} ms */
function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** @param {number} value */
function decibels(value) {
  return 20 * Math.log10(Math.max(1e-6, value));
}
