import assert from "node:assert/strict";
import { test } from "node:test";
import * as frames from "../src/frames.js";
import { MAX_KEPT_BYTES, Resumption, Unacknowledged } from "../src/resume.js";

const RATE_HZ = 16_000;
const LOUD = 8_000;

/** 100 ms of microphone. */
function frame(seq, level = LOUD) {
  const pcm = new Int16Array(1_600).fill(level);
  return frames.encode({
    kind: frames.MICROPHONE, seq, timestamp: seq * 100_000, sampleRateHz: RATE_HZ, stream: 0, pcm,
  });
}

const seqs = (messages) => messages.map((message) => new DataView(message).getUint32(4, true));

/** A session that has a ticket. */
function open() {
  const session = new Resumption();
  session.count();
  session.onEvent({ type: "session.created" });
  session.count();
  const ticket = { session_id: "sess_1", resume_token: "t0ken", resume_within_s: 60 };
  assert.ok(session.onEvent({ type: "antiphon.session", ...ticket }));
  return session;
}

test("what the server has is forgotten, the rest is sent again in its order", () => {
  const kept = new Unacknowledged();
  kept.addEvent("a");
  kept.addFrame(frame(0), 0, RATE_HZ);
  kept.addEvent("b");
  kept.addFrame(frame(1), 1, RATE_HZ);
  kept.acknowledge(1, 0);
  const again = kept.resumed(1, 0);
  assert.equal(again[0], "b");
  assert.deepEqual(seqs(again.slice(1)), [1]);
});

test("events of the moment count and are not sent again", () => {
  const kept = new Unacknowledged();
  kept.addEvent("playout", true);
  kept.addEvent("question");
  kept.addEvent("playout", true);
  assert.deepEqual(kept.resumed(1, null), ["question"]);
  kept.addEvent("next");
  kept.acknowledge(2, null);
  assert.deepEqual(kept.resumed(2, null), ["next"]);
});

test("without a connection the kept audio grows by five seconds, the newest", () => {
  const kept = new Unacknowledged();
  kept.addFrame(frame(0), 0, RATE_HZ);
  kept.away();
  for (let seq = 1; seq <= 80; seq++) kept.addFrame(frame(seq), seq, RATE_HZ);
  assert.deepEqual(seqs(kept.resumed(0, 0)), Array.from({ length: 51 }, (_, i) => i + 30));
});

test("quiet audio goes before words", () => {
  const kept = new Unacknowledged();
  kept.away();
  for (let seq = 0; seq < 55; seq++) kept.addFrame(frame(seq, seq < 45 ? LOUD : 10), seq, RATE_HZ);
  assert.deepEqual(seqs(kept.resumed(0, null)).slice(0, 46), [...Array(45).keys(), 50]);
});

test("what a server never acknowledges has a bound", () => {
  const kept = new Unacknowledged();
  for (let seq = 0; seq < 1_000; seq++) kept.addFrame(frame(seq), seq, RATE_HZ);
  const again = kept.resumed(0, null);
  assert.ok(again.length * frame(0).byteLength <= MAX_KEPT_BYTES);
  assert.equal(seqs(again).at(-1), 999);
});

test("a session is asked for with what came and what was played", () => {
  const session = open();
  assert.equal(session.claim, "antiphon.resume.sess_1.t0ken");
  assert.equal(session.withinMs, 60_000);
  assert.deepEqual(session.request, { type: "antiphon.resume", last_seq: 2 });
  session.count();
  session.onEvent({ type: "antiphon.audio.started", stream: 1, item_id: "item_a" });
  session.count();
  session.onAudio({ stream: 1, timestamp: 480, pcm: new Int16Array(240) });
  session.onSend({ type: "antiphon.playout", item_id: "item_a", played_ms: 10 }, "{}", false);
  assert.deepEqual(session.request, {
    type: "antiphon.resume", last_seq: 4, item_id: "item_a", played_ms: 10,
    received_item_id: "item_a", received_samples: 720,
  });
});

test("only a lost connection or a restart is followed, and only with a ticket", () => {
  assert.equal(new Resumption().mayFollow(1006), false);
  const codes = [1000, 1006, 1008, 1012, 4001];
  assert.deepEqual(codes.filter((code) => open().mayFollow(code)), [1006, 1012]);
});

test("what came is acknowledged every 32 messages", () => {
  const session = open();
  const due = Array.from({ length: 64 }, () => session.count()).filter(Boolean);
  assert.deepEqual(due.map(({ seq }) => seq), [32, 64]);
});

/** All that is held back. */
function held(kept) {
  const messages = [];
  for (let message; (message = kept.nextHeld()); ) messages.push(message);
  return messages;
}

test("what is held back comes out once and in order, behind what was sent", () => {
  const kept = new Unacknowledged();
  kept.addFrame(frame(0), 0, RATE_HZ);
  kept.hold();
  kept.addFrame(frame(1), 1, RATE_HZ);
  kept.addEvent("now");
  kept.addFrame(frame(2), 2, RATE_HZ);
  kept.acknowledge(0, 0);
  assert.deepEqual(seqs([kept.nextHeld()]), [1]);
  kept.addFrame(frame(3), 3, RATE_HZ);
  assert.deepEqual(seqs(held(kept)), [2, 3]);
  assert.ok(kept.holding);
  kept.letGo();
  kept.addFrame(frame(4), 4, RATE_HZ);
  assert.deepEqual(held(kept), []);
  assert.deepEqual(seqs(kept.resumed(1, 3)), [4]);
});

test("five seconds are held back, silence goes first, what was sent stays", () => {
  const kept = new Unacknowledged();
  kept.addFrame(frame(0, 10), 0, RATE_HZ);
  kept.hold();
  let gone = 0;
  for (let seq = 1; seq <= 60; seq++) {
    gone += kept.addFrame(frame(seq, seq > 20 && seq <= 25 ? 10 : LOUD), seq, RATE_HZ);
  }
  assert.equal(gone, 10);
  const words = Array.from({ length: 60 }, (_, at) => at + 1).filter((seq) => seq < 21 || seq > 25);
  assert.deepEqual(seqs(held(kept)), words.slice(5));
  assert.deepEqual(seqs(kept.resumed(0, null)).slice(0, 1), [0]);
});

test("a connection lost in a pause ends it, and five seconds are kept in all", () => {
  const kept = new Unacknowledged();
  kept.hold();
  for (let seq = 0; seq < 40; seq++) kept.addFrame(frame(seq), seq, RATE_HZ);
  kept.away();
  assert.equal(kept.holding, false);
  for (let seq = 40; seq < 80; seq++) kept.addFrame(frame(seq), seq, RATE_HZ);
  assert.deepEqual(seqs(kept.resumed(0, null)), Array.from({ length: 50 }, (_, at) => at + 30));
});
