import assert from "node:assert/strict";
import { test } from "node:test";
import { Chunker } from "../src/chunker.js";

const HEADER_BYTES = 24;

for (const sampleRateHz of [16_000, 44_100, 48_000]) {
  test(`chunks are 20 ms at ${sampleRateHz} Hz and say where they begin`, () => {
    const chunks = [];
    const chunker = new Chunker(sampleRateHz, HEADER_BYTES, (buffer, firstSample) =>
      chunks.push({ pcm: new Int16Array(buffer.slice(HEADER_BYTES)), firstSample }),
    );
    const ramp = Float32Array.from({ length: 128 * 40 }, (_, n) => (n % 1000) / 1000);
    for (let at = 0; at < ramp.length; at += 128) chunker.push(ramp.subarray(at, at + 128), 128, at);
    const size = sampleRateHz / 50;
    assert.equal(chunks.length, Math.floor(ramp.length / size));
    chunks.forEach(({ pcm, firstSample }, i) => {
      assert.equal(pcm.length, size);
      assert.equal(firstSample, i * size);
      assert.equal(pcm[3], Math.round(ramp[firstSample + 3] * 32767));
    });
  });
}

test("samples beyond full scale are clipped, not wrapped", () => {
  let pcm;
  const chunker = new Chunker(8_000, 0, (buffer) => (pcm ??= new Int16Array(buffer.slice(0))));
  chunker.push(new Float32Array(160).map((_, n) => (n % 2 ? 3 : -3)), 160, 0);
  assert.deepEqual([...pcm.subarray(0, 2)], [-32767, 32767]);
});

test("buffers that come back are used again", () => {
  const seen = new Set();
  const chunker = new Chunker(8_000, HEADER_BYTES, (buffer) => {
    seen.add(buffer);
    chunker.recycle(buffer);
  });
  for (let at = 0; at < 160 * 100; at += 160) chunker.push(new Float32Array(160), 160, at);
  assert.ok(seen.size <= 25);
});
