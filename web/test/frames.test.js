import assert from "node:assert/strict";
import { test } from "node:test";
import * as frames from "../src/frames.js";

const HEX = "01010100" + "07000000" + "40420f0000000000" + "80bb0000" + "00000000" + "0102";
const FRAME = {
  kind: frames.MICROPHONE,
  seq: 7,
  timestamp: 1_000_000,
  sampleRateHz: 48_000,
  stream: 0,
  pcm: new Int16Array([0x0201]),
};

function bytes(hex) {
  return Uint8Array.from(Buffer.from(hex, "hex")).buffer;
}

test("the layout is fixed, byte by byte", () => {
  assert.equal(Buffer.from(frames.encode(FRAME)).toString("hex"), HEX);
  assert.deepEqual(frames.decode(bytes(HEX)), FRAME);
});

test("the sequence number wraps at 2^32", () => {
  assert.equal(frames.decode(frames.encode({ ...FRAME, seq: 2 ** 32 + 1 })).seq, 1);
});

test("a stream number and a sample index beyond 32 bits survive", () => {
  const frame = { ...FRAME, kind: frames.PLAYBACK, timestamp: 2 ** 40 + 3, stream: 4_000_000_000 };
  assert.deepEqual(frames.decode(frames.encode(frame)), frame);
});

for (const [name, hex, message] of [
  ["an empty message", "", /frame is 0 bytes/],
  ["a cut header", HEX.slice(0, 46), /frame is 23 bytes/],
  ["another version", "02" + HEX.slice(2), /version is 2/],
  ["an unknown kind", "0109" + HEX.slice(4), /kind is 9/],
  ["an unknown sample format", "010103" + HEX.slice(6), /sample format is 3/],
  ["a sample rate of zero", HEX.slice(0, 32) + "00000000" + HEX.slice(40), /sample rate is 0 Hz/],
  ["an odd payload", HEX + "00", /odd count/],
  ["an oversized message", HEX + "00".repeat(frames.MAX_FRAME_BYTES), /the limit is 65536/],
]) {
  test(`${name} is refused by field`, () => {
    assert.throws(() => frames.decode(bytes(hex)), { message });
    assert.throws(() => frames.decode(bytes(hex)), frames.MalformedAudioFrame);
  });
}
