// @ts-check
/**
 * The microphone where there is no AudioWorklet: what MediaRecorder makes of it, in small pieces. The
 * server decodes it. The pieces are one stream; when one of them is lost, it begins afresh.
 */

const SLICE_MS = 100;
const BITS_PER_SECOND = 48_000;
/** After a loss, before the stream begins afresh. */
const PAUSE_MS = 500;
/** In the order of preference; browsers have one or the other. */
const TYPES = ["audio/webm;codecs=opus", "audio/mp4;codecs=mp4a.40.2", "audio/mp4", "audio/ogg"];

/**
 * @typedef {object} EncodedChunk
 * @property {ArrayBuffer} content
 * @property {string} mimeType
 * @property {boolean} first it begins a stream
 * @property {number} timestampUs when its first sound was captured
 */

export class EncodedCapture {
  #stream;
  #clockMs;
  #onChunk;
  /** @type {MediaRecorder | null} */
  #recorder = null;
  #wanted = true;
  #timer = 0;

  /**
   * @param {MediaStream} stream
   * @param {() => number} clockMs the clock of the timestamps
   * @param {(chunk: EncodedChunk) => boolean} onChunk false: the chunk was lost
   * @throws {DOMException} `NotSupportedError` where the browser cannot record
   */
  constructor(stream, clockMs, onChunk) {
    this.#stream = stream;
    this.#clockMs = clockMs;
    this.#onChunk = onChunk;
    this.#start();
  }

  /** Send what is heard, or nothing. @param {boolean} wanted */
  set wanted(wanted) {
    if (wanted === this.#wanted) return;
    this.#wanted = wanted;
    const recorder = this.#recorder;
    if (!recorder || recorder.state === "inactive") return;
    if (wanted) recorder.resume();
    else {
      recorder.requestData();
      recorder.pause();
    }
  }

  close() {
    clearTimeout(this.#timer);
    const recorder = this.#recorder;
    this.#recorder = null;
    if (recorder && recorder.state !== "inactive") recorder.stop();
  }

  #start() {
    const mimeType = supportedType();
    const recorder = new MediaRecorder(this.#stream, {
      mimeType,
      audioBitsPerSecond: BITS_PER_SECOND,
    });
    const startMs = this.#clockMs();
    let first = true;
    let before = Promise.resolve();
    recorder.ondataavailable = ({ data, timecode }) => {
      const timestampUs = Math.round((startMs + (timecode || 0)) * 1000);
      before = before.then(async () => {
        const content = await data.arrayBuffer();
        if (recorder !== this.#recorder || !content.byteLength) return;
        if (this.#onChunk({ content, mimeType, first, timestampUs })) first = false;
        else this.#startAfresh();
      });
    };
    this.#recorder = recorder;
    recorder.start(SLICE_MS);
    if (!this.#wanted) recorder.pause();
  }

  #startAfresh() {
    this.close();
    this.#timer = setTimeout(() => this.#start(), PAUSE_MS);
  }
}

function supportedType() {
  const type =
    typeof MediaRecorder === "undefined"
      ? undefined
      : TYPES.find((each) => MediaRecorder.isTypeSupported(each));
  if (!type) throw new DOMException("no AudioWorklet and no MediaRecorder", "NotSupportedError");
  return type;
}
