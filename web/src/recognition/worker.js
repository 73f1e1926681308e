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
async function load(request) {
  const began = performance.now();
  let note = "";
  let made = null;
  if (request.webgpu && !(await hasWebGpu())) note = "This browser has no WebGPU here. ";
  else if (request.webgpu) {
    // onnxruntime-web runs on WebGPU what is in ONNX format; Moonshine's package has ORT format.
    made = await engine(request, "ort.webgpu.min.mjs", ["webgpu", "wasm"]).catch((error) => {
      console.info(String(error));
      note = "WebGPU cannot run this model's files, so the processor does it. ";
      return null;
    });
  }
  const name = made ? "WebGPU" : "WASM";
  made ??= await engine(request, "ort.wasm.min.mjs", ["wasm"]);
  scope.postMessage({ type: "ready", engine: name, note, loadMs: performance.now() - began });
  return new Hearing(made.voice, made.words, (event) => scope.postMessage(event), request.endMs);
}

/** @param {Extract<Request, {type: "load"}>} request @param {string} file @param {string[]} providers */
async function engine({ runtime, model, detector }, file, providers) {
  const ort = await import(runtime + file);
  ort.env.wasm.wasmPaths = runtime;
  ort.env.wasm.numThreads = 1; // more need headers that isolate the page
  ort.env.logLevel = "error";
  const [words, voice] = [await Moonshine.load(ort, model, providers), await Silero.load(ort, detector)];
  await words.transcribe(new Float32Array(16_000)); // the first run is slow
  return { words, voice };
}

async function hasWebGpu() {
  const { gpu } = /** @type {any} */ (navigator);
  return Boolean(await gpu?.requestAdapter());
}
