// Find the candidates for a photo, verify them by local features, and collect the evidence; see `scoring.py`.

import { CONSIDERED } from "./decision.js";
import { NO_EVIDENCE, shareOf } from "./local_index.js";

const ROWS_PER_RESULT = 4;
const CLEAR_LEAD = 0.1;
const VERIFIED = 20;
const BY_VISUAL_WORDS = 10;

/**
 * @typedef {import("./local_index.js").Evidence} Evidence
 * @typedef {{row: number, cosine: number, evidence: Evidence}} Candidate
 * @typedef {import("./gallery.js").Gallery} Gallery
 */

/** Return the cosine, raised where local features agree. @param {Candidate} candidate */
export const scoreOf = ({ cosine, evidence }) => cosine + (1 - cosine) * shareOf(evidence);

/**
 * Find the products that a photo may show, best first.
 * @param {Gallery} gallery
 * @param {Float32Array} embedding
 * @param {(() => import("./local_features.js").LocalFeatures) | null} extract null skips verification
 * @param {number} k
 */
export async function findCandidates(gallery, embedding, extract, k) {
  const nearest = findNearest(gallery, embedding, Math.max(k, CONSIDERED));
  const candidates = [...bestByProduct(gallery, nearest).values()];
  if (!extract || !gallery.local || leadsClearly(candidates)) return candidates;
  return verify(gallery, nearest, extract(), embedding);
}

/** @param {Gallery} gallery @param {Float32Array} embedding @param {number} k @returns {Candidate[]} */
export function findNearest(gallery, embedding, k) {
  const { index, allowed } = gallery;
  const wanted = Math.min(k, gallery.pictured);
  for (let rows = Math.min(index.size, k * ROWS_PER_RESULT); ; rows = Math.min(index.size, rows * 4)) {
    const found = toCandidates(index.search(embedding, rows, allowed));
    const isEnough = new Set(found.map(({ row }) => gallery.ownerOf(row))).size >= wanted || rows >= index.size;
    if (isEnough) return byCosine([...found, ...compareTaught(gallery, gallery.allowedTaught, embedding).slice(0, rows)]);
  }
}

/** @param {Candidate[]} candidates */
const byCosine = (candidates) => candidates.sort((a, b) => b.cosine - a.cosine);

/** Return taught rows, counted from the first, with their cosines to a photo, the nearest first. @param {Gallery} gallery @param {number[]} rows @param {Float32Array} embedding */
function compareTaught({ index, taught }, rows, embedding) {
  const cosine = (/** @type {Float32Array} */ vector) => vector.reduce((sum, x, d) => sum + x * embedding[d], 0);
  return byCosine(rows.map((row) => ({ row: index.size + row, cosine: cosine(taught.vectors[row]), evidence: NO_EVIDENCE })));
}

/** Return the first candidate of each product. @param {Gallery} gallery @param {Candidate[]} candidates */
export function bestByProduct(gallery, candidates) {
  /** @type {Map<number, Candidate>} */
  const first = new Map();
  for (const candidate of candidates) {
    const product = gallery.ownerOf(candidate.row);
    if (!first.has(product)) first.set(product, candidate);
  }
  return first;
}

/** @param {Candidate[]} candidates */
const leadsClearly = ([first, second]) => !second || scoreOf(first) - scoreOf(second) >= CLEAR_LEAD;

/** @param {Gallery} gallery @param {Candidate[]} nearest @param {import("./local_features.js").LocalFeatures} features @param {Float32Array} embedding */
async function verify(gallery, nearest, features, embedding) {
  const compared = nearest.slice(0, VERIFIED);
  const known = new Set(compared.map(({ row }) => row));
  const named = rowsByVisualWords(gallery, features).filter((row) => !known.has(row));
  const verified = await matchLocalFeatures(gallery, [...compared, ...compareRows(gallery, named, embedding)], features);
  const agreeing = bestByProduct(gallery, [...verified].sort((a, b) => b.evidence.weight - a.evidence.weight));
  const nearestOnes = bestByProduct(gallery, byCosine([...nearest, ...verified]));
  const merged = [...nearestOnes].map(([product, candidate]) => {
    const other = agreeing.get(product) ?? candidate;
    return { row: (other.evidence.points ? other : candidate).row, cosine: candidate.cosine, evidence: other.evidence };
  });
  return merged.sort((a, b) => scoreOf(b) - scoreOf(a));
}

/** Return the rows that share most visual words with a photo. @param {Gallery} gallery @param {import("./local_features.js").LocalFeatures} features */
function rowsByVisualWords({ index, local, allowed, taught, allowedTaught }, features) {
  const stored = local?.findCandidates(features, BY_VISUAL_WORDS, allowed) ?? [];
  const others = taught.local?.findCandidates(features, BY_VISUAL_WORDS, allowedTaught) ?? [];
  return [...stored, ...others.map((row) => index.size + row)];
}

/** Return the candidates with what their pictures' local features have in common with a photo's. @param {Gallery} gallery @param {Candidate[]} candidates @param {import("./local_features.js").LocalFeatures} features */
async function matchLocalFeatures({ index, local, taught }, candidates, features) {
  /** @type {Map<number, Evidence>} */
  const evidence = new Map();
  for (const [some, first, last] of /** @type {const} */ ([[local, 0, index.size], [taught.local, index.size, Infinity]])) {
    const rows = candidates.map(({ row }) => row).filter((row) => row >= first && row < last);
    const found = await some?.verify(features, rows.map((row) => row - first)) ?? [];
    found.forEach((one, i) => evidence.set(rows[i], one));
  }
  return candidates.map((candidate) => ({ ...candidate, evidence: evidence.get(candidate.row) ?? NO_EVIDENCE }));
}

/** Return rows with their cosines to a photo, the nearest first. @param {Gallery} gallery @param {number[]} rows @param {Float32Array} embedding */
export function compareRows(gallery, rows, embedding) {
  const { index } = gallery;
  const [stored, taught] = [rows.filter((row) => row < index.size), rows.filter((row) => row >= index.size).map((row) => row - index.size)];
  return byCosine([...(stored.length ? toCandidates(index.search(embedding, stored.length, stored)) : []), ...compareTaught(gallery, taught, embedding)]);
}

/**
 * Return the nearest picture of each product; without an embedding, its first one. A product without a picture has the cosine 0.
 * @param {Gallery} gallery
 * @param {number[]} products
 * @param {Float32Array | null} embedding
 * @returns {Map<number, Candidate>} without products that a filter excludes
 */
export function nearestPictures(gallery, products, embedding = null) {
  const rows = products.flatMap((product) => gallery.rowsOf(product));
  const pictures = embedding ? compareRows(gallery, rows, embedding) : rows.map((row) => ({ row, cosine: 0, evidence: NO_EVIDENCE }));
  const found = bestByProduct(gallery, pictures);
  /** @type {Map<number, Candidate>} */
  const nearest = new Map();
  for (const product of products) {
    const row = found.has(product) ? null : gallery.rowWithoutPicture(product);
    const candidate = found.get(product) ?? (row === null ? undefined : { row, cosine: 0, evidence: NO_EVIDENCE });
    if (candidate) nearest.set(product, candidate);
  }
  return nearest;
}

/**
 * Return the evidence for each candidate.
 * @param {Gallery} gallery
 * @param {Candidate[]} candidates
 * @param {Float32Array} embedding
 * @returns {import("./decision.js").EvidenceRow[]}
 */
export function collectEvidence(gallery, candidates, embedding) {
  const rows = candidates.map(({ row }) => gallery.rowsOf(gallery.ownerOf(row)));
  const single = rows.every((own) => own.length === 1);
  return candidates.map(({ cosine, evidence }, i) => ({
    nearest: cosine, mean: single ? cosine : meanCosine(rows[i].map((row) => gallery.vectorOf(row)), embedding),
    printed: shareOf(evidence), pictures: single ? 1 : rows[i].length,
  }));
}

/** Return the cosine of a photo and the mean of some vectors. @param {Float32Array[]} vectors @param {Float32Array} embedding */
function meanCosine(vectors, embedding) {
  let [product, square] = [0, 0];
  for (let d = 0; d < embedding.length; d++) {
    let total = 0;
    for (const vector of vectors) total += vector[d];
    product += total * embedding[d];
    square += total * total;
  }
  return product / Math.sqrt(square);
}

/** @param {import("./compact_index.js").Hits} hits @returns {Candidate[]} */
const toCandidates = ({ rows, scores }) => rows.map((row, i) => ({ row, cosine: scores[i], evidence: NO_EVIDENCE }));
