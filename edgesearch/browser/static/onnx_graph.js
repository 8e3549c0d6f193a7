// Read what an ONNX file computes first, and cut it off: `float_layers.js` computes that. Only the fields used are read.

const LENGTH_DELIMITED = 2; // a kind of field in Protocol Buffers
const WIDTHS = /** @type {Record<number, number>} */ ({ 1: 8, 5: 4 }); // bytes of other kinds of fields
const [MODEL_GRAPH, GRAPH_NODE, GRAPH_INITIALIZER, GRAPH_INPUT, GRAPH_OUTPUT] = [7, 1, 5, 11, 12];
const FLOAT = 1;
export const LANES = 16; // filters that `convolution.c` applies together

/**
 * @typedef {{number: number, value: number, content: Uint8Array, whole: Uint8Array}} Field
 * @typedef {{type: string, inputs: string[], outputs: string[], attributes: Record<string, number[]>}} Node
 * @typedef {{channels: number, outputs: number, kernel: number[], stride: number, pads: number[], byChannel: boolean,
 *   low: number, high: number, weights: Float32Array, bias: Float32Array}} Convolution pads: top, left, bottom, right
 */

/** Return a number of variable length, and where it ends. @param {Uint8Array} bytes @param {number} at */
function readVarint(bytes, at) {
  let value = 0;
  for (let scale = 1; at < bytes.length; scale *= 128) {
    const byte = bytes[at++];
    value += (byte & 127) * scale;
    if (byte < 128) return [value, at];
  }
  throw new TypeError("the network is cut off");
}

/** Return the fields of a message. @param {Uint8Array} bytes @returns {Field[]} */
function readFields(bytes) {
  const fields = [];
  for (let start = 0, end; start < bytes.length; start = end) {
    const [tag, afterTag] = readVarint(bytes, start);
    const [number, wire] = [Math.floor(tag / 8), tag % 8];
    const [value, begin] = wire in WIDTHS ? [WIDTHS[wire], afterTag] : readVarint(bytes, afterTag);
    end = wire ? begin + value : begin;
    if (!(end <= bytes.length)) throw new TypeError("the network is cut off");
    fields.push({ number, value, content: bytes.subarray(begin, end), whole: bytes.subarray(start, end) });
  }
  return fields;
}

/** @param {Uint8Array} bytes */
const toText = (bytes) => new TextDecoder().decode(bytes);

/** @param {Field[]} fields @param {number} number */
const textsOf = (fields, number) => fields.filter((field) => field.number === number).map(({ content }) => toText(content));

/** Return numbers that are stored one by one, or packed. @param {Field[]} fields @param {number} number */
function numbersOf(fields, number) {
  const found = [];
  for (const { content, value } of fields.filter((field) => field.number === number)) {
    if (!content.length) found.push(value);
    for (let at = 0, one; at < content.length;) {
      [one, at] = readVarint(content, at);
      found.push(one);
    }
  }
  return found;
}

/** @param {Uint8Array} content @returns {Node} */
function readNode(content) {
  const fields = readFields(content);
  const attributes = fields.filter(({ number }) => number === 5).map((field) => {
    const own = readFields(field.content);
    return [textsOf(own, 1)[0], [...numbersOf(own, 8), ...numbersOf(own, 3)]];
  });
  return { type: textsOf(fields, 4)[0], inputs: textsOf(fields, 1), outputs: textsOf(fields, 2), attributes: Object.fromEntries(attributes) };
}

/** Return the shape and numbers of a float tensor; null for another. @param {Uint8Array} content */
function readTensor(content) {
  const fields = readFields(content);
  const raw = fields.find(({ number }) => number === 9);
  if (numbersOf(fields, 2)[0] !== FLOAT || !raw) return null;
  return { shape: numbersOf(fields, 1), numbers: new Float32Array(new Uint8Array(raw.content).buffer) };
}

/**
 * Cut off the convolutions that a network computes in float before it first rounds to 8 bits.
 * @param {Uint8Array} model content of an ONNX file
 * @returns {{convolutions: Convolution[], rest: (shape: number[]) => Uint8Array} | null} `rest` returns the network without
 *   them, whose input has a shape (C, H, W); null if it does not begin with such convolutions
 */
export function cutFloatConvolutions(model) {
  const outer = readFields(model);
  const graph = outer.find(({ number }) => number === MODEL_GRAPH);
  if (!graph) return null;
  const fields = readFields(graph.content);
  const named = (/** @type {number} */ number) => fields.filter((field) => field.number === number);
  const nodes = named(GRAPH_NODE).map((field) => ({ field, ...readNode(field.content) }));
  const tensors = new Map(named(GRAPH_INITIALIZER).map(({ content }) => [textsOf(readFields(content), 8)[0], content]));
  const tensor = (/** @type {string} */ name) => { const content = tensors.get(name); return content ? readTensor(content) : null; };
  const results = named(GRAPH_OUTPUT).map(({ content }) => textsOf(readFields(content), 1)[0]);
  let [at] = named(GRAPH_INPUT).map(({ content }) => textsOf(readFields(content), 1)[0]);
  /** @type {Convolution[]} */
  const convolutions = [];
  const removed = new Set();
  for (;;) {
    const users = nodes.filter(({ inputs }) => inputs.includes(at));
    if (users.length !== 1 || results.includes(at)) return null;
    const [node] = users;
    if (node.type === "QuantizeLinear") break;
    const convolution = node.type === "Conv" ? readConvolution(node, tensor) : null;
    const last = convolutions.at(-1);
    const limits = node.type === "Clip" && last ? node.inputs.slice(1).map((name) => tensor(name)?.numbers[0]) : [];
    if (convolution) convolutions.push(convolution);
    else if (last && limits.length === 2 && limits.every(Number.isFinite)) [last.low, last.high] = /** @type {number[]} */ (limits);
    else return null;
    removed.add(node.field);
    [at] = node.outputs;
  }
  if (!convolutions.length) return null;
  const kept = fields.filter((field) => !removed.has(field) && field.number !== GRAPH_INPUT).map(({ whole }) => whole);
  const rest = (/** @type {number[]} */ shape) => joinBytes(outer.map((field) =>
    (field === graph ? message(MODEL_GRAPH, [...kept, message(GRAPH_INPUT, describeInput(at, shape))]) : field.whole)));
  return { convolutions, rest };
}

/** @param {Node} node @param {(name: string) => {shape: number[], numbers: Float32Array} | null} tensor @returns {Convolution | null} */
function readConvolution({ inputs, attributes }, tensor) {
  const [weights, bias] = [tensor(inputs[1]), tensor(inputs[2])];
  const { strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1], group: [groups] = [1] } = attributes;
  if (!weights || !bias || weights.shape.length !== 4 || strides[0] !== strides[1] || dilations.some((d) => d !== 1)) return null;
  const [outputs, own, ...kernel] = weights.shape;
  const byChannel = groups > 1;
  if (outputs % LANES || (byChannel && (own !== 1 || groups !== outputs))) return null;
  return {
    channels: own * groups, outputs, kernel, stride: strides[0], pads, byChannel, low: -Infinity, high: Infinity,
    weights: weights.numbers, bias: bias.numbers,
  };
}

/** Return the fields of an input (batch, C, H, W) in float. @param {string} name @param {number[]} shape */
function describeInput(name, shape) {
  const dims = [message(1, [message(2, [text("batch")])]), ...shape.map((n) => message(1, [Uint8Array.of(8, ...toVarint(n))]))];
  return [message(1, [text(name)]), message(2, [message(1, [Uint8Array.of(8, FLOAT), message(2, dims)])])];
}

/** @param {string} content */
const text = (content) => new TextEncoder().encode(content);

/** Return a field that holds a message. @param {number} number @param {Uint8Array[]} parts */
function message(number, parts) {
  const content = joinBytes(parts);
  return joinBytes([Uint8Array.of(...toVarint(number * 8 + LENGTH_DELIMITED), ...toVarint(content.length)), content]);
}

/** @param {number} number */
function toVarint(number) {
  const bytes = [];
  for (; number > 127; number = Math.floor(number / 128)) bytes.push((number % 128) + 128);
  return [...bytes, number];
}

/** @param {Uint8Array[]} parts */
function joinBytes(parts) {
  const joined = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  parts.reduce((at, part) => { joined.set(part, at); return at + part.length; }, 0);
  return joined;
}
