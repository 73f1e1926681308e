import assert from "node:assert/strict";
import { test } from "node:test";
import { Session } from "../src/session.js";

const RATE_HZ = 24_000;
const IDS = { response_id: "resp_1", item_id: "item_a1", output_index: 0, content_index: 0 };

function setUp() {
  let count = 0;
  return new Session(() => `item_t${++count}`);
}

/** A session whose microphone is on. */
function listening() {
  const session = setUp();
  session.talk();
  session.onLink({ state: "connecting" });
  session.onLink({ state: "open" });
  session.onEvent({ type: "session.created" }, 0);
  session.onMicrophoneOn();
  return session;
}

/** A session in which the first response is audible. */
function speaking() {
  const session = listening();
  session.onEvent({ type: "response.created", response: { id: "resp_1" } }, 0);
  session.onEvent(
    { type: "antiphon.audio.started", ...IDS, stream: 1, sample_rate_hz: RATE_HZ }, 0,
  );
  session.onEvent({ type: "response.output_audio_transcript.delta", ...IDS, delta: "Well, I" }, 0);
  session.onPlayback(report("started", 0), 0, 0);
  return session;
}

function report(event, playedSamples, bufferedSamples = 0, stream = 1) {
  return { event, stream, playedSamples, bufferedSamples, underruns: 2, droppedSamples: 0, jitterMs: 80 };
}

function done(status, details = undefined, output = []) {
  const response = { id: "resp_1", status, status_details: details, output };
  return { type: "response.done", response };
}

const sent = (commands) => commands.filter((c) => c.do === "send").map((c) => c.event);
const kinds = (commands) => commands.map((c) => c.do);
const texts = (session) => session.transcript.entries.map((entry) => entry.text);

test("talk connects, and the microphone follows when the session stands", () => {
  const session = setUp();
  assert.equal(session.phase, "idle");
  assert.deepEqual(session.talk(), [{ do: "connect" }]);
  assert.equal(session.phase, "connecting");
  session.onLink({ state: "open" });
  assert.deepEqual(session.onEvent({ type: "session.created" }, 0), [{ do: "start-microphone" }]);
  assert.equal(session.phase, "connecting");
  session.onMicrophoneOn();
  assert.equal(session.phase, "listening");
  assert.equal(session.caption, "Listening");
});

test("talk again stops all and releases everything", () => {
  const session = listening();
  session.setMuted(true);
  assert.deepEqual(kinds(session.talk()), ["disconnect", "stop-audio"]);
  assert.equal(session.phase, "idle");
  assert.equal(session.muted, false);
  assert.deepEqual(session.stop(), []);
});

test("a turn goes through thinking and speaking back to listening", () => {
  const session = listening();
  session.onEvent({ type: "input_audio_buffer.speech_started", item_id: "item_u1" }, 0);
  assert.equal(session.phase, "listening");
  session.onEvent({ type: "input_audio_buffer.speech_stopped", item_id: "item_u1" }, 1_000);
  assert.equal(session.phase, "thinking");
  session.onEvent({ type: "response.created", response: { id: "resp_1" } }, 1_100);
  const started = { type: "antiphon.audio.started", ...IDS, stream: 1, sample_rate_hz: RATE_HZ };
  assert.deepEqual(session.onEvent(started, 1_150), [
    { do: "open-stream", stream: 1, itemId: "item_a1", sampleRateHz: RATE_HZ },
  ]);
  assert.ok(session.accepts(1));
  assert.equal(session.phase, "thinking");
  session.onPlayback(report("started", 0), 0, 1_250);
  assert.equal(session.phase, "speaking");
  assert.deepEqual(session.onEvent({ type: "response.output_audio.done", ...IDS }, 1_300), [
    { do: "end-stream", stream: 1 },
  ]);
  assert.deepEqual(session.onEvent(done("completed"), 1_300), []);
  assert.equal(session.phase, "speaking");
  session.onPlayback(report("ended", 4_800), 0, 1_500);
  assert.equal(session.phase, "listening");
  assert.equal(session.turns.turns[0].playedAfterMs, 250);
});

test("speech that held no words ends in listening", () => {
  const session = listening();
  session.onEvent({ type: "input_audio_buffer.speech_stopped", item_id: "item_u1" }, 0);
  const type = "conversation.item.input_audio_transcription.completed";
  session.onEvent({ type, item_id: "item_u1", transcript: "" }, 0);
  assert.equal(session.phase, "listening");
  assert.deepEqual(texts(session), []);
});

test("playout is reported less what the loudspeaker still holds, and in full at the end", () => {
  const session = speaking();
  assert.deepEqual(sent(session.onPlayback(report("playing", 12_000, 2_400), 30, 0)), [
    { type: "antiphon.playout", item_id: "item_a1", played_ms: 470, buffered_ms: 130, underruns: 2 },
  ]);
  assert.deepEqual(sent(session.onPlayback(report("ended", 14_400), 30, 0)), [
    { type: "antiphon.playout", item_id: "item_a1", played_ms: 600, buffered_ms: 0, underruns: 2 },
  ]);
});

test("barge-in flushes at once and truncates to what was heard", () => {
  const session = speaking();
  const speech = { type: "input_audio_buffer.speech_started", item_id: "item_u2" };
  assert.deepEqual(kinds(session.onEvent(speech, 0)), ["flush", "duck"]);
  assert.equal(session.accepts(1), false);
  assert.equal(session.transcript.get("item_a1").interrupted, true);
  assert.deepEqual(sent(session.onPlayback(report("flushed", 12_000, 800), 30, 0)), [
    { type: "conversation.item.truncate", item_id: "item_a1", content_index: 0, audio_end_ms: 470 },
  ]);
  assert.equal(session.phase, "listening");
});

test("what still comes of an interrupted response is ignored", () => {
  const session = speaking();
  session.onEvent({ type: "input_audio_buffer.speech_started", item_id: "item_u2" }, 0);
  session.onPlayback(report("flushed", 12_000), 0, 0);
  const late = { type: "antiphon.audio.started", ...IDS, stream: 2, sample_rate_hz: RATE_HZ };
  assert.deepEqual(session.onEvent(late, 0), []);
  assert.equal(session.accepts(2), false);
  const delta = { type: "response.output_audio_transcript.delta", ...IDS, delta: " never" };
  session.onEvent(delta, 0);
  assert.deepEqual(texts(session), ["Well, I"]);
  assert.deepEqual(session.onEvent(done("cancelled", { reason: "turn_detected" }), 0), []);
});

test("an interrupted text becomes what was heard", () => {
  const session = speaking();
  session.onEvent({ type: "input_audio_buffer.speech_started", item_id: "item_u2" }, 0);
  const truncated = { type: "conversation.item.truncated", item_id: "item_a1", audio_end_ms: 470 };
  assert.deepEqual(sent(session.onEvent(truncated, 0)), [
    { type: "conversation.item.retrieve", item_id: "item_a1" },
  ]);
  const item = { id: "item_a1", content: [{ type: "output_audio", transcript: "Well," }] };
  session.onEvent({ type: "conversation.item.retrieved", item }, 0);
  assert.deepEqual(texts(session), ["Well,"]);
});

test("speech while nothing is audible flushes nothing", () => {
  const session = listening();
  const speech = { type: "input_audio_buffer.speech_started", item_id: "item_u1" };
  assert.deepEqual(session.onEvent(speech, 0), []);
});

test("a ducked answer that goes on is neither flushed nor truncated", () => {
  const session = speaking();
  const duck = (ducked, paused) => ({ type: "antiphon.duck", item_id: "item_a1", ducked, paused });
  assert.deepEqual(session.onEvent(duck(true), 0), [{ do: "duck", to: "ducked" }]);
  assert.equal(session.caption, "Speaking quietly");
  assert.deepEqual(session.onEvent(duck(true, true), 0), [{ do: "duck", to: "paused" }]);
  assert.deepEqual(session.onEvent(duck(false), 0), [{ do: "duck", to: "full" }]);
  assert.equal(session.caption, "Speaking");
  assert.equal(session.phase, "speaking");
});

test("a duck that comes after the answer has ended lowers nothing", () => {
  const session = speaking();
  session.onPlayback(report("ended", 24_000), 0, 0);
  const duck = { type: "antiphon.duck", item_id: "item_a1", ducked: true };
  assert.deepEqual(session.onEvent(duck, 0), [{ do: "duck", to: "full" }]);
});

test("an answer that ends while ducked leaves the next one loud", () => {
  const session = speaking();
  session.onEvent({ type: "antiphon.duck", item_id: "item_a1", ducked: true }, 0);
  const commands = session.onPlayback(report("ended", 24_000), 0, 0);
  assert.deepEqual(commands[0], { do: "duck", to: "full" });
  assert.equal(session.ducked, false);
});

test("an answer that was taken back leaves nothing on the screen", () => {
  const session = speaking();
  session.onEvent({ type: "conversation.item.added", item: { id: "item_u1", type: "message", role: "user" } }, 0);
  session.onEvent({ type: "input_audio_buffer.speech_started", item_id: "item_u2" }, 0);
  session.onPlayback(report("flushed", 1_200), 0, 0);
  session.onEvent(done("cancelled", { reason: "turn_detected" }), 0);
  session.onEvent({ type: "conversation.item.deleted", item_id: "item_a1" }, 0);
  session.onEvent({ type: "conversation.item.deleted", item_id: "item_u1" }, 0);
  assert.deepEqual(session.transcript.entries, []);
  assert.equal(session.phase, "listening");
});

test("a response retracted before it was heard leaves no text", () => {
  const session = listening();
  session.onEvent({ type: "response.created", response: { id: "resp_1" } }, 0);
  session.onEvent({ type: "response.output_audio_transcript.delta", ...IDS, delta: "Well" }, 0);
  const output = [{ id: "item_a1", content: [{ type: "output_audio", transcript: "Well" }] }];
  session.onEvent(done("cancelled", { reason: "turn_detected" }, output), 0);
  assert.deepEqual(texts(session), []);
  session.onEvent({ type: "conversation.item.deleted", item_id: "item_u1" }, 0);
  assert.equal(session.phase, "listening");
});

test("the answer's text is final once it was heard, not before", () => {
  const session = speaking();
  session.onEvent({ type: "response.output_audio.done", ...IDS }, 0);
  const type = "response.output_audio_transcript.done";
  session.onEvent({ type, ...IDS, transcript: "Well, I do." }, 0);
  assert.equal(session.transcript.get("item_a1").final, false);
  session.onPlayback(report("ended", 4_800), 0, 0);
  assert.equal(session.transcript.get("item_a1").final, true);
  assert.deepEqual(texts(session), ["Well, I do."]);
});

test("partial words are replaced by the final transcript, in the item's place", () => {
  const session = listening();
  const prefix = "conversation.item.input_audio_transcription";
  session.onEvent({ type: `${prefix}.delta`, item_id: "item_u1", delta: "what time" }, 0);
  session.onEvent({ type: "response.output_text.delta", ...IDS, delta: "Ten" }, 0);
  const completed = { type: `${prefix}.completed`, item_id: "item_u1", transcript: "What time?" };
  session.onEvent(completed, 0);
  assert.deepEqual(texts(session), ["What time?", "Ten"]);
  assert.deepEqual(session.transcript.entries.map((entry) => entry.final), [true, false]);
});

test("a message typed while idle connects first and needs no microphone", () => {
  const session = setUp();
  assert.deepEqual(session.sendText("  Hello ", 0), [{ do: "connect" }]);
  session.onLink({ state: "open" });
  const commands = session.onEvent({ type: "session.created" }, 0);
  assert.deepEqual(sent(commands).map((event) => event.type), [
    "conversation.item.create",
    "response.create",
  ]);
  assert.deepEqual(sent(commands)[0].item.content, [{ type: "input_text", text: "Hello" }]);
  assert.equal(session.phase, "thinking");
  assert.deepEqual(session.talk(), [{ do: "start-microphone" }]);
});

test("a message typed over an answer cancels it before it asks", () => {
  const session = speaking();
  const commands = session.sendText("Stop", 0);
  assert.deepEqual(commands.map((c) => c.event?.type ?? c.do), [
    "response.cancel", "flush", "duck", "conversation.item.create", "response.create",
  ]);
});

test("an empty message is not sent", () => {
  assert.deepEqual(setUp().sendText("   ", 0), []);
});

test("a lost connection falls silent, keeps the transcript and starts no second microphone", () => {
  const session = speaking();
  const waiting = { state: "waiting", code: 1012, reason: "", delayMs: 1_900 };
  assert.deepEqual(kinds(session.onLink(waiting)), ["flush", "duck"]);
  assert.equal(session.phase, "connecting");
  assert.equal(session.caption, "Connection lost. Trying again in 2 s");
  assert.deepEqual(sent(session.onPlayback(report("flushed", 4_800), 0, 0)), []);
  session.onLink({ state: "connecting" });
  session.onLink({ state: "open" });
  assert.deepEqual(session.onEvent({ type: "session.created" }, 0), []);
  assert.equal(session.phase, "listening");
  assert.deepEqual(texts(session), ["Well, I"]);
});

test("a refused connection ends in an error that says what to do", () => {
  const session = setUp();
  session.talk();
  const commands = session.onLink({ state: "closed", code: 1008, reason: "bad key" });
  assert.deepEqual(commands, [{ do: "stop-audio" }]);
  assert.equal(session.phase, "error");
  assert.equal(session.problem.message, "bad key");
  assert.match(session.problem.fix, /tap Talk/);
  assert.deepEqual(session.talk(), [{ do: "connect" }]);
  assert.equal(session.problem, null);
});

test("without a microphone a spoken session ends and a written one goes on", () => {
  const problem = { message: "blocked", fix: "allow" };
  const spoken = setUp();
  spoken.talk();
  spoken.onEvent({ type: "session.created" }, 0);
  assert.deepEqual(kinds(spoken.onMicrophoneFailed(problem)), ["disconnect", "stop-audio"]);
  assert.equal(spoken.phase, "error");
  assert.equal(spoken.problem, problem);

  const written = setUp();
  written.sendText("Hello", 0);
  written.onEvent({ type: "session.created" }, 0);
  written.talk();
  assert.deepEqual(written.onMicrophoneFailed(problem), []);
  assert.equal(written.active, true);
  assert.equal(written.voice, false);
});

test("failed and incomplete responses are told, harmless errors are not", () => {
  const session = listening();
  session.onEvent({ type: "error", error: { code: "response_cancel_not_active" } }, 0);
  assert.equal(session.problem, null);
  const details = { error: { message: "the model is gone" } };
  session.onEvent(done("failed", details), 0);
  assert.equal(session.problem.message, "the model is gone");
  session.onEvent(done("incomplete", { reason: "max_output_tokens" }), 0);
  assert.match(session.problem.message, /length limit/);
  session.onEvent({ type: "response.created", response: { id: "resp_2" } }, 0);
  assert.equal(session.problem, null);
});

test("the server's figures join their turn, whichever comes first", () => {
  const session = listening();
  const steps_ms = { endpointing: 200, speech: 112 };
  const metrics = { type: "antiphon.turn.metrics", turn_id: 4, voice_to_voice_ms: 312, steps_ms };
  session.turns.asked(0);
  session.turns.played("resp_1", 300);
  session.onEvent({ ...metrics, response_id: "resp_1" }, 0);
  session.onEvent({ ...metrics, response_id: "resp_2" }, 0);
  session.turns.asked(1_000);
  session.turns.played("resp_2", 1_400);
  const server = { voiceToVoiceMs: 312, stepsMs: steps_ms, partsMs: {} };
  assert.deepEqual(session.turns.turns, [
    { number: 1, responseId: "resp_1", playedAfterMs: 300, ...server },
    { number: 2, responseId: "resp_2", playedAfterMs: 400, ...server },
  ]);
});

test("stable and unstable words are shown together", () => {
  const session = listening();
  const type = "antiphon.transcript.partial";
  session.onEvent({ type, item_id: "item_u1", stable: "", unstable: "What" }, 0);
  assert.deepEqual(texts(session), ["What"]);
  session.onEvent({ type, item_id: "item_u1", stable: "What time", unstable: "is" }, 0);
  assert.deepEqual(texts(session), ["What time is"]);
});

test("unknown events change nothing", () => {
  const session = listening();
  for (const type of ["rate_limits.updated", "antiphon.unheard_of", "response.unheard_of"]) {
    assert.deepEqual(session.onEvent({ type }, 0), []);
  }
  assert.equal(session.phase, "listening");
});

test("when the first sample of a reply is played is told once, by the microphone's clock", () => {
  const session = listening();
  session.onEvent({ type: "response.created", response: { id: "resp_1" } }, 0);
  session.onEvent(
    { type: "antiphon.audio.started", ...IDS, stream: 1, sample_rate_hz: RATE_HZ }, 0,
  );
  session.onAudioArrived(1, 5_000);
  session.onAudioArrived(1, 5_040);
  const started = { ...report("started", 0), clockMs: 5_080.5 };
  assert.deepEqual(sent(session.onPlayback(started, 20, 0))[1], {
    type: "antiphon.turn.played",
    item_id: "item_a1",
    received_us: 5_000_000,
    started_us: 5_080_500,
    heard_us: 5_100_500,
  });
  const playing = { ...report("playing", 2_400), clockMs: 5_180 };
  assert.equal(sent(session.onPlayback(playing, 20, 0)).length, 1);
});

test("the whole wait replaces what the server knew of it first", () => {
  const session = speaking();
  const metrics = { type: "antiphon.turn.metrics", turn_id: 1, response_id: "resp_1" };
  const steps_ms = { audio_sent: 300 };
  session.onEvent({ ...metrics, voice_to_voice_ms: 300, steps_ms, parts_ms: { stt: 300 } }, 0);
  const parts_ms = { stt: 300, downlink: 10 };
  const whole = { voice_to_voice_ms: 300, mouth_to_ear_ms: 310, steps_ms, parts_ms };
  session.onEvent({ ...metrics, ...whole }, 0);
  const [turn] = session.turns.turns;
  assert.deepEqual([turn.voiceToVoiceMs, turn.partsMs], [310, parts_ms]);
});

test("a voice over the answer halves it until the server says more", () => {
  const session = speaking();
  const chunk = (nowMs, voiced = true) => session.onMicrophone(voiced, nowMs);
  assert.deepEqual([0, 20, 40].flatMap((nowMs) => chunk(nowMs)), []);
  assert.deepEqual(chunk(60), [{ do: "duck", to: "half-ducked" }]);
  const duck = { type: "antiphon.duck", item_id: "item_a1", ducked: true };
  assert.deepEqual(session.onEvent(duck, 100), [{ do: "duck", to: "ducked" }]);
  assert.deepEqual(chunk(600), []);
  session.setMuted(true);
  assert.deepEqual([3000, 3020, 3040, 3060].flatMap((nowMs) => chunk(nowMs)), []);
});

test("sound that is held back or taken away is told, and no more once it is back", () => {
  const session = listening();
  session.onAudioState("interrupted");
  assert.match(session.problem.message, /call or another app/);
  session.onAudioState("blocked");
  assert.match(session.problem.fix, /Tap anywhere/);
  session.onAudioState("running");
  assert.equal(session.problem, null);
});
