import assert from "node:assert/strict";
import { test } from "node:test";

import { HeardHere } from "../src/heard-here.js";
import { Hearing } from "../src/recognition/hearing.js";
import { readTokens, textOf } from "../src/recognition/tokens.js";
import { Utterance, WINDOW_SAMPLES } from "../src/recognition/utterance.js";
import { Transcript } from "../src/transcript.js";

/** Windows as a string: `s` speech, `.` silence. @param {string} heard */
function edges(heard) {
  const utterance = new Utterance(640);
  return [...heard].map((one) => utterance.push(one === "s" ? 0.9 : 0.01)).filter(Boolean);
}

test("speech begins, pauses, goes on and ends", () => {
  assert.deepEqual(edges("....ssss"), ["started"]);
  assert.deepEqual(edges(`ssss${".".repeat(7)}`), ["started", "paused"]);
  assert.deepEqual(edges(`ssss${".".repeat(8)}s`), ["started", "paused", "resumed"]);
  assert.deepEqual(edges(`ssss${".".repeat(20)}`), ["started", "paused", "ended"]);
});

test("a click is dropped, and an utterance has an end", () => {
  assert.deepEqual(edges("s."), ["dropped"]);
  assert.equal(edges("s".repeat(940)).at(-1), "ended");
});

/** What a hearing tells of windows, with words that say how much they heard. @param {string} heard */
async function told(heard, ended = false) {
  const events = [];
  const windows = [...heard];
  const hearing = new Hearing(
    { hear: async (window) => (window[0] ? 0.9 : 0.01) },
    { transcribe: async (samples) => `${samples.length / WINDOW_SAMPLES} windows` },
    (event) => events.push(event),
  );
  const samples = new Float32Array(windows.length * WINDOW_SAMPLES);
  windows.forEach((one, i) => samples.fill(one === "s" ? 0.5 : 0, i * WINDOW_SAMPLES, (i + 1) * WINDOW_SAMPLES));
  for (let at = 0; at < samples.length; at += 700) await hearing.hear(samples.slice(at, at + 700));
  if (ended) await hearing.end();
  return events;
}

test("the words are those of the whole utterance with what came just before it", async () => {
  const events = await told(`${".".repeat(30)}${"s".repeat(10)}${".".repeat(25)}`);
  assert.deepEqual(events.map(({ type }) => type), ["started", "final"]);
  // 10 windows before, 10 of speech, 7 of silence: made at the pause, ahead of the end.
  assert.equal(events[1].text, "27 windows");
  assert.equal(events[1].endpointMs, 640);
});

test("partial words come while the person speaks, and going on voids the words of a pause", async () => {
  const events = await told(`${"s".repeat(30)}${".".repeat(10)}${"s".repeat(30)}${".".repeat(25)}`);
  const types = events.map(({ type }) => type);
  assert.equal(types.filter((type) => type === "final").length, 1);
  assert.ok(types.filter((type) => type === "partial").length >= 2);
  assert.equal(events.at(-1).text, "77 windows");
});

test("letting the button go ends the utterance at once", async () => {
  const events = await told("s".repeat(10), true);
  assert.deepEqual(events.map(({ type }) => type), ["started", "final"]);
  assert.equal(events[1].text, "10 windows");
});

test("tokens are read by their lengths, and special ones are silent", () => {
  const bytes = (text) => [...new TextEncoder().encode(text)];
  const long = "x".repeat(130);
  const file = [["<unk>"], ["<s>"], ["</s>"], ["▁go"], ["ing"], [long]].flatMap(([text]) => {
    const { length } = bytes(text);
    return [...(length < 128 ? [length] : [128 + (length % 128), length >> 7]), ...bytes(text)];
  });
  const tokens = readTokens(Uint8Array.from(file).buffer);
  assert.equal(tokens.length, 6);
  assert.equal(textOf(tokens, [1, 3, 4, 3, 2]), "going go");
  assert.equal(textOf(tokens, [5]), long);
});

test("the words of one utterance share an entry, and nothing leaves none", () => {
  const transcript = new Transcript();
  const heard = new HeardHere(transcript);
  let count = 0;
  const newId = () => `item_${++count}`;
  assert.equal(heard.take({ type: "started" }, newId), null);
  assert.equal(heard.take({ type: "partial", text: "go" }, newId).id, "item_1");
  assert.equal(heard.take({ type: "final", text: "Go on." }, newId).id, "item_1");
  assert.equal(transcript.get("item_1").text, "Go on.");
  heard.take({ type: "partial", text: "hm" }, newId);
  assert.equal(heard.take({ type: "final", text: " " }, newId), null);
  assert.equal(transcript.get("item_2"), undefined);
});
