import assert from "node:assert/strict";
import { test } from "node:test";
import { SampleRing } from "../src/ring.js";
import { seeded } from "./random.js";

for (const seed of [1, 2, 3, 4, 5]) {
  test(`what goes in comes out in order, whatever the sizes (seed ${seed})`, () => {
    const random = seeded(seed);
    const ring = new SampleRing(16, 1000);
    const expected = [];
    for (let round = 0; round < 400; round++) {
      const pcm = Int16Array.from({ length: Math.floor(random() * 90) }, () =>
        Math.floor((random() * 2 - 1) * 32767),
      );
      const room = 1000 - expected.length;
      assert.equal(ring.pushPcm16(pcm), Math.min(pcm.length, room));
      expected.push(...pcm.subarray(0, room));
      if (random() < 0.2) {
        const silence = Math.min(5, 1000 - expected.length);
        assert.equal(ring.pushSilence(5), silence);
        for (let i = 0; i < silence; i++) expected.push(0);
      }
      assert.equal(ring.length, expected.length);
      const reads = Math.floor(random() * (ring.length + 1));
      for (let i = 0; i < reads; i++) assert.equal(ring.shift() * 32768, expected.shift());
    }
  });
}

test("a full ring takes what fits and says how much", () => {
  const ring = new SampleRing(4);
  assert.equal(ring.pushPcm16(new Int16Array(3)), 3);
  assert.equal(ring.pushPcm16(new Int16Array(3)), 1);
  assert.equal(ring.length, 4);
});
