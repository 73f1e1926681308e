// @ts-check
/**
 * The binary audio frame of the `antiphon.v1` subprotocol: 24 bytes of header, then PCM16 samples.
 * The layout is that of `proto/antiphon_proto/frames.py`; all integers are little-endian.
 */

export const HEADER_BYTES = 24;
export const MAX_FRAME_BYTES = 64 * 1024;
export const MICROPHONE = 1;
export const PLAYBACK = 2;
export const ENCODED = 3;
export const SILENCE = 4;

const VERSION = 1;
const PCM16 = 1;
const MIN_SAMPLE_RATE_HZ = 8_000;
const MAX_SAMPLE_RATE_HZ = 192_000;

/**
 * @typedef {object} AudioFrame
 * @property {number} kind MICROPHONE or PLAYBACK; ENCODED and SILENCE are only written,
 *   never decoded here
 * @property {number} seq +1 per frame of the same kind, wraps at 2^32
 * @property {number} timestamp microseconds (microphone) or first sample's index (playback)
 * @property {number} sampleRateHz
 * @property {number} stream
 * @property {Int16Array} pcm
 */

/** Raised when a binary message is no audio frame; the text names the field and its limit. */
export class MalformedAudioFrame extends Error {}

/**
 * Write the header into the first 24 bytes of `buffer`, whose rest holds the samples.
 * @param {ArrayBuffer} buffer
 * @param {Omit<AudioFrame, "pcm">} header
 */
export function writeHeader(buffer, { kind, seq, timestamp, sampleRateHz, stream }) {
  const view = new DataView(buffer);
  view.setUint8(0, VERSION);
  view.setUint8(1, kind);
  view.setUint8(2, kind === ENCODED || kind === SILENCE ? 0 : PCM16);
  view.setUint8(3, 0);
  view.setUint32(4, seq >>> 0, true);
  view.setBigUint64(8, BigInt(timestamp), true);
  view.setUint32(16, sampleRateHz, true);
  view.setUint32(20, stream, true);
}

/**
 * @param {AudioFrame} frame
 * @returns {ArrayBuffer}
 */
export function encode(frame) {
  const buffer = new ArrayBuffer(HEADER_BYTES + frame.pcm.byteLength);
  writeHeader(buffer, frame);
  new Int16Array(buffer, HEADER_BYTES).set(frame.pcm);
  return buffer;
}

/**
 * The audio frame in `buffer`; its samples are a view of it, not a copy.
 * @param {ArrayBuffer} buffer
 * @returns {AudioFrame}
 * @throws {MalformedAudioFrame}
 */
export function decode(buffer) {
  const bytes = buffer.byteLength;
  if (bytes < HEADER_BYTES) {
    throw new MalformedAudioFrame(`frame is ${bytes} bytes, the header alone is ${HEADER_BYTES}`);
  }
  if (bytes > MAX_FRAME_BYTES) {
    throw new MalformedAudioFrame(`frame is ${bytes} bytes, the limit is ${MAX_FRAME_BYTES}`);
  }
  const view = new DataView(buffer);
  const version = view.getUint8(0);
  if (version !== VERSION) {
    throw new MalformedAudioFrame(`version is ${version}, not ${VERSION}`);
  }
  const kind = view.getUint8(1);
  if (kind !== MICROPHONE && kind !== PLAYBACK) {
    throw new MalformedAudioFrame(`kind is ${kind}, not 1 or 2`);
  }
  const format = view.getUint8(2);
  if (format !== PCM16) {
    throw new MalformedAudioFrame(`sample format is ${format}, not ${PCM16} (PCM16)`);
  }
  const sampleRateHz = view.getUint32(16, true);
  if (sampleRateHz < MIN_SAMPLE_RATE_HZ || sampleRateHz > MAX_SAMPLE_RATE_HZ) {
    throw new MalformedAudioFrame(
      `sample rate is ${sampleRateHz} Hz, outside ${MIN_SAMPLE_RATE_HZ}..${MAX_SAMPLE_RATE_HZ}`,
    );
  }
  if ((bytes - HEADER_BYTES) % 2) {
    throw new MalformedAudioFrame(`PCM16 payload is ${bytes - HEADER_BYTES} bytes, an odd count`);
  }
  return {
    kind,
    seq: view.getUint32(4, true),
    timestamp: Number(view.getBigUint64(8, true)),
    sampleRateHz,
    stream: view.getUint32(20, true),
    pcm: new Int16Array(buffer, HEADER_BYTES),
  };
}
