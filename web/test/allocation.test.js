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

/**
 * The least that one of several runs allocates, or the first below the limit: what is not compiled yet,
 * on a busy machine, allocates for the interpreter.
 */
async function leastBytes(files, limit, work, between = () => undefined) {
  let least = Infinity;
  for (let run = 0; run < 12 && least >= limit; run++) {
    between();
    least = Math.min(least, await allocatedBytes(files, work));
  }
  return least;
}

test("playing allocates nothing on the audio thread", async () => {
  const second = sine(300, 24_000, 24_000);
  const player = new Player(48_000, () => undefined);
  player.open(1, 24_000);
  let pushed = 0;
  const out = new Float32Array(QUANTUM);
  const play = () => {
    for (let i = 0; i < QUANTA / 2; i++) player.render(out);
  };
  const refill = () => {
    for (let i = 0; i < 28; i++, pushed += second.length) player.push(1, pushed, second);
  };
  refill(); // what a run plays is there before it, and stays so
  const files = ["player.js", "resampler.js", "ring.js"];
  const least = await leastBytes(files, 4_096, play, refill);
  assert.ok(least < 4_096, String(least));
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
  const least = await leastBytes(files, QUANTA * 20, capture);
  assert.ok(least < QUANTA * 20, String(least));
});

test("the measurement sees an allocation in each quantum", async () => {
  const kept = [];
  const waste = () => {
    for (let i = 0; i < QUANTA; i++) kept[0] = new Float32Array(QUANTUM);
  };
  assert.ok((await allocatedBytes(["allocation.test.js"], waste)) > QUANTA * 40);
});
