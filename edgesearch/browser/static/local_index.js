// Find pictures by visual words, and verify them by matching local features; see `local_index.py`.

import { openArrays } from "./arrays.js";
import { EdgeSearchError, memoryError } from "./errors.js";
import { DIM, mirror } from "./local_features.js";
import { indexFeatures, packFeatures } from "./packed_features.js";

export const FILE = "local.arrays";
const BLOCK = 32;
const CODEWORDS = 16;
const SUBQUANTIZERS = 32;
const HALVES = 2;
const WORDS_PER_HALF = 64;
const WORDS = WORDS_PER_HALF ** HALVES;
const RATIO = Math.fround(0.85 ** 2); // of squared distances
const MIN_POINTS = 5;
const MIRROR_BELOW = 20;
const MIRROR_MIN_POINTS = 10;
const MIRROR_PICTURES = 8;
const MAX_DISTANCE = 0.3;
const CHANCE_WEIGHT = 1;
const HALF_WEIGHT = 8;
const PAGE = 1 << 16;
const MAX_POSTINGS = 1 << 20;
const MAX_PAIRS = 1024;
const PAIR_TOLERANCE = 0.02;
const MIN_SIGMA = 1 / 512;
const SIGMA_STEPS = 32;
const RESIDENT_BYTES = 64_000_000; // larger arrays are read for the pictures that a search compares

/**
 * @typedef {import("./local_features.js").LocalFeatures} LocalFeatures
 * @typedef {import("./packed_features.js").PackedFeatures} PackedFeatures
 * @typedef {{codewords: number, squares: number}} Columns addresses
 * @typedef {{codes: Columns, words: Columns}} Codebook
 * @typedef {{points: number, weight: number, outline: number[][], mirrored: boolean}} Evidence
 *   outline: corners of the printed area in the photo, in shares of its longer side
 */

/** @type {Evidence} */
export const NO_EVIDENCE = { points: 0, weight: 0, outline: [], mirrored: false };

/** Return the strength of evidence, 0 to 1. @param {Evidence} evidence */
export function shareOf({ weight }) {
  const above = Math.max(0, weight - CHANCE_WEIGHT);
  return above / (above + HALF_WEIGHT);
}

const damaged = (/** @type {string} */ what) => new EdgeSearchError("IndexFileError", `${FILE} is damaged (${what}); build the bundle again.`);

export class LocalIndex {
  /**
   * @param {import("./native.js").Native} native
   * @param {Record<string, any>} parts
   * @param {Record<string, import("./arrays.js").LazyArray>} large
   * @param {Record<string, any>} resident
   * @param {Codebook} codebook
   */
  constructor(native, parts, large, resident, codebook = keepCodebook(native, parts)) {
    this.native = native;
    this.parts = parts;
    this.large = large;
    this.resident = resident;
    this.size = parts.sizes.length;
    this.codebook = codebook;
    this.pages = Math.ceil(this.size / PAGE);
    this.idf = Float32Array.from({ length: WORDS }, (_, word) => {
      let count = 0;
      for (let page = 0; page < this.pages; page++) count += this.#last(page, word) - this.#first(page, word);
      return Math.max(0, Math.log((this.size + 1) / (count + 0.5)));
    });
    this.norms = Float32Array.from(parts.word_counts, (/** @type {number} */ count) => (count + 1) ** -0.5);
  }

  /** Open the local features of a bundle. @param {import("./native.js").Native} native @param {import("./bundle.js").Bundle} bundle */
  static async open(native, bundle) {
    const { arrays, meta } = await openArrays((start, stop) => bundle.range(FILE, start, stop), bundle.manifest.files[FILE].size, FILE);
    if (meta.layout !== 1 || meta.kind !== "sift") throw damaged(`kind ${meta.kind}, layout ${meta.layout}`);
    const names = ["codes", "words", "sizes", "starts", "word_counts", "word_starts", "postings", "packed", "places"];
    const missing = names.find((name) => !arrays[name]);
    if (missing) throw damaged(`no ${missing}`);
    /** @type {Record<string, any>} */
    const parts = {};
    for (const name of names.slice(0, 7)) parts[name] = await arrays[name].rows();
    checkParts(parts, arrays);
    return new LocalIndex(native, parts, arrays, {});
  }

  /** Read the arrays that are small enough to stay in memory; until then, and if one is damaged, searches read parts. */
  async readAhead() {
    for (const [name, array] of Object.entries(this.large)) {
      const isSmall = ["packed", "places"].includes(name) && array.length * array.rowLength <= RESIDENT_BYTES;
      if (isSmall) this.resident[name] = await array.rows().catch(() => undefined);
    }
  }

  /** Return an index of other pictures, at least one, with the same codebook. @param {PackedFeatures[]} pictures */
  build(pictures) {
    const { packed, places, ...parts } = indexFeatures(pictures, PAGE);
    const large = /** @type {any} */ ({ packed: { rowLength: (SUBQUANTIZERS / 2) * BLOCK }, places: { rowLength: 4 } });
    return new LocalIndex(this.native, parts, large, { packed, places }, this.codebook);
  }

  /** Pack the features of a reference picture. @param {LocalFeatures} features */
  encode({ count, keypoints, descriptors }) {
    const { native, codebook: { codes } } = this;
    const found = native.scoped((scope) => {
      const to = scope.take(SUBQUANTIZERS * count);
      native.call.encode_rows(SUBQUANTIZERS, DIM / SUBQUANTIZERS, CODEWORDS, codes.codewords, codes.squares, scope.put(descriptors), count, to);
      return native.read(Uint8Array, to, SUBQUANTIZERS * count);
    });
    return packFeatures(keypoints, found, this.#findWords({ count, keypoints, descriptors }));
  }

  /** @param {number} page @param {number} word @returns {number} */
  #first(page, word) {
    return this.parts.word_starts[page * (WORDS + 1) + word];
  }

  /** @param {number} page @param {number} word @returns {number} */
  #last(page, word) {
    return this.parts.word_starts[page * (WORDS + 1) + word + 1];
  }

  /**
   * Find the pictures that share most words with a photo, best first.
   * @param {LocalFeatures} photo
   * @param {number} count
   * @param {number[] | null} allowed the only rows to find
   * @returns {number[]}
   */
  findCandidates(photo, count, allowed = null) {
    const rarest = this.#findWords(photo).sort((a, b) => this.idf[b] - this.idf[a] || a - b);
    let read = 0;
    const words = rarest.filter((word) => {
      for (let page = 0; page < this.pages; page++) read += this.#last(page, word) - this.#first(page, word);
      return read <= MAX_POSTINGS;
    });
    const weights = Float32Array.from(words, (word) => this.idf[word] ** 2);
    const scores = new Float32Array(this.size);
    for (let page = 0; page < this.pages; page++) {
      const part = scores.subarray(page * PAGE, (page + 1) * PAGE);
      words.forEach((word, i) => {
        for (let at = this.#first(page, word); at < this.#last(page, word); at++) {
          const number = this.parts.postings[at];
          if (number >= part.length) throw damaged("words name pictures that do not exist");
          part[number] += weights[i];
        }
      });
    }
    scores.forEach((score, row) => { scores[row] = score * this.norms[row]; });
    const found = (allowed ?? [...scores.keys()]).filter((row) => scores[row] > 0);
    return found.sort((a, b) => scores[b] - scores[a] || a - b).slice(0, count);
  }

  /** Return the distinct words of a photo, ascending. @param {LocalFeatures} photo */
  #findWords({ count, descriptors }) {
    if (!count) return [];
    const { native, codebook: { words } } = this;
    return native.scoped((scope) => {
      const codes = scope.take(HALVES * count);
      native.call.encode_rows(HALVES, DIM / HALVES, WORDS_PER_HALF, words.codewords, words.squares, scope.put(descriptors), count, codes);
      const pairs = native.read(Uint8Array, codes, HALVES * count);
      const found = new Set(Array.from({ length: count }, (_, i) => pairs[2 * i] * WORDS_PER_HALF + pairs[2 * i + 1]));
      return [...found].sort((a, b) => a - b);
    });
  }

  /** Compare a photo with some pictures; if little agrees, compare its mirror image too. @param {LocalFeatures} photo @param {number[]} rows */
  async verify(photo, rows) {
    const found = await this.#verifyRows(photo, rows);
    if (Math.max(0, ...found.map(({ points }) => points)) >= MIRROR_BELOW) return found;
    (await this.#verifyRows(mirror(photo), rows.slice(0, MIRROR_PICTURES))).forEach((one, i) => {
      if (one.points >= Math.max(MIRROR_MIN_POINTS, found[i].points + 1)) found[i] = { ...one, outline: one.outline.map(([x, y]) => [-x, y]), mirrored: true };
    });
    return found;
  }

  /** @param {LocalFeatures} photo @param {number[]} rows @returns {Promise<Evidence[]>} */
  async #verifyRows(photo, rows) {
    if (photo.count < MIN_POINTS) return rows.map(() => NO_EVIDENCE);
    const pictures = await Promise.all(rows.map((row) => this.#readPicture(row)));
    return this.native.scoped((scope) => {
      const tables = this.#makeTables(scope, photo);
      return pictures.map((picture) => this.native.scoped((inner) => this.#verifyPicture(inner, photo, tables, picture)));
    });
  }

  /** Return the codes and keypoints of a picture. @param {number} row */
  async #readPicture(row) {
    const [first, last] = [this.parts.starts[row], this.parts.starts[row + 1]];
    const read = async (/** @type {string} */ name, /** @type {number} */ from, /** @type {number} */ to) => {
      const { rowLength } = this.large[name];
      return this.resident[name]?.subarray(from * rowLength, to * rowLength) ?? this.large[name].rows(from, to);
    };
    const size = this.parts.sizes[row];
    const [packed, places] = await Promise.all([read("packed", first, last), read("places", first * BLOCK, first * BLOCK + size)]);
    return { size, packed: /** @type {Uint8Array} */ (packed), keypoints: dequantize(/** @type {Uint8Array} */ (places)) };
  }

  /** Quantize the distances of descriptors to all codewords. @param {any} scope @param {LocalFeatures} photo */
  #makeTables(scope, { count, keypoints, descriptors }) {
    const { native, codebook: { codes } } = this;
    const [levels, lows, steps] = [scope.take(count * SUBQUANTIZERS * CODEWORDS), scope.take(4 * count * SUBQUANTIZERS), scope.take(4 * count)];
    native.call.quantize_rows(SUBQUANTIZERS, DIM / SUBQUANTIZERS, codes.codewords, codes.squares, scope.put(descriptors), count, levels, lows, steps);
    const low = native.read(Float32Array, lows, count * SUBQUANTIZERS);
    const biases = Float32Array.from({ length: count }, (_, i) => {
      let [squares, added] = [0, 0];
      for (let d = 0; d < DIM; d++) squares += descriptors[i * DIM + d] ** 2;
      for (let m = 0; m < SUBQUANTIZERS; m++) added = Math.fround(added + low[i * SUBQUANTIZERS + m]);
      return Math.fround(squares) - added;
    });
    return { levels, biases, steps: native.read(Float32Array, steps, count), photo: scope.put(keypoints) };
  }

  /**
   * Match a photo with one picture, fit a map to the matches, and weigh all features that the map explains.
   * @param {any} scope
   * @param {LocalFeatures} photo
   * @param {{levels: number, biases: Float32Array, steps: Float32Array, photo: number}} tables
   * @param {{size: number, packed: Uint8Array, keypoints: Float32Array}} picture
   * @returns {Evidence}
   */
  #verifyPicture(scope, photo, tables, { size, packed, keypoints }) {
    const { native } = this;
    const { count } = photo;
    const [codes, best, highest] = [scope.put(packed), scope.take(4 * count), scope.take(4 * count)];
    const match = (/** @type {number} */ allowed) => {
      native.call.match_codes(tables.levels, count, codes, SUBQUANTIZERS, size, allowed, best, highest);
      return native.read(Uint16Array, highest, 2 * count);
    };
    const distance = (/** @type {Uint16Array} */ sums, /** @type {number} */ i, /** @type {number} */ which) =>
      Math.fround(tables.biases[i] - Math.fround(tables.steps[i] * sums[2 * i + which]));
    const sums = match(0);
    const found = native.read(Int32Array, best, count);
    const nearest = Float32Array.from({ length: count }, (_, i) => distance(sums, i, 0));
    const used = new Set();
    const passed = [...nearest.keys()]
      .filter((i) => nearest[i] < Math.fround(RATIO * distance(sums, i, 1)))
      .sort((a, b) => nearest[a] - nearest[b] || a - b);
    if (passed.length < MIN_POINTS) return NO_EVIDENCE;
    const pairs = passed.filter((i) => !used.has(found[i]) && used.add(found[i])).slice(0, MAX_PAIRS); // a reference feature matches once
    const affine = scope.take(48);
    const points = native.call.fit_affine(scope.put(pick(photo.keypoints, pairs)), scope.put(pick(keypoints, pairs.map((i) => found[i]))), pairs.length, affine);
    if (points < 0) throw memoryError();
    if (points < MIN_POINTS) return NO_EVIDENCE;
    const bits = scope.take(4 * count * Math.ceil(size / 32));
    const isDone = native.call.find_consistent_pairs(tables.photo, count, scope.put(keypoints), size, affine, PAIR_TOLERANCE, bits);
    if (!isDone) throw memoryError();
    const agreeing = match(bits);
    let weight = 0;
    for (let i = 0; i < count; i++) {
      if (agreeing[2 * i]) weight += Math.max(0, 1 - distance(agreeing, i, 0) / MAX_DISTANCE);
    }
    return { points, weight, outline: mapOutline(keypoints, native.read(Float64Array, affine, 6)), mirrored: false };
  }
}

/** Return the rows (., 4) with these numbers. @param {Float32Array} rows @param {number[]} numbers */
function pick(rows, numbers) {
  const picked = new Float32Array(4 * numbers.length);
  numbers.forEach((number, i) => picked.set(rows.subarray(4 * number, 4 * number + 4), 4 * i));
  return picked;
}

/** Map the bounding box of keypoints (P, 4) to the photo: four corners. @param {Float32Array} keypoints @param {Float64Array} affine (2, 3) */
function mapOutline(keypoints, [a, b, c, d, e, f]) {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (let at = 0; at < keypoints.length; at += 4) {
    const [x, y] = [keypoints[at], keypoints[at + 1]];
    [left, top, right, bottom] = [Math.min(left, x), Math.min(top, y), Math.max(right, x), Math.max(bottom, y)];
  }
  return [[left, top], [right, top], [right, bottom], [left, bottom]].map(([x, y]) => [a * x + b * y + c, d * x + e * y + f]);
}

/** Restore keypoints from bytes, (P, 4). @param {Uint8Array} bytes */
function dequantize(bytes) {
  return Float32Array.from(bytes, (level, i) => {
    if (i % 4 === 2) return MIN_SIGMA * 2 ** (level / SIGMA_STEPS);
    return i % 4 === 3 ? level / 256 : level / 255;
  });
}

/** @param {import("./native.js").Native} native @param {Record<string, any>} parts @returns {Codebook} */
const keepCodebook = (native, { codes, words }) =>
  ({ codes: keepColumns(native, codes, SUBQUANTIZERS, CODEWORDS), words: keepColumns(native, words, HALVES, WORDS_PER_HALF) });

/** Keep quantizers (M, K, D/M) as the engine takes it: codewords (M, D/M, K) and their squares (M, K). @param {import("./native.js").Native} native @param {Float32Array} codebook @param {number} parts @param {number} words */
function keepColumns(native, codebook, parts, words) {
  const dim = DIM / parts;
  const [columns, squares] = [new Float32Array(codebook.length), new Float32Array(parts * words)];
  for (let m = 0; m < parts; m++) {
    for (let w = 0; w < words; w++) {
      let sum = 0;
      for (let d = 0; d < dim; d++) {
        const value = codebook[(m * words + w) * dim + d];
        columns[(m * dim + d) * words + w] = value;
        sum += value * value;
      }
      squares[m * words + w] = sum;
    }
  }
  return { codewords: native.keep(columns), squares: native.keep(squares) };
}

/** Check what all later reads rely on. @param {Record<string, any>} parts @param {Record<string, import("./arrays.js").LazyArray>} arrays */
function checkParts(parts, arrays) {
  const { codes, words, sizes, starts, word_counts: counts, word_starts: wordStarts, postings } = parts;
  const blocks = arrays.packed.length;
  const ascends = (/** @type {Uint32Array} */ numbers) => numbers.every((n, i) => i === 0 || n >= numbers[i - 1]);
  const fits = codes instanceof Float32Array && codes.length === DIM * CODEWORDS && words instanceof Float32Array && words.length === DIM * WORDS_PER_HALF
    && sizes instanceof Uint32Array && sizes.length > 0 && counts.length === sizes.length && starts instanceof Uint32Array
    && starts.length === sizes.length + 1 && starts[0] === 0 && starts[sizes.length] === blocks
    && sizes.every((size, i) => starts[i + 1] - starts[i] === Math.ceil(size / BLOCK))
    && arrays.packed.dtype === "uint8" && arrays.packed.rowLength === (SUBQUANTIZERS / 2) * BLOCK
    && arrays.places.dtype === "uint8" && arrays.places.length === blocks * BLOCK && arrays.places.rowLength === 4
    && wordStarts instanceof Uint32Array && wordStarts.length === Math.ceil(sizes.length / PAGE) * (WORDS + 1) && ascends(wordStarts)
    && wordStarts[0] === 0 && wordStarts[wordStarts.length - 1] === postings.length && postings instanceof Uint16Array;
  if (!fits) throw damaged("its parts do not fit together");
}
