/** Runs a microphone through the capture line, and fills silence in as the gateway does. */

import { CAPTURE_RATE_HZ, CaptureLine } from "../src/capture-line.js";

const QUANTUM = 128;

/**
 * @param {Float32Array} samples of the device @param {number} rateHz @param {boolean} gated
 * @returns {{pcm: Int16Array, sent: Uint8Array, sentSamples: number, tells: number}} what the server
 *   has at 16 kHz; 1 for each of its samples that was sent
 */
export function throughTheGate(samples, rateHz, gated = true) {
  const total = Math.ceil((samples.length * CAPTURE_RATE_HZ) / rateHz) + CAPTURE_RATE_HZ;
  const pcm = new Int16Array(total);
  const sent = new Uint8Array(total);
  let [end, sentSamples, tells] = [0, 0, 0];
  const at = (timeUs) => Math.round((timeUs * CAPTURE_RATE_HZ) / 1e6);
  const line = new CaptureLine(rateHz, 0, {
    chunk: (buffer, timestampUs) => {
      const chunk = new Int16Array(buffer);
      const start = at(timestampUs);
      if (start !== end) throw new Error(`a chunk begins at ${start}, ${end} was told`);
      pcm.set(chunk, start);
      sent.fill(1, start, start + chunk.length);
      end = start + chunk.length;
      sentSamples += chunk.length;
      line.recycle(buffer);
    },
    silence: (untilUs) => {
      if (at(untilUs) < end) throw new Error("silence was told where audio is");
      end = at(untilUs);
      tells++;
    },
  });
  line.gated = gated;
  for (let frame = 0; frame + QUANTUM <= samples.length; frame += QUANTUM) {
    line.push(samples.subarray(frame, frame + QUANTUM), frame);
  }
  return { pcm: pcm.subarray(0, end), sent: sent.subarray(0, end), sentSamples, tells };
}
