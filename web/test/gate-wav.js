/**
 * PCM16 at 16 kHz on standard input; on the output what the server has of it after the gate. The last
 * line on standard error says in JSON how much was sent.
 */

import { readFileSync, writeSync } from "node:fs";
import { throughTheGate } from "./gated.js";

const bytes = readFileSync(0);
const input = new Int16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >> 1);
const gated = process.argv[2] !== "open";
const { pcm, sentSamples, tells } = throughTheGate(
  Float32Array.from(input, (sample) => sample / 32_768),
  16_000,
  gated,
);
for (let at = 0, out = Buffer.from(pcm.buffer, 0, pcm.byteLength); at < out.length; ) {
  at += writeSync(1, out, at);
}
process.stderr.write(`${JSON.stringify({ sentSamples, samples: pcm.length, tells })}\n`);
