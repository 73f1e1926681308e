// @ts-check
/**
 * The node that plays: an AudioWorklet, or where the browser has none the older ScriptProcessor,
 * which does the same on the page's own thread.
 */

import { PlayerHost } from "./player-host.js";

/** @typedef {import("./player.js").Report} Report */
/** @typedef {import("./player.js").PlaybackCommand} PlaybackCommand */

/** The page's thread may be late by as much. */
const SCRIPT_SAMPLES = 2048;

/**
 * @typedef {object} PlaybackNode
 * @property {AudioNode} node
 * @property {number} latencyMs from the rendered sample to the node's output
 * @property {(command: PlaybackCommand, transfer: Transferable[]) => void} post
 * @property {() => void} close
 */

/** Whether audio runs on a thread of its own here. */
export const HAS_WORKLETS =
  typeof AudioWorkletNode !== "undefined" && "audioWorklet" in AudioContext.prototype;

/**
 * @param {AudioContext} context @param {(report: Report) => void} onReport
 * @returns {Promise<PlaybackNode>}
 */
export async function createPlayback(context, onReport) {
  return HAS_WORKLETS ? worklet(context, onReport) : script(context, onReport);
}

/** @param {AudioContext} context @param {(report: Report) => void} onReport */
async function worklet(context, onReport) {
  await context.audioWorklet.addModule(new URL("worklets/playback.js", import.meta.url));
  const node = new AudioWorkletNode(context, "antiphon-playback", {
    numberOfInputs: 0,
    outputChannelCount: [1],
  });
  node.port.onmessage = ({ data }) => onReport(data);
  return {
    node,
    latencyMs: 0,
    /** @type {PlaybackNode["post"]} */
    post: (command, transfer) => node.port.postMessage(command, transfer),
    close: () => {
      node.port.onmessage = null;
      node.disconnect();
    },
  };
}

/** @param {AudioContext} context @param {(report: Report) => void} onReport */
function script(context, onReport) {
  const host = new PlayerHost(context.sampleRate, () => context.currentTime * 1000, onReport);
  const node = context.createScriptProcessor(SCRIPT_SAMPLES, 1, 1);
  node.onaudioprocess = ({ outputBuffer }) => host.render(outputBuffer.getChannelData(0));
  return {
    node,
    latencyMs: (SCRIPT_SAMPLES * 1000) / context.sampleRate,
    /** @type {PlaybackNode["post"]} */
    post: (command) => host.execute(command),
    close: () => {
      node.onaudioprocess = null;
      node.disconnect();
    },
  };
}
