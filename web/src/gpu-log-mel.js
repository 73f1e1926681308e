// @ts-check
/**
 * `log-mel.js` in a compute shader. One workgroup a voice: the transform runs in its shared memory,
 * in ten steps of 512 butterflies, two by each of 256 threads.
 */

import { BANDS, BINS, FFT_SAMPLES, FLOOR_POWER, hann, melFilters } from "./log-mel.js";

const THREADS = 256;
const STEPS = Math.log2(FFT_SAMPLES);

const SHADER = `
@group(0) @binding(0) var<storage, read> samples: array<f32>;
@group(0) @binding(1) var<storage, read> window: array<f32>;
@group(0) @binding(2) var<storage, read> turns: array<vec2f>;
@group(0) @binding(3) var<storage, read> filters: array<f32>;
@group(0) @binding(4) var<storage, read_write> loudness: array<f32>;

var<workgroup> values: array<vec2f, ${FFT_SAMPLES}>;

@compute @workgroup_size(${THREADS})
fn analyse(@builtin(workgroup_id) voice: vec3u, @builtin(local_invocation_index) thread: u32) {
  for (var i = thread; i < ${FFT_SAMPLES}u; i += ${THREADS}u) {
    let at = reverseBits(i) >> ${32 - STEPS}u;
    values[i] = vec2f(samples[voice.x * ${FFT_SAMPLES}u + at] * window[at], 0.0);
  }
  workgroupBarrier();
  for (var span = 1u; span < ${FFT_SAMPLES}u; span *= 2u) {
    for (var i = thread; i < ${FFT_SAMPLES / 2}u; i += ${THREADS}u) {
      let k = i % span;
      let a = (i / span) * 2u * span + k;
      let turn = turns[k * (${FFT_SAMPLES / 2}u / span)];
      let b = values[a + span];
      let turned = vec2f(b.x * turn.x + b.y * turn.y, b.y * turn.x - b.x * turn.y);
      values[a + span] = values[a] - turned;
      values[a] = values[a] + turned;
    }
    workgroupBarrier();
  }
  for (var band = thread; band < ${BANDS}u; band += ${THREADS}u) {
    var power = 0.0;
    for (var bin = 0u; bin < ${BINS}u; bin++) {
      let value = values[bin] / ${FFT_SAMPLES}.0;
      power += filters[band * ${BINS}u + bin] * dot(value, value);
    }
    loudness[voice.x * ${BANDS}u + band] = log2(max(${FLOOR_POWER}, power)) * ${Math.log10(2)};
  }
}`;

export class GpuLogMel {
  #device;
  #samples;
  #loudness;
  #readable;
  #pipeline;
  #bindings;
  #voices;
  #busy = false;
  lost = false;

  /**
   * @param {number} rateHz @param {number} voices analysed at once
   * @returns {Promise<GpuLogMel | null>} null where the browser has no WebGPU
   */
  static async create(rateHz, voices) {
    try {
      const adapter = await /** @type {any} */ (navigator).gpu?.requestAdapter();
      return adapter ? new GpuLogMel(await adapter.requestDevice(), rateHz, voices) : null;
    } catch {
      return null;
    }
  }

  /** @param {any} device a GPUDevice @param {number} rateHz @param {number} voices */
  constructor(device, rateHz, voices) {
    this.#device = device;
    this.#voices = voices;
    void device.lost.then(() => {
      this.lost = true;
    });
    const { STORAGE, COPY_DST, COPY_SRC, MAP_READ } = /** @type {any} */ (globalThis).GPUBufferUsage;
    const buffer = (/** @type {number} */ floats, /** @type {number} */ usage) => {
      return device.createBuffer({ size: 4 * floats, usage });
    };
    const constant = (/** @type {Float32Array} */ values) => {
      const made = buffer(values.length, STORAGE | COPY_DST);
      device.queue.writeBuffer(made, 0, values);
      return made;
    };
    this.#samples = buffer(voices * FFT_SAMPLES, STORAGE | COPY_DST);
    this.#loudness = buffer(voices * BANDS, STORAGE | COPY_SRC);
    this.#readable = buffer(voices * BANDS, MAP_READ | COPY_DST);
    const module = device.createShaderModule({ code: SHADER });
    this.#pipeline = device.createComputePipeline({ layout: "auto", compute: { module, entryPoint: "analyse" } });
    const buffers = [this.#samples, constant(hann()), constant(turns()), constant(melFilters(rateHz)), this.#loudness];
    this.#bindings = device.createBindGroup({
      layout: this.#pipeline.getBindGroupLayout(0),
      entries: buffers.map((one, binding) => ({ binding, resource: { buffer: one } })),
    });
  }

  /**
   * @param {Float32Array[]} samples [FFT_SAMPLES] of each voice
   * @returns {Promise<Float32Array[] | null>} [BANDS] of each, null while the last ones are under way
   */
  async analyse(samples) {
    if (this.#busy || this.lost) return null;
    this.#busy = true;
    try {
      const { queue } = this.#device;
      samples.forEach((voice, i) => queue.writeBuffer(this.#samples, 4 * i * FFT_SAMPLES, voice));
      const encoder = this.#device.createCommandEncoder();
      const pass = encoder.beginComputePass();
      pass.setPipeline(this.#pipeline);
      pass.setBindGroup(0, this.#bindings);
      pass.dispatchWorkgroups(this.#voices);
      pass.end();
      encoder.copyBufferToBuffer(this.#loudness, 0, this.#readable, 0, 4 * this.#voices * BANDS);
      queue.submit([encoder.finish()]);
      await this.#readable.mapAsync(/** @type {any} */ (globalThis).GPUMapMode.READ);
      const all = new Float32Array(this.#readable.getMappedRange().slice(0));
      this.#readable.unmap();
      return samples.map((_, i) => all.slice(i * BANDS, (i + 1) * BANDS));
    } catch {
      this.lost = true;
      return null;
    } finally {
      this.#busy = false;
    }
  }

  /** Give the graphics card's memory back. */
  close() {
    this.lost = true;
    this.#device.destroy();
  }
}

/** Cosine and sine of the first half turn, as pairs. */
function turns() {
  const half = FFT_SAMPLES / 2;
  return Float32Array.from({ length: 2 * half }, (_, i) => {
    const angle = (Math.PI * (i >> 1)) / half;
    return i % 2 ? Math.sin(angle) : Math.cos(angle);
  });
}
