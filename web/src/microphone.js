// @ts-check
/** The microphone: asking for it, keeping it, giving it back. */

/** @param {string} deviceId @returns {MediaStreamConstraints} */
export function constraints(deviceId) {
  return {
    audio: {
      channelCount: 1,
      echoCancellation: true,
      noiseSuppression: true,
      autoGainControl: true,
      ...(deviceId ? { deviceId: { ideal: deviceId } } : {}),
    },
  };
}

export class Microphone {
  /** @type {MediaStream | null} */
  #stream = null;
  /** @type {MediaStreamAudioSourceNode | null} */
  #source = null;
  #onLost;
  #request = 0;
  #closed = false;

  /** @param {() => void} onLost called when the device goes away */
  constructor(onLost) {
    this.#onLost = onLost;
  }

  /** @returns {MediaTrackSettings} */
  get settings() {
    return this.#stream?.getAudioTracks()[0]?.getSettings() ?? {};
  }

  /** What is heard; null while it is closed. */
  get stream() {
    return this.#stream;
  }

  /** The device's name. */
  get label() {
    return this.#stream?.getAudioTracks()[0]?.label ?? "";
  }

  /**
   * Open a microphone in place of the one that was open.
   * @param {AudioContext} context
   * @param {string} deviceId "" for the browser's choice
   * @returns {Promise<MediaStreamAudioSourceNode>}
   * @throws {DOMException} as getUserMedia does; `InsecureContext` where there is none, `Superseded`
   *   when `close` was called before or meanwhile, or `open` again
   */
  async open(context, deviceId) {
    if (!navigator.mediaDevices) throw new DOMException("no HTTPS", "InsecureContext");
    if (this.#closed) throw new DOMException("closed", "Superseded");
    const request = ++this.#request;
    const stream = await navigator.mediaDevices.getUserMedia(constraints(deviceId));
    if (this.#closed || request !== this.#request) {
      stop(stream);
      throw new DOMException("no longer wanted", "Superseded");
    }
    this.#release();
    this.#stream = stream;
    for (const track of stream.getAudioTracks()) {
      track.onended = () => this.#onLost();
    }
    this.#source = context.createMediaStreamSource(stream);
    return this.#source;
  }

  close() {
    this.#closed = true;
    this.#release();
  }

  #release() {
    this.#source?.disconnect();
    if (this.#stream) stop(this.#stream);
    this.#source = null;
    this.#stream = null;
  }
}

/** @param {MediaStream} stream */
function stop(stream) {
  for (const track of stream.getTracks()) {
    track.onended = null;
    track.stop();
  }
}
