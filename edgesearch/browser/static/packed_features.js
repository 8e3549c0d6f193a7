// The local features of a reference picture, packed as an index stores them; see `descriptors.py`.

import { EdgeSearchError } from "./errors.js";
import { roundEven } from "./pictures.js";

const BLOCK = 32;
const SUBQUANTIZERS = 32;
const [MIN_SIGMA, SIGMA_STEPS] = [1 / 512, 32];
const WORDS = 4096;
const MAX_FEATURES = 2048;

/**
 * @typedef {{size: number, packed: Uint8Array, places: Uint8Array, words: Uint16Array}} PackedFeatures
 *   packed: (ceil(P / 32), 16, 32), codes of the descriptors; places: (P in whole blocks, 4), quantized keypoints; words: ascending
 */

/**
 * Pack features whose descriptors have these codes and words.
 * @param {Float32Array} keypoints (P, 4)
 * @param {Uint8Array} codes (P, 32), below 16
 * @param {number[]} words
 * @returns {PackedFeatures}
 */
export function packFeatures(keypoints, codes, words) {
  const size = keypoints.length / 4;
  const blocks = Math.ceil(size / BLOCK);
  const [packed, places] = [new Uint8Array((blocks * BLOCK * SUBQUANTIZERS) / 2), new Uint8Array(blocks * BLOCK * 4)];
  for (let i = 0; i < size; i++) {
    for (let pair = 0; pair < SUBQUANTIZERS / 2; pair++) {
      const at = i * SUBQUANTIZERS + 2 * pair;
      packed[((i >> 5) * (SUBQUANTIZERS / 2) + pair) * BLOCK + (i & 31)] = codes[at] | (codes[at + 1] << 4);
    }
    const [x, y, sigma, turn] = keypoints.subarray(4 * i, 4 * i + 4);
    const levels = [x * 255, y * 255, Math.log2(sigma / MIN_SIGMA) * SIGMA_STEPS, (turn * 256) % 255.5];
    places.set(levels.map((level) => Math.min(255, Math.max(0, roundEven(level)))), 4 * i);
  }
  return { size, packed, places, words: Uint16Array.from(words) };
}

/** Return an embedding and features as `Reference.to_bytes` in Python does. @param {Float32Array} embedding @param {PackedFeatures | null} features */
export function writeReference(embedding, features) {
  const parts = features ? [Uint32Array.of(features.size), features.packed, features.places, features.words] : [];
  return concatenate([embedding, ...parts]);
}

/** Read what `writeReference` wrote. @param {Uint8Array} content @param {number} dim @returns {{embedding: Float32Array, features: PackedFeatures | null}} */
export function readReference(content, dim) {
  if (content.length === 4 * dim) return { embedding: new Float32Array(content.slice().buffer), features: null };
  const size = content.length >= 4 * dim + 4 ? new DataView(content.buffer, content.byteOffset + 4 * dim).getUint32(0, true) : Infinity;
  const rows = Math.ceil(size / BLOCK) * BLOCK;
  const [first, second, last] = [4 * dim + 4, 4 * dim + 4 + rows * (SUBQUANTIZERS / 2), 4 * dim + 4 + rows * (SUBQUANTIZERS / 2 + 4)];
  const words = last <= content.length && !((content.length - last) % 2) ? new Uint16Array(content.slice(last).buffer) : null;
  if (size > MAX_FEATURES || !words || words.some((word, i) => word >= WORDS || (i > 0 && word <= words[i - 1]))) {
    throw new EdgeSearchError("DeviceError", "What was computed from a taught picture is damaged; remove the picture's product, and teach it again.");
  }
  const embedding = new Float32Array(content.slice(0, 4 * dim).buffer);
  return { embedding, features: { size, packed: content.slice(first, second), places: content.slice(second, last), words } };
}

/**
 * Return the arrays of an index of pictures, at least one, as a bundle's file has them.
 * @param {PackedFeatures[]} pictures
 * @param {number} page pictures whose numbers are counted from 0
 */
export function indexFeatures(pictures, page) {
  const starts = new Uint32Array(pictures.length + 1);
  pictures.forEach(({ size }, i) => { starts[i + 1] = starts[i] + Math.ceil(size / BLOCK); });
  const pages = Math.ceil(pictures.length / page);
  const wordStarts = new Uint32Array(pages * (WORDS + 1));
  /** @type {number[]} */
  const postings = [];
  for (let p = 0; p < pages; p++) {
    const lists = Array.from({ length: WORDS }, () => /** @type {number[]} */ ([]));
    pictures.slice(p * page, (p + 1) * page).forEach(({ words }, number) => words.forEach((word) => lists[word].push(number)));
    lists.forEach((numbers, word) => {
      wordStarts[p * (WORDS + 1) + word] = postings.length;
      for (const number of numbers) postings.push(number);
    });
    wordStarts[p * (WORDS + 1) + WORDS] = postings.length;
  }
  return {
    sizes: Uint32Array.from(pictures, ({ size }) => size), starts, word_counts: Uint32Array.from(pictures, ({ words }) => words.length),
    word_starts: wordStarts, postings: Uint16Array.from(postings),
    packed: concatenate(pictures.map(({ packed }) => packed)), places: concatenate(pictures.map(({ places }) => places)),
  };
}

/** @param {ArrayBufferView[]} parts */
function concatenate(parts) {
  const content = new Uint8Array(parts.reduce((total, { byteLength }) => total + byteLength, 0));
  let at = 0;
  for (const { buffer, byteOffset, byteLength } of parts) {
    content.set(new Uint8Array(buffer, byteOffset, byteLength), at);
    at += byteLength;
  }
  return content;
}
