// @ts-check
/** RIFF/WAVE with 16-bit samples. Pure. */

const HEADER_BYTES = 44;

/** @param {Int16Array[]} channels of equal length @param {number} rateHz @returns {ArrayBuffer} */
export function encodeWav(channels, rateHz) {
  const length = channels[0]?.length ?? 0;
  const blockBytes = 2 * channels.length;
  const buffer = new ArrayBuffer(HEADER_BYTES + length * blockBytes);
  const view = new DataView(buffer);
  const text = (/** @type {number} */ at, /** @type {string} */ letters) => {
    for (let i = 0; i < letters.length; i++) view.setUint8(at + i, letters.charCodeAt(i));
  };
  text(0, "RIFF");
  view.setUint32(4, buffer.byteLength - 8, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, channels.length, true);
  view.setUint32(24, rateHz, true);
  view.setUint32(28, rateHz * blockBytes, true);
  view.setUint16(32, blockBytes, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, length * blockBytes, true);
  channels.forEach((samples, channel) => {
    for (let i = 0; i < length; i++) {
      view.setInt16(HEADER_BYTES + i * blockBytes + 2 * channel, samples[i] ?? 0, true);
    }
  });
  return buffer;
}
