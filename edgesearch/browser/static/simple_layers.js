// The layers of a network that take little time: functions of single values, poolings, joins.
// The channels of a tensor are innermost in memory; its shape is (C, H, W), (H, W), (C,) or (), of one picture.

/**
 * @typedef {import("./onnx_graph.js").Node} Node
 * @typedef {{shape: number[], numbers?: ArrayLike<number>}} Input numbers: of weights
 * @typedef {(inputs: ArrayLike<number>[]) => Float32Array} Compute
 * @typedef {{shape: number[], compute: Compute}} Layer
 */

/** Return the number of values. @param {number[]} shape */
export const sizeOf = (shape) => shape.reduce((product, n) => product * n, 1);

/** @type {Record<string, (node: Node, limits: number[]) => (x: number) => number>} */
const FUNCTIONS = {
  Clip: (_, [low = -Infinity, high = Infinity]) => (x) => Math.min(Math.max(x, low), high),
  Relu: () => (x) => Math.max(x, 0),
  HardSigmoid: ({ attributes: { alpha: [alpha] = [0.2], beta: [beta] = [0.5] } }) => (x) => Math.min(Math.max(x * alpha + beta, 0), 1),
  HardSwish: () => (x) => x * Math.min(Math.max(x / 6 + 0.5, 0), 1),
};

/** @type {Record<string, (a: number, b: number) => number>} */
const ARITHMETIC = { Add: (a, b) => a + b, Sub: (a, b) => a - b, Mul: (a, b) => a * b, Div: (a, b) => a / b };

/** @type {Record<string, {term: (x: number) => number, finish: (sum: number, count: number) => number}>} */
const REDUCTIONS = {
  ReduceSum: { term: (x) => x, finish: (sum) => sum },
  ReduceMean: { term: (x) => x, finish: (sum, count) => sum / count },
  ReduceL2: { term: (x) => x * x, finish: (sum) => Math.sqrt(sum) },
};

/** Plan a layer; throws TypeError if it is none of these. @param {Node} node @param {Input[]} inputs @returns {Layer} */
export function planLayer(node, inputs) {
  const { type, attributes } = node;
  const [{ shape }, ...others] = inputs;
  if (type in FUNCTIONS) return planFunction(FUNCTIONS[type](node, others.map(({ numbers }) => numbers?.[0] ?? NaN)), shape);
  if (type in ARITHMETIC) return planArithmetic(ARITHMETIC[type], inputs);
  if (type in REDUCTIONS) return planReduction(REDUCTIONS[type], shape, [...(others[0]?.numbers ? Array.from(others[0].numbers) : attributes.axes)], attributes.keepdims?.[0] !== 0);
  if (type === "GlobalAveragePool") return planReduction(REDUCTIONS.ReduceMean, shape, [2, 3], true);
  if (type === "MaxPool") return planMaxPool(node, shape);
  if (type === "Concat" && attributes.axis[0] === 1) return planConcat(inputs);
  throw new TypeError(`it has the operator ${type.slice(0, 80)}`);
}

/** @param {(x: number) => number} f @param {number[]} shape @returns {Layer} */
const planFunction = (f, shape) => ({ shape, compute: ([numbers]) => fill(sizeOf(shape), (n) => f(numbers[n])) });

/** Return computed floats, faster than `Float32Array.from` does. @param {number} count @param {(n: number) => number} f */
function fill(count, f) {
  const found = new Float32Array(count);
  for (let n = 0; n < count; n++) found[n] = f(n);
  return found;
}

/**
 * Combine the values of two tensors; one of them may have a value for each channel, or one for all.
 * @param {(a: number, b: number) => number} f
 * @param {Input[]} inputs
 * @returns {Layer}
 */
function planArithmetic(f, inputs) {
  const [a, b] = inputs.map(({ shape }) => sizeOf(shape));
  const { shape } = inputs[a >= b ? 0 : 1];
  const count = Math.max(a, b);
  if ([a, b].some((size) => ![1, shape[0], count].includes(size))) throw new TypeError(`shapes ${inputs.map((one) => one.shape.join(" x ")).join(" and ")}`);
  return { shape, compute: ([one, other]) => fill(count, (n) => f(one[n % a], other[n % b])) };
}

/** @param {{term: (x: number) => number, finish: (sum: number, count: number) => number}} reduction @param {number[]} shape @param {number[]} axes @param {boolean} keeps @returns {Layer} */
function planReduction({ term, finish }, shape, axes, keeps) {
  const own = axes.map((axis) => (axis < 0 ? axis + shape.length : axis - 1)); // the first axis is that of pictures
  const [channels, places] = [shape[0], sizeOf(shape.slice(1))];
  const byPlace = own.join() === "0";
  if (!byPlace && own.sort().join() !== "1,2") throw new TypeError(`a sum over axes ${axes.join()} of ${shape.join(" x ")}`);
  const compute = (/** @type {ArrayLike<number>[]} */ [numbers]) => {
    const sums = new Float64Array(byPlace ? places : channels);
    for (let place = 0, at = 0; place < places; place++) {
      for (let c = 0; c < channels; c++) sums[byPlace ? place : c] += term(numbers[at++]);
    }
    return fill(sums.length, (n) => finish(sums[n], byPlace ? channels : places));
  };
  const kept = shape.map((size, axis) => (own.includes(axis) ? 1 : size));
  return { shape: keeps ? kept : shape.filter((_, axis) => !own.includes(axis)), compute };
}

/** @param {Node} node @param {number[]} shape @returns {Layer} */
function planMaxPool({ attributes: { kernel_shape: kernel, strides = [1, 1], pads = [0, 0, 0, 0] } }, [channels, ...size]) {
  const [rows, columns] = size.map((length, i) => Math.floor((length + pads[i] + pads[i + 2] - kernel[i]) / strides[i]) + 1);
  const compute = (/** @type {ArrayLike<number>[]} */ [numbers]) => {
    const found = new Float32Array(rows * columns * channels).fill(-Infinity);
    for (let y = 0; y < rows; y++) for (let x = 0; x < columns; x++) for (let a = 0; a < kernel[0]; a++) for (let b = 0; b < kernel[1]; b++) {
      const [row, column] = [y * strides[0] - pads[0] + a, x * strides[1] - pads[1] + b];
      if (row < 0 || row >= size[0] || column < 0 || column >= size[1]) continue;
      const [from, to] = [(row * size[1] + column) * channels, (y * columns + x) * channels];
      for (let c = 0; c < channels; c++) if (numbers[from + c] > found[to + c]) found[to + c] = numbers[from + c];
    }
    return found;
  };
  return { shape: [channels, rows, columns], compute };
}

/** Join tensors along their channels. @param {Input[]} inputs @returns {Layer} */
function planConcat(inputs) {
  const [{ shape: [, ...size] }] = inputs;
  if (inputs.some(({ shape }) => shape.slice(1).join() !== size.join())) throw new TypeError(`a join of ${inputs.map(({ shape }) => shape.join(" x ")).join(" and ")}`);
  const channels = inputs.reduce((sum, { shape }) => sum + shape[0], 0);
  const compute = (/** @type {ArrayLike<number>[]} */ parts) => {
    const joined = new Float32Array(channels * sizeOf(size));
    let first = 0;
    parts.forEach((numbers, i) => {
      const own = inputs[i].shape[0];
      for (let n = 0; n < numbers.length; n++) joined[Math.floor(n / own) * channels + first + (n % own)] = numbers[n];
      first += own;
    });
    return joined;
  };
  return { shape: [channels, ...size], compute };
}
