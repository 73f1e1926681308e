import assert from "node:assert/strict";
import { test } from "node:test";
import { DEFAULTS, Preferences, parse } from "../src/preferences.js";

const SERVER = {
  instructions: "Be brief.",
  audio: { output: { voice: "joe", speed: 1 }, input: { transcription: { language: "en" } } },
};
const created = { type: "session.created", session: SERVER };

test("what was kept is read, and nonsense left out", () => {
  const kept = { voice: "ada", speed: "fast", turns: "shout", silenceMs: 300, foreign: 1 };
  assert.deepEqual(parse(JSON.stringify(kept)), { ...DEFAULTS, voice: "ada", silenceMs: 300 });
  assert.deepEqual(parse("{"), DEFAULTS);
  assert.deepEqual(parse(""), DEFAULTS);
  assert.deepEqual(parse("null"), DEFAULTS);
});

test("a server is told nothing by a person who set nothing", () => {
  assert.deepEqual(new Preferences(parse("")).onEvent(created), []);
});

test("a new session is told all that was set, and push-to-talk as no detection", () => {
  const values = { ...DEFAULTS, turns: "push", language: "de", speed: 1.2 };
  const [update] = new Preferences(values).onEvent(created);
  assert.deepEqual(update.session, {
    type: "realtime",
    audio: {
      output: { speed: 1.2 },
      input: { transcription: { language: "de" }, turn_detection: null },
    },
  });
});

test("what is set back goes back to what the server began with", () => {
  const preferences = new Preferences({ ...DEFAULTS, voice: "ada", instructions: "Sing." });
  preferences.onEvent(created);
  const [voice] = preferences.change("voice", "");
  assert.equal(voice.session.audio.output.voice, "joe");
  const [instructions] = preferences.change("instructions", "");
  assert.equal(instructions.session.instructions, "Be brief.");
});

test("a refused value is named, and the others of its update are told again", () => {
  const preferences = new Preferences({ ...DEFAULTS, turns: "server", silenceMs: -1, voice: "ada" });
  const [update] = preferences.onEvent(created);
  const param = "session.audio.input.turn_detection.silence_duration_ms";
  const error = { type: "error", error: { event_id: update.event_id, param, message: ">= 0" } };
  assert.ok(preferences.owns(error));
  const [again] = preferences.onEvent(error);
  assert.equal(preferences.refusals.silenceMs, ">= 0");
  assert.equal(again.session.audio.output.voice, "ada");
  preferences.change("silenceMs", 400);
  assert.equal(preferences.refusals.silenceMs, undefined);
});

test("errors about something else are left to others", () => {
  const preferences = new Preferences({ ...DEFAULTS });
  const error = { type: "error", error: { event_id: "event_7", message: "no" } };
  assert.equal(preferences.owns(error), false);
  assert.deepEqual(preferences.onEvent(error), []);
});

test("a page without sound asks for text", () => {
  const preferences = new Preferences({ ...DEFAULTS });
  preferences.textOnly = true;
  const [update] = preferences.onEvent(created);
  assert.deepEqual(update.session.output_modalities, ["text"]);
});
