import assert from "node:assert/strict";
import { test } from "node:test";
import { transcriptJson, transcriptText } from "../src/export.js";
import { Hold } from "../src/hold.js";
import { RATE_HZ, Recorder } from "../src/recorder.js";
import { encodeWav } from "../src/wav.js";

const CHUNK = RATE_HZ / 50;
const flat = (length, value) => new Int16Array(length).fill(value);
const report = (event, playedSamples = 0) => ({ stream: 1, event, playedSamples });

/** Chunks of 20 ms with the values first, first + 1 and so on. */
function speak(recorder, first, count, fromMs) {
  for (let i = 0; i < count; i++) {
    recorder.microphone(flat(CHUNK, first + i), RATE_HZ, fromMs + 20 * (i + 1));
  }
}

test("an utterance is found by the server's times", () => {
  const recorder = new Recorder();
  speak(recorder, 900, 5, 0);
  recorder.onEvent({ type: "session.created" });
  speak(recorder, 1, 50, 1_000);
  recorder.onEvent({ type: "input_audio_buffer.speech_started", item_id: "u1", audio_start_ms: 100 });
  recorder.onEvent({ type: "input_audio_buffer.speech_stopped", item_id: "u1", audio_end_ms: 300 });
  const clip = recorder.clip("u1");
  assert.equal(clip.length, 10 * CHUNK);
  assert.deepEqual([clip[0], clip.at(-1)], [6, 15]);
  assert.equal(recorder.clip("u2"), null);
});

test("a held turn is what was sent since the button went down", () => {
  const recorder = new Recorder();
  speak(recorder, 1, 5, 0);
  recorder.hold();
  speak(recorder, 100, 10, 5_000);
  recorder.onEvent({ type: "input_audio_buffer.committed", item_id: "u1" });
  const clip = recorder.clip("u1");
  assert.deepEqual([clip.length, clip[0]], [10 * CHUNK, 100]);
});

test("of an interrupted answer only what was heard is kept", () => {
  const recorder = new Recorder();
  recorder.open(1, "a1", RATE_HZ);
  recorder.audio(1, flat(RATE_HZ, 5));
  recorder.playback(report("started"), 1_000);
  assert.equal(recorder.clip("a1").length, RATE_HZ);
  recorder.playback(report("flushed", 1_200), 1_050);
  assert.equal(recorder.clip("a1").length, 1_200);
  const [, them] = recorder.mixdown();
  assert.equal(them.length, 1_200);
});

test("another rate becomes 24 kHz", () => {
  const recorder = new Recorder();
  for (let i = 0; i < 50; i++) recorder.microphone(flat(960, 1_000), 48_000, 20 * (i + 1));
  const [you] = recorder.mixdown();
  assert.ok(Math.abs(you.length - RATE_HZ) < 60);
  assert.ok(Math.abs(you[RATE_HZ / 2] - 1_000) <= 1);
});

test("both sides lie in time, and long silences are shortened", () => {
  const recorder = new Recorder();
  speak(recorder, 7, 1, 0);
  recorder.open(1, "a1", RATE_HZ);
  recorder.audio(1, flat(CHUNK, 9));
  recorder.playback(report("started"), 100);
  speak(recorder, 8, 1, 60_000);
  const [you, them] = recorder.mixdown();
  assert.equal(them[Math.round(0.1 * RATE_HZ)], 9);
  assert.equal(you[0], 7);
  assert.equal(you.at(-1), 8);
  assert.ok(Math.abs(you.length / RATE_HZ - 3.14) < 0.01);
});

test("memory is bounded: the oldest audio leaves first", () => {
  const recorder = new Recorder(100 * CHUNK * 2);
  speak(recorder, 1, 250, 0);
  assert.ok(recorder.bytes <= 100 * CHUNK * 2);
  const [you] = recorder.mixdown();
  assert.deepEqual([you[0], you.at(-1)], [151, 250]);
  recorder.clear();
  assert.ok(recorder.empty);
});

test("a WAV file says what it holds", () => {
  const view = new DataView(encodeWav([Int16Array.of(1, -2), Int16Array.of(3, 4)], RATE_HZ));
  assert.equal(view.byteLength, 52);
  assert.equal(view.getUint16(22, true), 2);
  assert.equal(view.getUint32(24, true), RATE_HZ);
  assert.equal(view.getUint32(40, true), 8);
  assert.deepEqual([44, 46, 48, 50].map((at) => view.getInt16(at, true)), [1, 3, -2, 4]);
});

test("a transcript says who was interrupted and leaves empty entries out", () => {
  const entry = (id, role, text, interrupted) => ({ id, role, text, final: true, interrupted });
  const entries = [
    entry("u1", "user", " Hello? ", false), entry("u2", "user", " ", false),
    entry("a1", "assistant", "Good day", true),
  ];
  assert.equal(transcriptText(entries), "You: Hello?\n\nAntiphon: Good day [interrupted]\n");
  const { items } = JSON.parse(transcriptJson(entries, "2026-01-01T00:00:00Z"));
  assert.deepEqual(items.map(({ id, text }) => [id, text]), [["u1", "Hello?"], ["a1", "Good day"]]);
});

test("a short hold is a slip, one that was not wanted is none", () => {
  const hold = new Hold();
  assert.equal(hold.press(0), false);
  hold.wanted = true;
  assert.equal(hold.press(0), true);
  assert.equal(hold.press(5), false);
  assert.equal(hold.release(200), "slip");
  hold.press(1_000);
  assert.equal(hold.release(2_000), "turn");
  assert.equal(hold.release(2_000), null);
});
