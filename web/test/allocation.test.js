import assert from "node:assert/strict";
import { Session } from "node:inspector/promises";
import { test } from "node:test";
import { CaptureLine } from "../src/capture-line.js";
import { HEADER_BYTES } from "../src/frames.js";
import { Player } from "../src/player.js";
import { sine } from "./random.js";

const QUANTUM = 128;
const QUANTA = 20_000;

/** Bytes allocated by functions of these files while `work` runs, as V8 samples the heap. */
async function allocatedBytes(files, work) {
  const inspector = new Session();
  inspector.connect();
  await inspector.post("HeapProfiler.startSampling", {
    samplingInterval: 128,
    includeObjectsCollectedByMajorGC: true,
    includeObjectsCollectedByMinorGC: true,
  });
  work();
  const { profile } = await inspector.post("HeapProfiler.stopSampling");
  inspector.disconnect();
  let bytes = 0;
  const visit = (node, within) => {
    const { url } = node.callFrame;
    const ours = files.some((file) => url.endsWith(file)) || (within && !url);
    if (ours) bytes += node.selfSize;
    for (const child of node.children) visit(child, ours);
  };
  visit(profile.head, false);
  return bytes;
}

test("playing allocates nothing on the audio thread", async () => {
  const player = new Player(48_000, () => undefined);
  player.open(1, 24_000);
  player.push(1, 0, sine(300, 24_000, 24_000 * 59));
  const out = new Float32Array(QUANTUM);
  const play = () => {
    for (let i = 0; i < QUANTA / 2; i++) player.render(out);
  };
  play(); // compiled by now
  const files = ["player.js", "resampler.js", "ring.js"];
  assert.ok((await allocatedBytes(files, play)) < 4_096);
});

test("capturing takes its buffers from the pool", async () => {
  const waiting = [];
  const line = new CaptureLine(48_000, HEADER_BYTES, {
    chunk: (buffer) => waiting.push(buffer),
    silence: () => undefined,
  });
  const loud = Float32Array.from({ length: QUANTUM }, (_, n) => Math.sin(n) / 4);
  const quiet = new Float32Array(QUANTUM);
  let position = 0;
  const capture = () => {
    for (let i = 0; i < QUANTA; i++) {
      line.push(i % 4_000 < 2_000 ? loud : quiet, position);
      position += QUANTUM;
      while (waiting.length) line.recycle(waiting.pop());
    }
  };
  capture();
  const files = ["capture-line.js", "chunker.js", "gate.js", "resampler.js", "ring.js"];
  // What is left is the view on the samples of each chunk: one in 7.5 quanta.
  assert.ok((await allocatedBytes(files, capture)) < QUANTA * 20);
});

test("the measurement sees an allocation in each quantum", async () => {
  const kept = [];
  const waste = () => {
    for (let i = 0; i < QUANTA; i++) kept[0] = new Float32Array(QUANTUM);
  };
  assert.ok((await allocatedBytes(["allocation.test.js"], waste)) > QUANTA * 40);
});
