import assert from "node:assert/strict";
import { test } from "node:test";
import {
  answersNow,
  better,
  choices,
  invitation,
  isCurrent,
  nameOf,
  progress,
  size,
} from "../src/language-model/offer.js";

const DEMONSTRATION = { engine: "llamacpp", model: "smollm2-135m", demonstration: true };
const EMBEDDED = { name: "smollm2-135m", url: "", title: "smollm2-135m", server: "", size_bytes: 98e6 };
const PROPOSAL = {
  name: "qwen2.5-1.5b",
  url: "",
  title: "Qwen2.5 1.5B",
  size_bytes: 1117320736,
  licence: "Apache-2.0",
};

const served = (name) => ({
  name: `ollama:${name}`,
  url: "http://127.0.0.1:11434",
  title: name,
  server: "Ollama",
  size_bytes: 2.5e9,
});

const state = (changes) => ({
  answers: DEMONSTRATION,
  can_switch: true,
  offers: [EMBEDDED],
  proposal: null,
  change: null,
  ...changes,
});

test("models of a server are offered instead of the one for demonstration", () => {
  const now = state({ offers: [served("qwen3:4b"), served("a"), served("b"), served("c"), EMBEDDED] });
  const offered = better(now);
  assert.deepEqual(offered.map(({ name }) => name), ["ollama:qwen3:4b", "ollama:a", "ollama:b", "ollama:c"]);
  assert.equal(offered[0].text, "qwen3:4b (Ollama, 2.5 GB)");
  assert.match(invitation(now, offered), /Ollama on this machine has better ones\./);
  const [one] = offered;
  assert.match(invitation(now, [one]), /Ollama on this machine has a better one: qwen3:4b\./);
  const here = state({ offers: [EMBEDDED, { ...EMBEDDED, name: "qwen3-4b", title: "qwen3-4b" }] });
  assert.match(invitation(here, better(here)), /This server has a better one: qwen3-4b\./);
});

test("what is to be fetched says its size and licence first", () => {
  const now = state({ proposal: PROPOSAL });
  const [offered] = better(now);
  assert.equal(offered.fetches, true);
  assert.equal(offered.text, "Qwen2.5 1.5B (1.1 GB to fetch, licence Apache-2.0)");
  assert.match(invitation(now, [offered]), /1\.1 GB to fetch, licence Apache-2\.0/);
});

test("who chose a model, or cannot change it here, is offered nothing", () => {
  const offers = [served("qwen3:4b"), EMBEDDED];
  const answers = { engine: "ollama", model: "qwen3:4b", demonstration: false };
  assert.deepEqual(better(state({ offers, answers })), []);
  assert.deepEqual(better(state({ offers, can_switch: false })), []);
  assert.deepEqual(better(state({ offers, answers: null })), []);
  assert.deepEqual(better(state({})), []);
  assert.equal(choices(state({ offers, answers })).length, 2);
});

test("an offer that changed is another one", () => {
  const [a, b] = choices(state({ offers: [served("a"), served("b")] }));
  assert.notEqual(nameOf([a]), nameOf([a, b]));
  assert.notEqual(nameOf([a]), nameOf([{ ...a, url: "http://127.0.0.1:1" }]));
});

test("the model that answers is known by its name, with its engine's where another server has it", () => {
  const answers = { engine: "ollama", model: "qwen3:4b", demonstration: false };
  const now = state({ offers: [served("qwen3:4b"), EMBEDDED], answers });
  assert.deepEqual(choices(now).map((choice) => isCurrent(now, choice)), [true, false]);
  assert.equal(answersNow(now), "qwen3:4b answers now.");
  assert.match(answersNow(state({})), /smollm2-135m answers now\. It is tiny/);
  assert.match(answersNow(state({ answers: null })), /No language model/);
});

test("a change is told while it goes on and when it has ended", () => {
  const told = (changes) => {
    const change = { name: PROPOSAL.name, url: "", done_bytes: 0, total_bytes: 0, problem: "", keep: "" };
    return progress(state({ proposal: PROPOSAL, change: { ...change, ...changes } }));
  };
  assert.equal(progress(state({})), null);
  const fetching = told({ state: "fetching", done_bytes: 250e6, total_bytes: 1e9 });
  assert.equal(fetching.figures, "250 MB of 1.0 GB");
  assert.equal(fetching.part, 0.25);
  assert.equal(fetching.stoppable, true);
  assert.equal(told({ state: "fetching" }).part, null);
  assert.deepEqual(
    ["fetching", "switching", "done", "failed", "stopped"].map((name) => told({ state: name }).ended),
    [false, false, true, true, true],
  );
  assert.match(told({ state: "failed", problem: "no network" }).text, /Qwen2\.5 1\.5B .*: no network/);
});

test("sizes are those of the terminal", () => {
  assert.equal(size(98362432), "98 MB");
  assert.equal(size(1117320736), "1.1 GB");
});
