// The values by which people can filter the visible products; see `facets` in `product_table.py`.

import { splitColours } from "./colour_words.js";
import { FACETS } from "./grammar.js";

const MAX_VALUES = 100;

/** @typedef {import("./product_table.js").ProductTable} ProductTable */

/** @param {ProductTable} table */
export function facets(table) {
  const values = Object.fromEntries(Object.entries(FACETS).map(([name, column]) => [name, frequentValues(table, column)]));
  return {
    ...values, examples: examples(table, values.categories), currency: frequentValues(table, "currency")[0] ?? null, price: range(table, "price"),
    has_location: frequentValues(table, "location").length > 0, has_stock: range(table, "stock") !== null,
  };
}

/** Return SKU and name of the first visible product of each category, or of the first one. @param {ProductTable} table @param {string[]} categories */
function examples(table, categories) {
  const visible = [...table.visible.keys()].filter((number) => table.visible[number]);
  let numbers = visible.slice(0, 1);
  if (categories.length) {
    const { codes, values } = table.column("category");
    const first = new Map([...visible].reverse().map((number) => [values[codes[number]], number]));
    numbers = categories.map((category) => first.get(category) ?? 0);
  }
  return table.catalogue.products(numbers).map(({ sku, name }) => ({ sku, name }));
}

/** Return the values of a column among visible products, most frequent first. @param {ProductTable} table @param {string} name @returns {string[]} */
function frequentValues(table, name) {
  if (table.find(name) === null) return [];
  const { codes, values, holdsColours } = table.column(name);
  const counts = new Uint32Array(values.length);
  codes.forEach((code, number) => { counts[code] += table.visible[number]; });
  /** @type {Map<string, number>} */
  const totals = new Map();
  values.forEach((value, code) => {
    if (value === null || !counts[code]) return;
    for (const part of new Set(holdsColours ? splitColours(String(value)) : [String(value)])) totals.set(part, (totals.get(part) ?? 0) + counts[code]);
  });
  return [...totals].sort(([, a], [, b]) => b - a).slice(0, MAX_VALUES).map(([value]) => value);
}

/** Return the lowest and highest number of a column among visible products, or null. @param {ProductTable} table @param {string} name */
function range(table, name) {
  if (table.find(name) === null) return null;
  const { codes, numbers } = table.column(name);
  let [low, high] = [Infinity, -Infinity];
  codes.forEach((code, number) => {
    const value = numbers?.[code] ?? NaN;
    if (!table.visible[number] || Number.isNaN(value)) return;
    [low, high] = [Math.min(low, value), Math.max(high, value)];
  });
  return low <= high ? { low, high } : null;
}
