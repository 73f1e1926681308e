import assert from "node:assert/strict";
import { test } from "node:test";
import { Session } from "../src/session.js";

const IDS = { response_id: "resp_1", item_id: "item_a1", output_index: 0, content_index: 0 };

/** A session whose microphone is on. */
function listening() {
  const session = new Session(() => "item_t1");
  session.talk();
  session.onLink({ state: "open" });
  session.onEvent({ type: "session.created" }, 0);
  session.onMicrophoneOn();
  return session;
}

/** A session in which a reply is audible. */
function speaking() {
  const session = listening();
  session.onEvent({ type: "antiphon.audio.started", ...IDS, stream: 1, sample_rate_hz: 24_000 }, 0);
  session.onEvent({ type: "response.output_audio_transcript.delta", ...IDS, delta: "Well, I" }, 0);
  session.onPlayback({ event: "started", stream: 1, playedSamples: 0, bufferedSamples: 0 }, 0, 0);
  return session;
}

test("a connection that comes back leaves everything as it was, and a note meanwhile", () => {
  const session = speaking();
  assert.deepEqual(session.onLink({ state: "resuming" }), []);
  assert.equal(session.phase, "speaking");
  assert.equal(session.problem.tone, "note");
  assert.match(session.problem.message, /getting it back/);
  assert.deepEqual(session.onLink({ state: "resumed" }), []);
  assert.equal(session.problem, null);
  assert.ok(session.accepts(1));
});

test("a pause ends with the connection that it was told on", () => {
  const session = speaking();
  const duck = { type: "antiphon.duck", item_id: "item_a1", ducked: true, paused: true };
  assert.deepEqual(session.onEvent(duck, 0), [{ do: "duck", to: "paused" }]);
  assert.deepEqual(session.onLink({ state: "resuming" }), [{ do: "duck", to: "full" }]);
  assert.equal(session.ducked, false);
});

test("a session that cannot be resumed is followed by a new one that says so", () => {
  const session = speaking();
  session.onLink({ state: "resuming" });
  const lost = { state: "waiting", code: 1006, reason: "", delayMs: 0 };
  assert.deepEqual(session.onLink(lost).map((c) => c.do), ["flush", "duck"]);
  session.onLink({ state: "open" });
  session.onEvent({ type: "session.created" }, 0);
  session.onLink({ state: "anew" });
  session.onEvent({ type: "error", error: { code: "session_not_resumable" } }, 0);
  assert.match(session.problem.message, /could not be resumed/);
  assert.deepEqual(session.transcript.entries.map(({ text }) => text), ["Well, I"]);
});

test("an utterance that begins once more after a restart has one line", () => {
  const session = listening();
  const partial = (item_id) => ({
    type: "antiphon.transcript.partial", item_id, stable: "", unstable: "What",
  });
  session.onEvent({ type: "input_audio_buffer.speech_started", item_id: "item_u1" }, 0);
  session.onEvent(partial("item_u1"), 0);
  session.onEvent({ type: "input_audio_buffer.speech_started", item_id: "item_u2" }, 0);
  session.onEvent(partial("item_u2"), 0);
  assert.deepEqual(session.transcript.entries.map(({ id }) => id), ["item_u2"]);
});
