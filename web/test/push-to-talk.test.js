import assert from "node:assert/strict";
import { test } from "node:test";
import { Session } from "../src/session.js";

const RATE_HZ = 24_000;
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

/** A session in which a response is audible. */
function speaking() {
  const session = listening();
  session.onEvent({ type: "response.created", response: { id: "resp_1" } }, 0);
  session.onEvent(
    { type: "antiphon.audio.started", ...IDS, stream: 1, sample_rate_hz: RATE_HZ }, 0,
  );
  const counts = { playedSamples: 0, bufferedSamples: 0, underruns: 0, droppedSamples: 0 };
  session.onPlayback({ stream: 1, event: "started", ...counts }, 0, 0);
  return session;
}

const sent = (commands) => commands.filter((c) => c.do === "send").map((c) => c.event);
const kinds = (commands) => commands.map((c) => c.do);

test("with push-to-talk a turn is what is said while the button is held", () => {
  const session = listening();
  session.setPushToTalk(true);
  assert.deepEqual([session.phase, session.uplink], ["ready", false]);
  assert.deepEqual(sent(session.press(0)), [{ type: "input_audio_buffer.clear" }]);
  session.setPushToTalk(true);
  session.onEvent({ type: "input_audio_buffer.cleared" }, 10);
  assert.deepEqual([session.phase, session.uplink], ["listening", true]);
  assert.deepEqual(sent(session.release(2_000)), [
    { type: "input_audio_buffer.commit" }, { type: "response.create" },
  ]);
  assert.deepEqual([session.phase, session.uplink], ["thinking", false]);
  assert.deepEqual(session.release(2_100), []);
});

test("a button held over an answer silences it first", () => {
  const session = speaking();
  session.setPushToTalk(true);
  const commands = session.press(500);
  assert.deepEqual(sent(commands)[0].type, "response.cancel");
  assert.ok(kinds(commands).includes("flush"));
  assert.equal(sent(commands).at(-1).type, "input_audio_buffer.clear");
});

test("a slip of the finger asks nothing and says so quietly", () => {
  const session = listening();
  session.setPushToTalk(true);
  session.press(0);
  assert.deepEqual(sent(session.release(100)), [{ type: "input_audio_buffer.clear" }]);
  assert.equal(session.problem.tone, "note");
  assert.equal(session.phase, "ready");
});
