// Compute a network that `export` wrote: its convolutions and 8-bit sums by the engine, to the bits of onnxruntime.

import { memoryError } from "./errors.js";
import { readGraph } from "./onnx_graph.js";
import { packFloats, packLevels, padFloats } from "./packed_filters.js";
import { planLayer, sizeOf } from "./simple_layers.js";

const SPARE_BYTES = 64; // behind a tensor, which the engine may read
const HIGHEST = 255;

/**
 * @typedef {import("./native.js").Native} Native
 * @typedef {import("./onnx_graph.js").Node} Node
 * @typedef {{scale: number, zero: number}} Levels a level stands for (level - zero) * scale
 * @typedef {{shape: number[], levels: Levels | null, at: number}} Value a tensor, the channels innermost in memory; levels: of 8 bits, null for floats
 * @typedef {{shape: number[], numbers: ArrayLike<number>, scales: ArrayLike<number> | null}} Weights scales: of each filter, null for floats
 * @typedef {{inputs: Value[], output: Value, compute: () => void}} Step
 */

/** @param {Value | Weights} one @returns {one is Value} */
const isValue = (one) => "at" in one;

export class Network {
  /** @type {Map<string, Value | Weights>} */
  #known = new Map();
  /** @type {Map<string, Node[]>} */
  #users = new Map();
  /** Nodes that another one computes, too. @type {Set<Node>} */
  #joined = new Set();
  /** @type {Step[]} */
  #steps = [];

  /**
   * Plan a network; throws TypeError if it is damaged or has an operator that is not known.
   * @param {Native} native
   * @param {Uint8Array} model content of an ONNX file
   * @param {number} side of the input in px
   */
  constructor(native, model, side) {
    this.native = native;
    const { nodes, tensors, input, outputs } = readGraph(model);
    for (const [name, tensor] of tensors) this.#known.set(name, { ...tensor, scales: null });
    for (const node of nodes) for (const name of node.inputs) this.#users.set(name, [...(this.#users.get(name) ?? []), node]);
    this.results = new Set(outputs);
    this.input = this.#define(input, [3, side, side], null);
    for (const node of nodes) if (!this.#joined.has(node)) this.#plan(node);
    this.outputs = outputs.map((name) => this.#value(name));
    this.#place();
    this.#known.clear(); // the weights that the engine keeps
    this.#users.clear();
  }

  /** Compute the outputs for one picture, (3, S, S). @param {Float32Array} picture @returns {{shape: number[], numbers: Float32Array}[]} */
  run(picture) {
    this.native.write(this.input.at, toPixels(picture, this.input.shape[0]));
    for (const { compute } of this.#steps) compute();
    return this.outputs.map((output) => ({ shape: output.shape, numbers: this.#read(output) }));
  }

  /** @param {Node} node */
  #plan(node) {
    const { type, inputs } = node;
    const next = this.#nextOf(node);
    if (type === "DequantizeLinear") return this.#dequantize(node);
    if (type === "QuantizeLinear") return this.#quantize(node);
    if (type === "Conv") return this.#convolve(node);
    if (type === "Gemm") return this.#convolveFloats(node, null);
    const isOfLevels = inputs.every((name) => { const one = this.#find(name); return isValue(one) && one.levels; });
    if (type === "Add" && isOfLevels && next?.type === "QuantizeLinear") return this.#addLevels(node, next);
    return this.#compute(node);
  }

  /** @param {string} name @returns {Value | Weights} */
  #find(name) {
    const found = this.#known.get(name);
    if (!found) throw new TypeError(`it does not compute ${name.slice(0, 80)}`);
    return found;
  }

  /** @param {string} name @returns {Value} */
  #value(name) {
    const found = this.#find(name);
    if (!isValue(found)) throw new TypeError(`${name.slice(0, 80)} is a weight`);
    return found;
  }

  /** Return the float numbers of weights. @param {string} name */
  #weights(name) {
    const found = this.#find(name);
    if (isValue(found)) throw new TypeError(`${name.slice(0, 80)} is no weight`);
    const { shape, numbers, scales } = found;
    if (!scales) return numbers;
    const length = numbers.length / scales.length;
    return Float32Array.from(numbers, (level, n) => level * scales[Math.floor(n / length)]);
  }

  /** Return the only user of a node's result, if nobody else needs it. @param {Node} node */
  #nextOf({ outputs: [name] }) {
    const users = this.#users.get(name) ?? [];
    return users.length === 1 && !this.results.has(name) ? users[0] : null;
  }

  /** @param {string} name @param {number[]} shape @param {Levels | null} levels */
  #define(name, shape, levels) {
    const value = { shape, levels, at: 0 };
    this.#known.set(name, value);
    return value;
  }

  /** @param {Node} node */
  #levelsOf({ inputs: [, scale, zero] }) {
    return { scale: this.#weights(scale)[0], zero: this.#weights(zero)[0] };
  }

  /** Let a name stand for the levels that it comes from; who needs floats reads them. @param {Node} node */
  #dequantize(node) {
    const { inputs: [name, scales, zeros], outputs: [output] } = node;
    const found = this.#find(name);
    if (!isValue(found) && Array.from(this.#weights(zeros)).some(Boolean)) throw new TypeError("its weights have a zero point");
    this.#known.set(output, isValue(found) ? found : { ...found, scales: this.#weights(scales) });
  }

  /** @param {Node} node */
  #quantize(node) {
    const { native } = this;
    const [from, levels] = [this.#asFloats(node.inputs[0]), this.#levelsOf(node)];
    const output = this.#define(node.outputs[0], from.shape, levels);
    this.#steps.push({ inputs: [from], output, compute: () => native.call.quantize(from.at, sizeOf(from.shape), levels.scale, levels.zero, output.at) });
  }

  /** Return a value as floats. @param {string} name @returns {Value} */
  #asFloats(name) {
    const from = this.#value(name);
    if (!from.levels) return from;
    const output = { shape: from.shape, levels: null, at: 0 };
    this.#steps.push({ inputs: [from], output, compute: () => this.native.write(output.at, this.#read(from)) });
    return output;
  }

  /** @param {Node} node @param {Node} next */
  #addLevels(node, next) {
    const { call } = this.native;
    const [one, other] = node.inputs.map((name) => this.#value(name));
    const [a, b, sum] = [/** @type {Levels} */ (one.levels), /** @type {Levels} */ (other.levels), this.#levelsOf(next)];
    if (one.shape.join() !== other.shape.join()) throw new TypeError(`a sum of ${one.shape.join(" x ")} and ${other.shape.join(" x ")}`);
    const output = this.#define(next.outputs[0], one.shape, sum);
    this.#joined.add(next);
    this.#steps.push({
      inputs: [one, other], output,
      compute: () => call.add_levels(one.at, a.scale, a.zero, other.at, b.scale, b.zero, sizeOf(one.shape), sum.scale, sum.zero, output.at),
    });
  }

  /** @param {Node} node */
  #convolve(node) {
    const next = this.#nextOf(node);
    const [from, filters, bias] = node.inputs.map((name) => this.#find(name));
    if (isValue(from) && from.levels && !isValue(filters) && filters.scales && bias && !isValue(bias) && bias.scales && next?.type === "QuantizeLinear") this.#convolveLevels(node, next, from.levels, filters.scales);
    else this.#convolveFloats(node, next);
  }

  /** @param {Node} node @param {Node} next @param {Levels} levels of the input @param {ArrayLike<number>} scales of the filters */
  #convolveLevels(node, next, levels, scales) {
    const { native } = this;
    const from = this.#value(node.inputs[0]);
    const [weights, bias] = node.inputs.slice(1).map((name) => /** @type {Weights} */ (this.#find(name)));
    const result = this.#levelsOf(next);
    const geometry = planConvolution(node, from.shape, weights.shape);
    const scale = (/** @type {number} */ o) => Math.fround(levels.scale * scales[o % scales.length]) / result.scale;
    const packed = packLevels(geometry.filters, weights.numbers, bias.numbers, scale, levels.zero);
    const [layer, ...kept] = [geometry.describe(-result.zero, HIGHEST - result.zero), packed.weights, packed.bias, packed.scales].map((one) => native.keep(one));
    const output = this.#define(next.outputs[0], geometry.shape, result);
    this.#joined.add(next);
    const compute = () => {
      if (!native.call.convolve_levels(layer, Number(geometry.filters.byChannel), from.at, levels.zero, ...kept, output.at)) throw memoryError();
    };
    this.#steps.push({ inputs: [from], output, compute });
  }

  /** Plan a convolution, or a product with a matrix: a convolution of one place. @param {Node} node @param {Node | null} next */
  #convolveFloats(node, next) {
    const { native } = this;
    const from = this.#asFloats(node.inputs[0]);
    const geometry = planConvolution(node, from.shape, this.#find(node.inputs[1]).shape);
    const isLimited = next?.type === "Clip" || next?.type === "Relu";
    if (isLimited) this.#joined.add(next);
    const [low, high] = next?.type === "Relu" ? [0, Infinity] : isLimited ? next.inputs.slice(1).map((name) => this.#weights(name)[0]) : [-Infinity, Infinity];
    const { filters } = geometry;
    const bias = node.inputs[2] ? this.#weights(node.inputs[2]) : new Float32Array(filters.outputs);
    const packed = packFloats(filters, this.#weights(node.inputs[1]), native.call.weight_bytes() === 4 ? Float32Array : Float64Array);
    const [layer, ...kept] = [geometry.describe(low, high), packed, padFloats(bias)].map((one) => native.keep(one));
    const output = this.#define((isLimited ? next : node).outputs[0], geometry.shape.slice(0, from.shape.length), null);
    this.#steps.push({ inputs: [from], output, compute: () => native.call.convolve(layer, Number(filters.byChannel), from.at, ...kept, output.at) });
  }

  /** @param {Node} node */
  #compute(node) {
    const { native } = this;
    const found = node.inputs.map((name) => this.#find(name));
    const { shape, compute } = planLayer(node, found.map((one, i) => (isValue(one) ? one : { shape: one.shape, numbers: this.#weights(node.inputs[i]) })));
    const fixed = node.inputs.map((name, i) => (isValue(found[i]) ? null : this.#weights(name)));
    const output = this.#define(node.outputs[0], shape, null);
    const run = () => native.write(output.at, compute(found.map((one, i) => fixed[i] ?? this.#read(/** @type {Value} */ (one)))));
    this.#steps.push({ inputs: found.filter(isValue), output, compute: run });
  }

  /** Return the numbers of a value. @param {Value} value @returns {Float32Array} */
  #read({ shape, levels, at }) {
    const size = sizeOf(shape);
    if (!levels) return this.native.read(Float32Array, at, size);
    const [found, numbers] = [this.native.read(Uint8Array, at, size), new Float32Array(size)];
    for (let n = 0; n < size; n++) numbers[n] = (found[n] - levels.zero) * levels.scale;
    return numbers;
  }

  /** Give every value memory, which others take over once it is no longer needed. */
  #place() {
    /** @type {Map<Value, number>} */
    const last = new Map();
    this.#steps.forEach(({ inputs, output }, n) => { for (const value of [...inputs, output]) last.set(value, n); });
    for (const value of this.outputs) last.set(value, Infinity);
    /** @type {{at: number, bytes: number}[]} */
    let free = [];
    const held = new Map();
    const place = (/** @type {Value} */ value) => {
      const bytes = sizeOf(value.shape) * (value.levels ? 1 : 4) + SPARE_BYTES;
      const [best] = free.filter((one) => one.bytes >= bytes).sort((a, b) => a.bytes - b.bytes);
      const block = best ?? { at: this.native.take(bytes), bytes };
      free = free.filter((one) => one !== best);
      value.at = block.at;
      held.set(value, block);
    };
    place(this.input);
    this.#steps.forEach(({ inputs, output }, n) => {
      place(output);
      for (const value of new Set([...inputs, output])) if (last.get(value) === n) free.push(held.get(value));
    });
  }
}

/** Return what a convolution needs, and the shape of its result. @param {Node} node @param {number[]} from shape of the input @param {number[]} filters their shape, (O, C, h, w) or (O, C) */
function planConvolution({ type, attributes }, from, filters) {
  const { strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1], group: [groups] = [1], transB, alpha, beta } = attributes;
  const isProduct = type === "Gemm" && from.length === 1 && filters.length === 2 && transB?.[0] === 1 && (alpha?.[0] ?? 1) === 1 && (beta?.[0] ?? 1) === 1;
  const [[channels, ...size], [outputs, own, ...kernel]] = isProduct ? [[...from, 1, 1], [...filters, 1, 1]] : [from, filters];
  const byChannel = groups > 1;
  const isKnown = size.length === 2 && kernel.length === 2 && strides[0] === strides[1] && dilations.every((d) => d === 1) && (byChannel ? own === 1 && groups === outputs : own === channels);
  if (!isKnown) throw new TypeError(`it applies filters of ${filters.join(" x ")} in ${groups} groups to ${from.join(" x ")}, strides ${strides.join(" and ")}`);
  const [rows, columns] = size.map((length, i) => Math.floor((length + pads[i] + pads[i + 2] - kernel[i]) / strides[0]) + 1);
  return {
    shape: [outputs, rows, columns],
    filters: { outputs, channels: own, taps: kernel[0] * kernel[1], byChannel },
    /** The engine's description of it. @param {number} low @param {number} high limits of the result */
    describe(low, high) {
      const numbers = [...size, channels, rows, columns, outputs, ...kernel, strides[0], pads[0], pads[1]];
      return Int32Array.of(...numbers, ...new Int32Array(Float32Array.of(low, high).buffer));
    },
  };
}

/** Reorder planes (C, N) to pixels (N, C). @param {Float32Array} planes @param {number} channels */
function toPixels(planes, channels) {
  const pixels = new Float32Array(planes.length);
  const count = planes.length / channels;
  for (let c = 0; c < channels; c++) for (let n = 0; n < count; n++) pixels[n * channels + c] = planes[c * count + n];
  return pixels;
}
