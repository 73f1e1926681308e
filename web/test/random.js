/** Seeded pseudo-random numbers in 0..1 (mulberry32), so that a failing run can be repeated. */
export function seeded(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** A sine as PCM16. */
export function sine(frequencyHz, sampleRateHz, samples, amplitude = 0.5) {
  const step = (2 * Math.PI * frequencyHz) / sampleRateHz;
  return Int16Array.from({ length: samples }, (_, n) =>
    Math.round(amplitude * 32768 * Math.sin(step * n)),
  );
}

export function decibels(ratio) {
  return 20 * Math.log10(ratio);
}
