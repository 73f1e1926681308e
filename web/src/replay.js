// @ts-check
/** Plays kept audio once more, on an AudioContext of its own. One at a time. */

export class Replay {
  /** @type {AudioContext | null} */
  #context = null;
  #onChange;

  /** @param {() => void} onChange called when it starts or ends */
  constructor(onChange) {
    this.#onChange = onChange;
  }

  get playing() {
    return this.#context !== null;
  }

  /** Call in a gesture. @param {Int16Array} pcm @param {number} rateHz */
  play(pcm, rateHz) {
    this.stop();
    const context = new AudioContext();
    this.#context = context;
    const buffer = context.createBuffer(1, pcm.length, rateHz);
    buffer.copyToChannel(Float32Array.from(pcm, (sample) => sample / 32_768), 0);
    const source = new AudioBufferSourceNode(context, { buffer });
    source.connect(context.destination);
    source.onended = () => {
      if (this.#context === context) this.stop();
    };
    source.start();
    this.#onChange();
  }

  stop() {
    if (!this.#context) return;
    void this.#context.close();
    this.#context = null;
    this.#onChange();
  }
}
