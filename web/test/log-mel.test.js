import assert from "node:assert/strict";
import { test } from "node:test";

import { BANDS, BINS, FFT_SAMPLES, FLOOR_POWER, LogMel, frequencyAt, melFilters } from "../src/log-mel.js";

test("the weights of every band sum to one, at any rate", () => {
  for (const rateHz of [16_000, 44_100, 48_000, 96_000]) {
    const filters = melFilters(rateHz);
    for (let band = 0; band < BANDS; band++) {
      const sum = filters.subarray(band * BINS, (band + 1) * BINS).reduce((a, b) => a + b, 0);
      assert.ok(Math.abs(sum - 1) < 1e-5);
    }
  }
});

test("a tone is loudest in its own band, and as loud as it is", () => {
  const rateHz = 48_000;
  for (const band of [20, 40, 60]) {
    const hz = frequencyAt((band + 1) / (BANDS + 1));
    const samples = Float32Array.from({ length: FFT_SAMPLES }, (_, i) => Math.sin((2 * Math.PI * hz * i) / rateHz));
    const loudness = new LogMel(rateHz).analyse(samples);
    assert.ok(Math.abs(loudness.indexOf(Math.max(...loudness)) - band) <= 1);
    assert.ok(Math.max(...loudness) > -2.5, `${Math.max(...loudness)}`);
  }
});

test("silence is the floor", () => {
  const loudness = new LogMel(48_000).analyse(new Float32Array(FFT_SAMPLES));
  assert.ok(loudness.every((value) => Math.abs(value - Math.log10(FLOOR_POWER)) < 1e-6));
});
