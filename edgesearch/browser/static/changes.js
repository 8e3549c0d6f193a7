// Changes of products that a device was taught, and how they combine with the bundle's catalogue; see `changes.py`.

import { EdgeSearchError } from "./errors.js";
import { COLUMNS, checkSize, detailsOf, productOf } from "./product_details.js";

/**
 * @typedef {import("./product_details.js").Details} Details
 * @typedef {import("./product_details.js").Product} Product
 * @typedef {{own: boolean, removed: boolean, details: Details, was: Details, pictures: Record<string, number>}} Change
 *   own: the device added the product; was: the bundle's value of each detail when the change was made;
 *   pictures: numbers of the added pictures, by the hash of their content
 */

/** @type {Change} */
export const NO_CHANGE = { own: false, removed: false, details: {}, was: {}, pictures: {} };

const catalogError = (/** @type {string} */ message) => new EdgeSearchError("CatalogError", message);

/** Return whether two changes say the same. @param {Change | null} one @param {Change | null} other */
export const isSame = (one, other) => JSON.stringify(sorted(one)) === JSON.stringify(sorted(other));

/** @param {any} value @returns {any} */
const sorted = (value) => (value && typeof value === "object"
  ? Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, inner]) => [name, sorted(inner)]) : value);

/** @param {Details} table @param {string} name */
const valueOf = (table, name) => (Object.hasOwn(table, name) ? table[name] : null);

/** Return the product as it is shown, or null if it is not; `base` is the bundle's. @param {Change} change @param {string} sku @param {Product | null} base */
export function applyChange(change, sku, base) {
  if (change.removed || (!base && !change.own)) return null;
  if (!base) return productOf(sku, change.details);
  const current = detailsOf(base);
  const valid = Object.entries(change.details).filter(([name]) => valueOf(current, name) === valueOf(change.was, name));
  return productOf(sku, Object.fromEntries([...Object.entries(current), ...valid]));
}

/** Return the name of a file without its folder and ending. @param {string} source */
export const stemOf = (source) => source.replace(/^.*\//, "").replace(/(?<=.)\.[^.]*$/, "");

/** Return the added pictures that the bundle lacks; it names pictures from a device as the device does. @param {Change} change @param {string[]} sources @returns {[string, number][]} */
export function missingPictures(change, sources) {
  const merged = new Set(sources.map(stemOf));
  return Object.entries(change.pictures).filter(([name]) => !merged.has(name));
}

/** Return what differs between two changes of a product, a phrase for each: "price 2.50 -> 4.50". @param {Change | null} before @param {Change | null} after */
export function describeChange(before, after) {
  const [one, other] = [before ?? NO_CHANGE, after ?? NO_CHANGE];
  if (other.removed) return one.removed ? [] : ["removed"];
  const phrases = one.removed ? ["shown again"] : other.own && !one.own ? ["new product"] : [];
  if (one.own && !after) return ["no longer here"];
  const named = new Set([...Object.keys(one.details), ...Object.keys(other.details)]);
  const others = [...named].filter((name) => !COLUMNS.includes(name)).sort();
  for (const name of [...COLUMNS.filter((column) => named.has(column)), ...others]) {
    const was = Object.hasOwn(other.was, name) ? other.was[name] : valueOf(one.was, name);
    const isValid = Object.hasOwn(one.details, name) && valueOf(one.was, name) === was;
    const [from, to] = [isValid ? one.details[name] : was, Object.hasOwn(other.details, name) ? other.details[name] : was];
    if (from !== to) phrases.push(describeValue(name, from, to));
  }
  for (const [some, less, verb] of /** @type {const} */ ([[other, one, "added"], [one, other, "gone"]])) {
    const count = Object.keys(some.pictures).filter((name) => !Object.hasOwn(less.pictures, name)).length;
    if (count) phrases.push(`${count} picture${count > 1 ? "s" : ""} ${verb}`);
  }
  return phrases;
}

/** @param {string} name @param {string | number | null} from @param {string | number | null} to */
function describeValue(name, from, to) {
  const [old, now] = [from, to].map((one) => (one === null ? "empty" : name === "price" ? Number(one).toFixed(2) : String(one)));
  return from === null ? `${name} ${now}` : `${name} ${old} -> ${now}`;
}

/**
 * Return the change that shows a product with these details.
 * @param {string} sku
 * @param {Change | null} before
 * @param {Product | null} base
 * @param {Details} details
 */
export function enrolChange(sku, before, base, details) {
  let start = before;
  if (!(before ? applyChange(before, sku, base) : base)) {
    if (!base && !details.name) throw catalogError(`${sku}: a product that is not in the catalogue needs a name; give it.`);
    start = { ...NO_CHANGE, own: !base };
  }
  return setDetails(sku, start ?? NO_CHANGE, base, details);
}

/** Return the change that gives a product other details. @param {string} sku @param {Change | null} before @param {Product | null} base @param {Details} details */
export function editChange(sku, before, base, details) {
  checkShown(sku, before, base);
  return setDetails(sku, before ?? NO_CHANGE, base, details);
}

/** Return the change that hides a product, also in later bundles. @param {string} sku @param {Change | null} before @param {Product | null} base @returns {Change} */
export function removeChange(sku, before, base) {
  checkShown(sku, before, base);
  return { ...NO_CHANGE, removed: true };
}

/** @param {string} sku @param {Change | null} change @param {Product | null} base */
function checkShown(sku, change, base) {
  if (!(change ? applyChange(change, sku, base) : base)) throw catalogError(`${sku}: no product of that SKU is here; check it, or enrol the product.`);
}

/** Return the change with other details; those that are as the bundle has them need no change. @param {string} sku @param {Change} before @param {Product | null} base @param {Details} details @returns {Change} */
function setDetails(sku, before, base, details) {
  const current = base ? detailsOf(base) : {};
  const changed = new Map([...Object.entries(before.details), ...Object.entries(details)]);
  checkSize(sku, Object.fromEntries(changed));
  const was = new Map([...Object.entries(before.was), ...Object.keys(details).map((name) => /** @type {const} */ ([name, valueOf(current, name)]))]);
  const kept = [...changed].filter(([name, value]) => !base || !Object.hasOwn(details, name) || value !== valueOf(current, name));
  return { ...before, details: Object.fromEntries(kept), was: Object.fromEntries(kept.map(([name]) => [name, was.get(name) ?? null])) };
}
