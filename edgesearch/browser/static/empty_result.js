// Explain why words and a filter leave no product: leave out one condition at a time; see `empty_result.py`.

import { write } from "./filters.js";
import { both } from "./product_table.js";

/**
 * @typedef {import("./filters.js").Filter} Filter
 * @typedef {import("./product_table.js").ProductTable} ProductTable
 * @typedef {{matching: Uint8Array, part: Filter | string}} Required products that meet a part of the filter, or the words
 */

/** Return the conditions that a filter joins with `and`. @param {Filter | null} filter @returns {Filter[]} */
const splitFilter = (filter) => (filter?.kind === "and" ? filter.parts : filter ? [filter] : []);

/**
 * Return each condition without which some products would be left, the most products first.
 * @param {ProductTable} table
 * @param {Filter | null} filter
 * @param {Required | null} words
 */
export function explainEmpty(table, filter, words) {
  /** @type {Required[]} */
  const required = [...splitFilter(filter).map((part) => ({ matching: table.matching(part), part })), ...(words ? [words] : [])];
  if (!required.length) return [];
  const single = required.map((_, number) => [number]).filter((blamed) => others(table, required, blamed).some(Boolean));
  const reasons = (single.length ? single : [blameSeveral(table, required)]).map((blamed) => describe(table, required, blamed));
  return reasons.sort((a, b) => b.others_leave - a.others_leave);
}

/** Return which visible products meet all conditions but those that are blamed. @param {ProductTable} table @param {Required[]} required @param {number[]} blamed */
const others = (table, required, blamed) =>
  required.filter((_, number) => !blamed.includes(number)).reduce((left, { matching }) => both(left, matching), table.visible);

/** Return the conditions that no product meets which meets those before them. @param {ProductTable} table @param {Required[]} required */
function blameSeveral(table, required) {
  let left = table.visible;
  /** @type {number[]} */
  const blamed = [];
  required.forEach(({ matching }, number) => {
    const next = both(left, matching);
    if (next.some(Boolean)) left = next;
    else blamed.push(number);
  });
  return blamed;
}

/** @param {ProductTable} table @param {Required[]} required @param {number[]} blamed */
function describe(table, required, blamed) {
  const left = others(table, required, blamed);
  const parts = blamed.map((number) => required[number].part);
  const conditions = /** @type {Filter[]} */ (parts.filter((part) => typeof part !== "string"));
  const where = conditions.length ? write(conditions.length === 1 ? conditions[0] : { kind: "and", parts: conditions }) : "";
  const words = parts.filter((part) => typeof part === "string").join(" ");
  const count = left.reduce((sum, one) => sum + one, 0);
  const hints = parts.map((part) => (typeof part === "string" ? "try other words" : table.suggest(part, left)));
  const hint = count ? hints.join("; ") : "every product was removed";
  const without = [where, words && `the words '${words}'`].filter(Boolean).join(" and ");
  const message = `without ${without}, ${count === 1 ? "1 product is" : `${count.toLocaleString("en")} products are`} left; ${hint}`;
  return { where, words, others_leave: count, hint, message };
}
