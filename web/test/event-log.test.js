import assert from "node:assert/strict";
import { test } from "node:test";
import { EventLog, MAX_EVENTS, elide, matches } from "../src/event-log.js";

test("the oldest events leave", () => {
  const log = new EventLog();
  for (let i = 0; i < MAX_EVENTS + 3; i++) log.add("in", { type: "a", i }, i);
  assert.equal(log.entries.length, MAX_EVENTS);
  assert.equal(log.entries[0].event.i, 3);
});

test("audio and long texts are not kept", () => {
  const audio = "A".repeat(5_000);
  assert.match(elide({ type: "input_audio_buffer.append", audio }).audio, /^\(5000 characters/);
  assert.match(elide({ type: "response.output_audio.delta", delta: audio }).delta, /audio\)$/);
  assert.equal(elide({ type: "response.output_text.delta", delta: "Hi" }).delta, "Hi");
  assert.ok(elide({ type: "x", text: audio }).text.length < 1_100);
});

test("a filter asks for all its words, for a direction, and excludes with a minus", () => {
  const log = new EventLog();
  const done = log.add("in", { type: "response.done", response: { id: "resp_7" } }, 0);
  const create = log.add("out", { type: "response.create" }, 0);
  const found = (filter) => [done, create].filter((logged) => matches(logged, filter));
  assert.deepEqual(found(""), [done, create]);
  assert.deepEqual(found("RESP_7"), [done]);
  assert.deepEqual(found("response -done"), [create]);
  assert.deepEqual(found("in response"), [done]);
  assert.equal(log.toText("out"), '{"at_ms":0,"direction":"out","event":{"type":"response.create"}}');
});
