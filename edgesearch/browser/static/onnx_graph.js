// Read the graph of an ONNX file, of which only the fields used are read; `network.js` computes it.

const WIDTHS = /** @type {Record<number, number>} */ ({ 1: 8, 5: 4 }); // bytes of a kind of field in Protocol Buffers
const [MODEL_GRAPH, GRAPH_NODE, GRAPH_INITIALIZER, GRAPH_INPUT, GRAPH_OUTPUT] = [7, 1, 5, 11, 12];
const TYPES = /** @type {Record<number, any>} */ ({ 1: Float32Array, 2: Uint8Array, 3: Int8Array, 6: Int32Array, 7: BigInt64Array });

/**
 * @typedef {{number: number, value: number, content: Uint8Array}} Field
 * @typedef {{type: string, inputs: string[], outputs: string[], attributes: Record<string, number[]>}} Node
 * @typedef {Float32Array | Uint8Array | Int8Array | Int32Array} Numbers
 * @typedef {{shape: number[], numbers: Numbers}} Tensor
 * @typedef {{nodes: Node[], tensors: Map<string, Tensor>, input: string, outputs: string[]}} Graph tensors: the weights
 */

/** Return a number of variable length, and where it ends. @param {Uint8Array} bytes @param {number} at */
function readVarint(bytes, at) {
  let [value, low] = [0, 0];
  for (let shift = 0; at < bytes.length; shift += 7) {
    const byte = bytes[at++];
    value += (byte & 127) * 2 ** shift;
    if (shift < 32) low |= (byte & 127) << shift;
    if (byte < 128) return [value < 2 ** 63 ? value : low, at]; // negative numbers have 64 bits
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
    fields.push({ number, value, content: bytes.subarray(begin, end) });
  }
  return fields;
}

const decoder = new TextDecoder(); // to make one takes longer than to use it

/** @param {Field[]} fields @param {number} number */
const textsOf = (fields, number) => fields.filter((field) => field.number === number).map(({ content }) => decoder.decode(content));

/** Return whole numbers that are stored one by one, or packed. @param {Field[]} fields @param {number} number */
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

/** Return floats that are stored one by one, or packed. @param {Field[]} fields @param {number} number */
const floatsOf = (fields, number) => fields.filter((field) => field.number === number).flatMap(({ content }) => [...new Float32Array(content.slice().buffer)]);

/** @param {Uint8Array} content @returns {Node} */
function readNode(content) {
  const fields = readFields(content);
  const attributes = fields.filter(({ number }) => number === 5).map((field) => {
    const own = readFields(field.content);
    return [textsOf(own, 1)[0], [...numbersOf(own, 8), ...numbersOf(own, 3), ...floatsOf(own, 2)]];
  });
  return { type: textsOf(fields, 4)[0], inputs: textsOf(fields, 1), outputs: textsOf(fields, 2), attributes: Object.fromEntries(attributes) };
}

/** @param {Uint8Array} content @returns {[string, Tensor]} */
function readTensor(content) {
  const fields = readFields(content);
  const Type = TYPES[numbersOf(fields, 2)[0]];
  if (!Type) throw new TypeError(`its weights have a type ${numbersOf(fields, 2)[0]}`);
  const raw = fields.find(({ number }) => number === 9);
  const numbers = raw ? new Type(raw.content.slice().buffer) : [...floatsOf(fields, 4), ...numbersOf(fields, 5), ...numbersOf(fields, 7)];
  const Kept = Type === BigInt64Array ? Int32Array : Type;
  return [textsOf(fields, 8)[0], { shape: numbersOf(fields, 1), numbers: numbers instanceof Kept ? numbers : Kept.from(numbers, Number) }];
}

/** Read a network; throws TypeError if it is damaged. @param {Uint8Array} model content of an ONNX file @returns {Graph} */
export function readGraph(model) {
  const graph = readFields(model).find(({ number }) => number === MODEL_GRAPH);
  if (!graph) throw new TypeError("it holds no graph");
  const fields = readFields(graph.content);
  const named = (/** @type {number} */ number) => fields.filter((field) => field.number === number).map(({ content }) => content);
  const nameOf = (/** @type {Uint8Array} */ content) => textsOf(readFields(content), 1)[0];
  const tensors = new Map(named(GRAPH_INITIALIZER).map(readTensor));
  const [input] = named(GRAPH_INPUT).map(nameOf).filter((name) => !tensors.has(name));
  return { nodes: named(GRAPH_NODE).map(readNode), tensors, input, outputs: named(GRAPH_OUTPUT).map(nameOf) };
}
