// Search compressed vectors with the engine's C; see `compact_index.py` and `kernel.py`.

import { openArrays } from "./arrays.js";
import { normalize } from "./embedder.js";
import { EdgeSearchError, memoryError } from "./errors.js";

const FILE = "index/index.arrays";
const LARGEST_BYTES = 2 ** 30;
const BLOCK = 32;
const CODEWORDS = 16;
const LAYOUTS = [2, 3]; // with int8 vectors and without
const ONE_CELL_UP_TO = 8192;

/**
 * @typedef {{rows: number[], scores: number[]}} Hits best first
 * @typedef {import("./native.js").Native} Native
 */

const damaged = (/** @type {string} */ what) => new EdgeSearchError("IndexFileError", `${FILE} is damaged (${what}); build the bundle again.`);

export class CompactIndex {
  /**
   * @param {Native} native
   * @param {Record<string, any>} arrays
   * @param {Record<string, number[]>} shapes
   * @param {any} meta
   */
  constructor(native, arrays, shapes, meta) {
    this.native = native;
    this.dim = shapes.rotation[0];
    this.subquantizers = shapes.codebook[0];
    this.cells = shapes.centers[0];
    this.blocks = shapes.packed[0];
    this.codesOnly = !arrays.vectors;
    this.size = meta.size;
    this.probes = meta.probes;
    this.shortlist = meta.shortlist;
    this.#check(arrays);
    /** @type {Record<string, number>} */
    this.at = {};
    for (const [name, numbers] of Object.entries(arrays)) this.at[name] = native.keep(numbers);
    this.positions = new Int32Array(this.size);
    arrays.rows.forEach((/** @type {number} */ row, /** @type {number} */ position) => { if (row >= 0) this.positions[row] = position; });
    this.codes = this.codesOnly ? arrays : null; // otherwise only the engine reads the arrays again
  }

  /** Open the index of a bundle. @param {Native} native @param {import("./bundle.js").Bundle} bundle */
  static async open(native, bundle) {
    const bytes = bundle.manifest.files[FILE]?.size ?? 0;
    if (bytes > LARGEST_BYTES) throw new EdgeSearchError("IndexFileError", "This bundle has millions of pictures; a browser does not search so many, use the server.");
    const { arrays, meta } = await openArrays((start, stop) => bundle.range(FILE, start, stop), bytes, FILE);
    if (!LAYOUTS.includes(meta.layout)) throw damaged(`layout ${meta.layout}, expected ${LAYOUTS.join(" or ")}`);
    const names = ["rotation", "codebook", "centers", "starts", "packed", "rows", ...(meta.layout === 2 ? ["vectors"] : [])];
    const missing = names.find((name) => !arrays[name]);
    if (missing) throw damaged(`no ${missing}`);
    /** @type {Record<string, any>} */
    const read = {};
    for (const name of names) read[name] = await arrays[name].rows();
    return new CompactIndex(native, read, Object.fromEntries(names.map((name) => [name, arrays[name].shape])), meta);
  }

  /** Check what the engine relies on: all addresses that it computes then lie inside the arrays. @param {Record<string, any>} arrays */
  #check({ rotation, codebook, centers, starts, packed, rows, vectors }) {
    const { dim, subquantizers, cells, blocks, size, probes, shortlist } = this;
    const expected = [
      [rotation, Float32Array, dim * dim], [codebook, Float32Array, dim * CODEWORDS], [centers, Int8Array, cells * dim],
      [starts, Uint32Array, cells + 1], [packed, Uint8Array, (blocks * BLOCK * subquantizers) / 2], [rows, Int32Array, blocks * BLOCK],
      ...(vectors ? [[vectors, Int8Array, blocks * BLOCK * dim]] : []),
    ];
    for (const [numbers, Type, length] of expected) {
      if (!(numbers instanceof Type) || numbers.length !== length || !length) throw damaged("its arrays do not fit together");
    }
    if (dim > 2048 || subquantizers < 2 || subquantizers > 256 || subquantizers % 2 || dim % subquantizers) throw damaged(`${subquantizers} subquantizers`);
    if (starts[0] !== 0 || starts[cells] !== blocks || starts.some((/** @type {number} */ start, /** @type {number} */ c) => c > 0 && start < starts[c - 1])) throw damaged("its cells");
    const seen = rows.filter((/** @type {number} */ row) => row >= 0);
    if (seen.length !== size || seen.some((/** @type {number} */ row) => row >= size) || !(probes >= 1 && probes <= cells && shortlist >= 1)) throw damaged("its row numbers or settings");
  }

  /**
   * Find the rows with the highest cosine.
   * @param {Float32Array} query (D,), unit length
   * @param {number} k
   * @param {number[] | null} allowed the only rows to find
   * @returns {Hits}
   */
  search(query, k, allowed = null) {
    const kept = Math.min(k, this.size);
    const shortlist = Math.min(Math.max(kept, this.shortlist), this.blocks * BLOCK);
    const wanted = this.codesOnly ? shortlist : kept;
    const { native, at } = this;
    const hits = native.scoped((scope) => {
      const [rows, scores] = [scope.take(4 * wanted), scope.take(4 * wanted)];
      const found = native.call.search_index(
        this.dim, this.subquantizers, this.cells, this.blocks, at.rotation, at.codebook, at.centers, at.starts, at.packed, at.vectors ?? 0, at.rows,
        allowed ? scope.put(this.#bits(allowed)) : 0, scope.put(query), 1, this.#probesFor(kept, allowed ? allowed.length : this.size), shortlist,
        this.codesOnly ? 0 : 1, wanted, rows, scores);
      if (!found) throw memoryError();
      return { rows: [...native.read(Int32Array, rows, wanted)], scores: [...native.read(Float32Array, scores, wanted)] };
    });
    const count = hits.rows.indexOf(-1);
    const rows = count < 0 ? hits.rows : hits.rows.slice(0, count);
    if (!this.codesOnly) return { rows, scores: hits.scores.slice(0, rows.length) };
    const pairs = rows.map((row) => ({ row, score: dot(this.readVector(row), query) }));
    pairs.sort((a, b) => b.score - a.score);
    return { rows: pairs.slice(0, kept).map(({ row }) => row), scores: pairs.slice(0, kept).map(({ score }) => score) };
  }

  /** Rebuild the vector of a row from int8 or, if there is none, from its codes: (D,), unit length. @param {number} row */
  readVector(row) {
    const { dim, codes } = this;
    const position = this.positions[row];
    if (!codes) return normalize(Float32Array.from(this.native.read(Int8Array, this.at.vectors + position * dim, dim)));
    const [part, pairs] = [dim / this.subquantizers, this.subquantizers / 2];
    const decoded = new Float32Array(dim);
    for (let m = 0; m < this.subquantizers; m++) {
      const byte = codes.packed[(Math.floor(position / BLOCK) * pairs + (m >> 1)) * BLOCK + (position % BLOCK)];
      const word = m % 2 ? byte >> 4 : byte & 15;
      for (let d = 0; d < part; d++) decoded[m * part + d] = codes.codebook[(m * part + d) * CODEWORDS + word];
    }
    const unit = normalize(decoded);
    return Float32Array.from({ length: dim }, (_, e) => dot(unit, codes.rotation.subarray(e * dim, (e + 1) * dim)));
  }

  /** @param {number[]} allowed */
  #bits(allowed) {
    const bits = new Uint32Array(this.blocks);
    for (const row of allowed) bits[this.positions[row] >> 5] |= 1 << (this.positions[row] & 31);
    return bits;
  }

  /** @param {number} k @param {number} allowed */
  #probesFor(k, allowed) {
    if (allowed <= ONE_CELL_UP_TO) return this.cells;
    return Math.min(this.cells, Math.ceil((this.probes * this.size * Math.max(k, this.shortlist)) / (allowed * this.shortlist)));
  }
}

/** @param {Float32Array} a @param {Float32Array} b */
function dot(a, b) {
  let sum = 0;
  for (let d = 0; d < a.length; d++) sum += a[d] * b[d];
  return sum;
}
