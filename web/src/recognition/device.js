// @ts-check
/** Whether this device recognises speech, by the settings and by what the server has for it. */

/** @typedef {import("./recogniser.js").Recogniser} Recogniser */
/** @typedef {import("./recogniser.js").Place} Place */
/** @typedef {import("./recogniser.js").Listener} Listener */

const MISSING =
  "Your server does not have the model. On its machine run: antiphon models pull moonshine-tiny-en";

/** A graphics card that is emulated takes minutes. */
const GPU_PATIENCE_MS = 30_000;

export class Device {
  #listener;
  /** @type {Place | null} */
  #place = null;
  #wanted = false;
  #key = "";
  /** @type {Recogniser | null} */
  #recogniser = null;
  /** @type {AudioNode | null} */
  #source = null;
  /** Counts calls of `listen`; only the newest one counts. */
  #requests = 0;
  /** WebGPU did not get ready; the processor does. */
  #gpuIsSlow = false;

  /** @param {Listener} listener */
  constructor(listener) {
    this.#listener = listener;
  }

  /** Words are made here, so no sound goes to the server. */
  get active() {
    return this.#wanted && this.#place !== null;
  }

  /** @param {Place | null} place what the server has */
  set place(place) {
    const news = JSON.stringify(place) !== JSON.stringify(this.#place);
    this.#place = place;
    if (news) this.#begin();
  }

  /**
   * @param {{recognise: string, compute: string, silenceMs: number | null}} settings
   */
  configure({ recognise, compute, silenceMs }) {
    const key = `${recognise} ${compute} ${silenceMs ?? 0}`;
    if (key === this.#key) return;
    this.#wanted = recognise === "device";
    this.#key = key;
    this.#recogniser?.close();
    this.#recogniser = null;
    this.#begin();
  }

  /** @param {AudioNode | null} source the microphone; null when it is closed */
  async listen(source) {
    this.#source = source;
    this.#recogniser?.silence();
    const request = ++this.#requests;
    const place = this.#place;
    if (!source || !this.#wanted || !place) return;
    const { Recogniser } = await import("./recogniser.js");
    if (request !== this.#requests) return;
    const [, compute, silenceMs] = this.#key.split(" ");
    const endMs = Number(silenceMs);
    const webgpu = compute === "webgpu" && !this.#gpuIsSlow;
    if (!this.#recogniser) {
      const made = (this.#recogniser = new Recogniser(this.#listener, place, webgpu, endMs));
      if (webgpu) setTimeout(() => this.#giveUpGpu(made), GPU_PATIENCE_MS);
    }
    await this.#recogniser.listen(source);
  }

  /** @param {Recogniser} made */
  #giveUpGpu(made) {
    if (made !== this.#recogniser || made.ready) return;
    this.#gpuIsSlow = true;
    made.close();
    this.#recogniser = null;
    void this.listen(this.#source);
  }

  /** What comes in counts. @param {boolean} listening */
  set listening(listening) {
    if (this.#recogniser) this.#recogniser.listening = listening;
  }

  /** The button was let go. */
  end() {
    this.#recogniser?.end();
  }

  #begin() {
    this.#tell();
    void this.listen(this.#source);
  }

  #tell() {
    if (!this.#wanted) this.#listener.onState("");
    else if (!this.#place) this.#listener.onState(`${MISSING}. Until then the server recognises.`);
    else if (!this.#recogniser) this.#listener.onState("The model is loaded when you begin to talk.");
  }
}
