import assert from "node:assert/strict";
import { test } from "node:test";

import * as checks from "../src/doctor/checks.js";

test("what is wrong has a fix, what is good has none", () => {
  const bad = [
    checks.secureContext(false, "http://10.0.0.5"),
    checks.permission("NotAllowedError", ""),
    checks.permission("NotFoundError", ""),
    checks.sampleRate(48_000, 8_000),
    checks.sampleRate(16_000, undefined),
    checks.hearing(-90),
    checks.echoCancellation(false),
    checks.echoLeak({ found: true, gainDb: -12 }),
    checks.playback(3, 2, 20),
    checks.playback(0, 0, 20),
    ...[0, 401, 403, 429, 503].map((status) => checks.server(status, "why")),
    checks.roundTrip([10, 400, 500]),
    checks.jitter([10, 10, 10, 200]),
  ];
  for (const verdict of bad) {
    assert.notEqual(verdict.level, "ok", verdict.text);
    assert.ok(verdict.fix, verdict.text);
  }
  const good = [
    checks.secureContext(true, "https://10.0.0.5"),
    checks.permission("", "Built-in"),
    checks.sampleRate(44_100, 48_000),
    checks.hearing(-40),
    checks.echoCancellation(true),
    checks.echoLeak({ found: true, gainDb: -45 }),
    checks.echoLeak({ found: false, gainDb: -100 }),
    checks.playback(0, 2, 20),
    checks.server(101, ""),
    checks.roundTrip([10, 12, 900]),
    checks.jitter([10, 11, 12]),
  ];
  for (const verdict of good) {
    assert.equal(verdict.level, "ok", verdict.text);
    assert.equal(verdict.fix, undefined);
  }
});

test("the summary counts the worst first", () => {
  const [ok, warn, fail] = ["ok", "warn", "fail"].map((level) => ({ level, text: "" }));
  assert.match(checks.summary([ok, warn, fail]), /1 of 3 checks failed/);
  assert.match(checks.summary([ok, warn]), /1 of 2 checks could be better/);
  assert.match(checks.summary([ok, ok]), /All 2 checks are fine/);
});
