// Find alternatives to a product: products that look like it, satisfy the conditions, and are not all the same; see `similar.py`.

import { EdgeSearchError } from "./errors.js";
import { NO_EVIDENCE } from "./local_index.js";

const RELEVANCE = 0.7;
const POOL = 4;
const MAX_PICTURES = 32;
const ROWS_PER_RESULT = 4;
const COMPARED = ["price", "currency", "category", "brand", "stock"];

/**
 * @typedef {import("./gallery.js").Gallery} Gallery
 * @typedef {Pick<import("./product_details.js").Product, "price" | "currency" | "category" | "brand" | "stock">} Details
 * @typedef {{name: string, needs: keyof Details | null, holds: (one: Details, than: Details) => boolean}} Condition
 */

const normal = (/** @type {string | null} */ text) => (text ?? "").trim().toLowerCase();
const isPriced = (/** @type {Details} */ one, /** @type {Details} */ than) =>
  one.price !== null && than.price !== null && normal(one.currency) === normal(than.currency);

/** @type {Condition[]} */
const CONDITIONS = [
  { name: "cheaper", needs: "price", holds: (one, than) => isPriced(one, than) && (one.price ?? 0) < (than.price ?? 0) },
  { name: "other_brand", needs: "brand", holds: (one, than) => !["", normal(than.brand)].includes(normal(one.brand)) },
  { name: "same_category", needs: "category", holds: (one, than) => normal(one.category) === normal(than.category) },
  { name: "in_stock", needs: null, holds: (one) => (one.stock ?? 0) > 0 },
];

const refused = (/** @type {string} */ message) => new EdgeSearchError("CatalogError", message);

/**
 * Return k alternatives to a product, nearest first; fewer only if no more satisfy the conditions.
 * @param {Gallery} gallery
 * @param {string} sku
 * @param {number} k
 * @param {string[]} names of the conditions
 */
export function findSimilar(gallery, sku, k, names) {
  const number = gallery.catalogue.numberOf(sku);
  const own = gallery.rowsOf(number).slice(-MAX_PICTURES);
  if (!own.length) throw refused(`${sku}: has no picture, so nothing is known to look like it; add one.`);
  const vectors = own.map((row) => gallery.vectorOf(row));
  const near = nearestProducts(gallery.restrictTo(admit(gallery, number, names)), vectors, k * POOL);
  if (!near.length) throw refused(`${sku}: no other product satisfies all conditions${names.length ? ` (${names.join(", ")})` : ""}; leave one out.`);
  const others = near.map(({ product }) => gallery.rowsOf(product).slice(-MAX_PICTURES).map((row) => gallery.vectorOf(row)));
  const scores = others.map((other) => likeness(vectors, other));
  const chosen = chooseDiverse(scores, others, k).sort((a, b) => scores[b] - scores[a]);
  return gallery.describe(chosen.map((i) => ({ row: near[i].row, cosine: scores[i], evidence: NO_EVIDENCE })));
}

/** Return which products may be alternatives. @param {Gallery} gallery @param {number} number of the product @param {string[]} names */
function admit({ catalogue }, number, names) {
  const admitted = new Uint8Array(catalogue.count).fill(1);
  admitted[number] = 0;
  const conditions = CONDITIONS.filter(({ name }) => names.includes(name));
  if (!conditions.length) return admitted;
  const columns = COMPARED.map((name) => catalogue.column(name));
  const detailsOf = (/** @type {number} */ at) => /** @type {Details} */ (Object.fromEntries(COMPARED.map((name, i) => [name, columns[i][at]])));
  const than = detailsOf(number);
  const lacking = conditions.find(({ needs }) => needs && than[needs] === null);
  if (lacking) throw refused(`The product has no ${lacking.needs}, so no product is ${lacking.name.replace("_", " ")}; leave that out.`);
  return admitted.map((is, other) => is & Number(conditions.every(({ holds }) => holds(detailsOf(other), than))));
}

/** Return the nearest row of each of the nearest products, nearest first. @param {Gallery} gallery @param {Float32Array[]} vectors @param {number} wanted */
function nearestProducts(gallery, vectors, wanted) {
  const { index, allowed } = gallery;
  const stored = allowed ?? [...Array(index.size).keys()];
  const taught = gallery.allowedTaught.map((row) => row + index.size);
  /** @type {Map<number, {row: number, product: number, cosine: number}>} */
  let best = new Map();
  for (let asked = wanted * ROWS_PER_RESULT; ; asked *= 4) {
    const isAll = asked >= stored.length;
    const rows = isAll ? stored : vectors.flatMap((vector) => index.search(vector, asked, stored).rows);
    best = new Map();
    for (const row of new Set([...rows, ...taught])) {
      const [product, cosine] = [gallery.ownerOf(row), Math.max(...vectors.map((vector) => dot(vector, gallery.vectorOf(row))))];
      if (cosine > (best.get(product)?.cosine ?? -Infinity)) best.set(product, { row, product, cosine });
    }
    if (isAll || best.size >= wanted) break;
  }
  return [...best.values()].sort((a, b) => b.cosine - a.cosine).slice(0, wanted);
}

/** Return the likeness of two products: the mean, over pictures of each, of the highest cosine with one of the other. @param {Float32Array[]} one @param {Float32Array[]} other */
function likeness(one, other) {
  const towards = (/** @type {Float32Array[]} */ from, /** @type {Float32Array[]} */ to) =>
    from.reduce((sum, vector) => sum + Math.max(...to.map((own) => dot(vector, own))), 0) / from.length;
  return (towards(one, other) + towards(other, one)) / 2;
}

/** Choose k products by maximal marginal relevance. @param {number[]} scores @param {Float32Array[][]} vectors of their pictures @param {number} k */
function chooseDiverse(scores, vectors, k) {
  const nearest = scores.map(() => -1);
  /** @type {number[]} */
  const chosen = [];
  while (chosen.length < Math.min(k, scores.length)) {
    const worth = scores.map((score, i) => (chosen.includes(i) ? -Infinity : RELEVANCE * score - (1 - RELEVANCE) * nearest[i]));
    const best = worth.indexOf(Math.max(...worth));
    chosen.push(best);
    vectors.forEach((own, i) => { nearest[i] = Math.max(nearest[i], likeness(vectors[best], own)); });
  }
  return chosen;
}

/** @param {Float32Array} a @param {Float32Array} b */
const dot = (a, b) => a.reduce((sum, x, d) => sum + x * b[d], 0);
