// Products as a catalogue describes them, and the details that people give; see `product.py`.

import { EdgeSearchError } from "./errors.js";

/**
 * @typedef {Record<string, string | number | null>} Details by name, null for an empty one
 * @typedef {{sku: string, name: string, price: number | null, currency: string | null, category: string | null, brand: string | null,
 *   description: string | null, location: string | null, stock: number | null, barcode: string | null, attributes: Record<string, string>}} Product
 */

export const COLUMNS = ["sku", "name", "price", "currency", "category", "brand", "description", "location", "stock", "barcode"];
const CELL_CHARACTERS_SHOWN = 40;
const [MAX_DETAIL_BYTES, MAX_DETAILS_BYTES] = [10_000, 100_000]; // of one detail, and of all of a product
const CONTROL = /[\0-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/; // eslint-disable-line no-control-regex
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u;
const LONE_SURROGATE = /\p{Cs}/u;
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

const catalogError = (/** @type {string} */ message) => new EdgeSearchError("CatalogError", message);

/** Return whether a text contains a control character. @param {string} text */
export const hasControl = (text) => CONTROL.test(text);

/** Return all details of a product by name, except its SKU; omit empty ones. @param {Product} product @returns {Details} */
export function detailsOf({ sku, attributes, ...details }) {
  const columns = COLUMNS.slice(1).map((name) => [name, /** @type {any} */ (details)[name]]);
  return Object.fromEntries([...columns, ...Object.entries(attributes)].filter(([, value]) => value !== null && value !== undefined));
}

/** Return the product with these details, the inverse of `detailsOf`. @param {string} sku @param {Details} details @returns {Product} */
export function productOf(sku, details) {
  const columns = COLUMNS.slice(1).map((name) => [name, Object.hasOwn(details, name) ? details[name] : null]);
  const others = Object.entries(details).filter(([name, value]) => !COLUMNS.includes(name) && value !== null);
  return { ...Object.fromEntries([["sku", sku], ...columns]), attributes: Object.fromEntries(others) };
}

/**
 * Check details that a person gives, as text or numbers, and return them as they are stored.
 * @param {unknown} sku
 * @param {Record<string, unknown>} details null or "" empties a detail
 * @returns {Details}
 */
export function checkDetails(sku, details) {
  if (typeof sku !== "string") throw catalogError(`sku is ${JSON.stringify(sku)}; give it as text.`);
  const entries = Object.entries(details);
  const cells = entries.map(([name, value]) => /** @type {[string, string]} */ ([name, value === null || value === undefined ? "" : String(value).trim()]));
  const invalid = [
    ...[sku, ...cells.map(([name]) => name)].filter((name) => ["", "sku", "images"].includes(name) || name !== name.trim() || UNPRINTABLE.test(name)),
    ...entries.filter(([, value]) => value !== null && value !== undefined && !["string", "number"].includes(typeof value)).map(([name]) => name),
    ...cells.map(([, cell]) => cell).filter((cell) => LONE_SURROGATE.test(cell)),
    ...cells.filter(([name, cell]) => hasControl(name === "name" ? cell : cell.replace(/[\t\r\n]/g, ""))).map(([, cell]) => cell),
  ];
  if (invalid.length) throw catalogError(`'${JSON.stringify(invalid[0].slice(0, CELL_CHARACTERS_SHOWN)).slice(1, -1)}': not a SKU or a detail of a product; give it as text.`);
  checkSize(sku, Object.fromEntries(cells));
  return Object.fromEntries(cells.map(([name, cell]) => [name, parse(sku, name, cell)]));
}

/** @param {string} sku @param {string} name @param {string} cell */
function parse(sku, name, cell) {
  const shown = `'${cell.slice(0, CELL_CHARACTERS_SHOWN)}'`;
  if (!cell) {
    if (name === "name") throw catalogError(`${sku}: empty name; every product needs a sku and a name.`);
    return null;
  }
  if (name === "price") {
    const price = NUMBER.test(cell) ? Number(cell) : NaN;
    if (!(price >= 0 && price < Infinity)) throw catalogError(`${sku}: price is ${shown}; expected a number such as 2.50, 0 or more, or an empty cell.`);
    return price;
  }
  if (name !== "stock") return cell;
  if (!/^[+-]?\d{1,15}$/.test(cell)) throw catalogError(`${sku}: stock is ${shown}; expected a whole number, or an empty cell.`);
  return Number(cell);
}

/** Refuse a detail that is larger than 10 kB, or details of a product of more than 100 kB together. @param {string} sku @param {Details} details */
export function checkSize(sku, details) {
  const bytes = (/** @type {string} */ text) => new TextEncoder().encode(text).length;
  const sizes = Object.entries(details).map(([name, value]) => /** @type {const} */ ([name, bytes(`${name}${value ?? ""}`)]));
  const large = sizes.find(([, size]) => size > MAX_DETAIL_BYTES);
  if (large) throw catalogError(`${sku}: ${large[0].slice(0, 40)} has ${large[1].toLocaleString("en")} bytes; give at most ${MAX_DETAIL_BYTES.toLocaleString("en")}.`);
  const total = sizes.reduce((sum, [, size]) => sum + size, 0);
  if (total > MAX_DETAILS_BYTES) {
    throw catalogError(`${sku}: its details have ${total.toLocaleString("en")} bytes; give at most ${MAX_DETAILS_BYTES.toLocaleString("en")} together.`);
  }
}
