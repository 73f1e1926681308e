import assert from "node:assert/strict";
import { test } from "node:test";
import { quantile, roundUp, totalMs, waterfall } from "../src/latency.js";

const turn = (stepsMs, voiceToVoiceMs = null, playedAfterMs = null) => {
  return { number: 1, responseId: "resp_1", stepsMs, partsMs: {}, voiceToVoiceMs, playedAfterMs };
};

test("steps show in the order they happened, each from the one before", () => {
  const rows = waterfall(turn({ transcript: 300, pause_seen: 200, audio_sent: 550 }));
  assert.deepEqual(rows.map(({ fromMs, toMs }) => [fromMs, toMs]), [[0, 200], [200, 300], [300, 550]]);
  assert.equal(rows[0].label, "pause noticed");
});

test("a step that is not known shows under its own name, one without a time not at all", () => {
  const rows = waterfall(turn({ left_the_speaker: 90, broken: null }));
  assert.deepEqual(rows, [{ label: "left the speaker", fromMs: 0, toMs: 90 }]);
});

test("parts lie end to end in the order of the server, known or not", () => {
  const rows = waterfall({ stepsMs: { transcript: 1 }, partsMs: { stt: 90, a_new_part: 0, playout: 20 } });
  assert.deepEqual(rows.map(({ label, fromMs, toMs }) => [label, fromMs, toMs]), [
    ["speech to text", 0, 90], ["a new part", 90, 90], ["sound output", 90, 110],
  ]);
});

test("the total is the last known moment", () => {
  assert.equal(totalMs(turn({ audio_sent: 500, played: 640 }, 500, 90)), 640);
  assert.equal(totalMs(turn({}, null, 90)), 90);
  assert.equal(totalMs(turn({})), 0);
});

test("quantiles are values that occurred", () => {
  const values = [5, 1, 4, 2, 3];
  assert.equal(quantile(values, 0.5), 3);
  assert.equal(quantile(values, 0.95), 5);
  assert.equal(quantile([7], 0.5), 7);
  assert.equal(quantile([], 0.5), 0);
});

test("a scale ends at a round number", () => {
  assert.equal(roundUp(640), 650);
  assert.equal(roundUp(1_234), 1_500);
  assert.equal(roundUp(3), 100);
});
