// Read a file of named arrays; `array_file.py` describes its layout.

import { EdgeSearchError } from "./errors.js";

const ALIGNMENT = 64;
const PREFIX_BYTES = 16;
const TYPES = {
  uint8: Uint8Array, int8: Int8Array, uint16: Uint16Array, uint32: Uint32Array, int32: Int32Array, float16: Uint16Array, float32: Float32Array,
};

/**
 * @typedef {(start: number, stop: number) => Promise<Uint8Array>} ReadRange
 * @typedef {{name: string, dtype: string, shape: number[], start: number, read: ReadRange}} Entry
 */

/** An array whose rows are read when they are needed. */
export class LazyArray {
  /** @param {Entry} entry */
  constructor({ name, dtype, shape, start, read }) {
    this.name = name;
    this.dtype = dtype;
    this.shape = shape;
    this.start = start;
    this.read = read;
    this.rowLength = shape.slice(1).reduce((product, n) => product * n, 1);
  }

  get length() {
    return this.shape[0];
  }

  /** Return the numbers of rows `first` to before `last`, float16 as float32. @returns {Promise<any>} */
  async rows(first = 0, last = this.length) {
    const Type = TYPES[/** @type {keyof TYPES} */ (this.dtype)];
    const bytes = this.rowLength * Type.BYTES_PER_ELEMENT;
    const content = await this.read(this.start + first * bytes, this.start + last * bytes);
    const isOwn = content.byteOffset % Type.BYTES_PER_ELEMENT === 0 && content.buffer.byteLength < 2 * content.length; // to copy it would take its memory twice
    const numbers = isOwn ? new Type(/** @type {ArrayBuffer} */ (content.buffer), content.byteOffset, (last - first) * this.rowLength) : new Type(content.slice().buffer);
    return this.dtype === "float16" ? Float32Array.from(numbers, fromHalf) : numbers;
  }
}

/**
 * Open a file of arrays.
 * @param {ReadRange} read reads bytes of the file
 * @param {number} size of the file in bytes
 * @param {string} name of the file, for error messages
 * @returns {Promise<{arrays: Record<string, LazyArray>, meta: any}>}
 */
export async function openArrays(read, size, name) {
  const damaged = (/** @type {unknown} */ what) => new EdgeSearchError("IndexFileError", `${name} is damaged (${what}); build or copy the bundle again.`);
  const prefix = await read(0, Math.min(size, PREFIX_BYTES));
  if (prefix.length < PREFIX_BYTES || new TextDecoder().decode(prefix.subarray(0, 8)) !== "ESARRAYS") throw damaged("its first bytes");
  const view = new DataView(prefix.buffer, prefix.byteOffset);
  if (view.getUint32(8, true) !== 1) throw damaged(`format ${view.getUint32(8, true)}, expected 1`);
  const end = PREFIX_BYTES + view.getUint32(12, true);
  if (end > size) throw damaged("its header is cut off");
  try {
    const { meta, arrays } = JSON.parse(new TextDecoder().decode(await read(PREFIX_BYTES, end)));
    const begin = Math.ceil(end / ALIGNMENT) * ALIGNMENT;
    /** @type {Record<string, LazyArray>} */
    const found = {};
    for (const [key, { dtype, shape, offset }] of Object.entries(/** @type {Record<string, any>} */ (arrays))) {
      const whole = [...shape, offset].every((n) => Number.isSafeInteger(n) && n >= 0);
      if (!Object.hasOwn(TYPES, dtype) || !whole || !shape.length || offset % ALIGNMENT) throw new TypeError(`${key} is ${dtype} ${shape} at ${offset}`);
      const array = new LazyArray({ name: key, dtype, shape, start: begin + offset, read });
      const bytes = TYPES[/** @type {keyof TYPES} */ (dtype)].BYTES_PER_ELEMENT;
      if (array.start + array.length * array.rowLength * bytes > size) throw new TypeError(`${key} is cut off`);
      found[key] = array;
    }
    return { arrays: found, meta };
  } catch (error) {
    throw error instanceof EdgeSearchError ? error : damaged(error instanceof Error ? error.message : error);
  }
}

/** Return the number that 16 bits stand for. @param {number} bits */
function fromHalf(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const [exponent, fraction] = [(bits >> 10) & 31, bits & 1023];
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024));
}
