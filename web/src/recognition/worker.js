// @ts-check
/** Hears and recognises on this device: samples in, words out. The only place that runs WebAssembly. */

import { Hearing } from "./hearing.js";
import { Moonshine } from "./moonshine.js";
import { Silero } from "./silero.js";

/**
 * @typedef {{type: "load", runtime: string, model: string, detector: string, webgpu: boolean, endMs: number}
 *   | {type: "audio", samples: Float32Array}
 *   | {type: "end"}} Request addresses are those of directories; samples are at 16 kHz; `end`: the
 *   utterance is over whatever is heard
 */

/** Audio that may wait while the model is loaded or busy: 30 s. What comes then is not heard. */
const MAX_WAITING_SAMPLES = 30 * 16_000;

/** @type {any} */
const scope = globalThis;
/** @type {Hearing | null} */
let hearing = null;
/** What came in before, so that everything is heard in its order. */
let before = Promise.resolve();
let waitingSamples = 0;

scope.onmessage = (/** @type {{data: Request}} */ { data }) => {
  const count = data.type === "audio" ? data.samples.length : 0;
  if (waitingSamples + count > MAX_WAITING_SAMPLES) return;
  waitingSamples += count;
  before = before.then(() => handle(data)).finally(() => {
    waitingSamples -= count;
  }).catch((error) => {
    scope.postMessage({ type: "failed", message: error instanceof Error ? error.message : String(error) });
  });
};

/** @param {Request} request */
async function handle(request) {
  if (request.type === "load") hearing = await load(request);
  else if (request.type === "audio") await hearing?.hear(request.samples);
  else await hearing?.end();
}

/** @param {Extract<Request, {type: "load"}>} request */
async function load({ runtime, model, detector, webgpu, endMs }) {
  const began = performance.now();
  const note = webgpu && !(await hasWebGpu()) ? "This browser has no WebGPU here. " : "";
  if (note) webgpu = false;
  const ort = await import(`${runtime}${webgpu ? "ort.webgpu.min.mjs" : "ort.wasm.min.mjs"}`);
  ort.env.wasm.wasmPaths = runtime;
  ort.env.wasm.numThreads = 1; // more need headers that isolate the page
  ort.env.logLevel = "error";
  const providers = webgpu ? ["webgpu", "wasm"] : ["wasm"];
  const [words, voice] = [await Moonshine.load(ort, model, providers), await Silero.load(ort, detector)];
  await words.transcribe(new Float32Array(16_000)); // the first run is slow
  scope.postMessage({ type: "ready", engine: webgpu ? "WebGPU" : "WASM", note, loadMs: performance.now() - began });
  return new Hearing(voice, words, (event) => scope.postMessage(event), endMs);
}

async function hasWebGpu() {
  const { gpu } = /** @type {any} */ (navigator);
  return Boolean(await gpu?.requestAdapter());
}
