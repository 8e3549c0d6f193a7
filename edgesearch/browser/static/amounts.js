// Find bounds of price and stock in folded sentences: "under 50", "不超过30元"; see `amounts.py`.

import { AMOUNTS, BOUNDS, CURRENCIES, DIGITS, HAN, HAN_TENS } from "./grammar.js";

/**
 * @typedef {{start: number, stop: number, column: "price" | "stock", conditions: [string, number][], currency: string | null}} Bound
 *   start and stop: its position in the text
 */

/** @type {[RegExp, string[], boolean][] | null} */
let patterns = null; // compiled at first use

function compiled() {
  patterns ??= BOUNDS.map(([pattern, operators, sure]) => [
    new RegExp(`${AMOUNTS.LEAD}(?<bound>${pattern})(?!${AMOUNTS.UNIT})`, "dgu"), /** @type {string[]} */ (operators), Boolean(sure)]);
  return patterns;
}

/** Return the bounds of price and stock in a text, in its order. @param {string} text @returns {Bound[]} */
export function findBounds(text) {
  /** @type {Bound[]} */
  const found = [];
  for (const [pattern, operators, sure] of hasNumber(text) ? compiled() : []) {
    for (const match of text.matchAll(pattern)) {
      const bound = parseBound(match, operators);
      const isFree = found.every((other) => bound.stop <= other.start || other.stop <= bound.start);
      if (isFree && (sure || bound.currency || match.groups?.price || bound.column === "stock")) found.push(bound);
    }
  }
  return found.sort((a, b) => a.start - b.start);
}

/** @param {RegExpMatchArray} match @param {string[]} operators @returns {Bound} */
function parseBound(match, operators) {
  const groups = match.groups ?? {};
  const places = match.indices?.groups ?? {};
  const sides = operators.map((_, i) => i + 1);
  const named = sides.flatMap((n) => [currencyOf(groups[`before${n}`]), currencyOf(groups[`after${n}`])]);
  const currency = named.findLast(Boolean) ?? null;
  const numbers = sides.map((n) => parseNumber(groups[`number${n}`]) + parseTenth(groups[`tenth${n}`])).sort((a, b) => a - b);
  const conditions = operators.map((operator, i) => /** @type {[string, number]} */ ([operator, numbers[i]]));
  const [start, stop] = [match.index ?? 0, (match.index ?? 0) + match[0].length];
  if (!currency && (groups.stock || groups.left)) return { start, stop, column: "stock", conditions, currency: null };
  const first = groups.stock ? places.bound?.[0] ?? start : start; // "stock over 5 euro" is a price
  return { start: first, stop: groups.left ? places.left?.[0] ?? stop : stop, column: "price", conditions, currency };
}

/** Return the parts of a text that resemble a price bound but are not read as one. @param {string} text @returns {string[]} */
export function findDoubtful(text) {
  if (!hasNumber(text)) return [];
  return [AMOUNTS.MEASURE, AMOUNTS.BARE].flatMap((pattern) => (text.match(new RegExp(pattern, "gu")) ?? []).map((part) => part.trim()));
}

/** @param {string} text */
const hasNumber = (text) => new RegExp(`\\p{Nd}|(?<![a-z])${AMOUNTS.SPELT}|[${Object.keys(HAN).join("")}${Object.keys(HAN_TENS).join("")}]`, "u").test(text);

/** @param {string | undefined} word */
const currencyOf = (word) => (word ? Object.entries(CURRENCIES).find(([, words]) => new RegExp(`^(?:${words})$`, "u").test(word))?.[0] ?? null : null);

/** @param {string} text */
function parseNumber(text) {
  if (!/^\p{Nd}/u.test(text)) return /^[a-z]/.test(text) ? parseEnglish(text) : parseChinese(text);
  const times = /** @type {Record<string, number>} */ (HAN_TENS)[text[text.length - 1]] ?? 1;
  const thousands = toDigits(text.replace(/[百千万]+$/u, "")).replace(/,(?=\d{3}(?:\D|$))/g, "");
  return Number(thousands.replace(",", ".")) * times;
}

/** Return a text with ASCII digits in place of those of other scripts, whose zeros begin runs of ten. @param {string} text */
function toDigits(text) {
  return text.replace(/\p{Nd}/gu, (digit) => {
    const code = digit.codePointAt(0) ?? 0;
    let zero = code;
    while (code - zero < 9 && /\p{Nd}/u.test(String.fromCodePoint(zero - 1))) zero -= 1;
    return String(code - zero);
  });
}

/** Return the tenths after a Chinese amount, such as the 5 of 3块5. @param {string | undefined} text */
const parseTenth = (text) => (text ? (/** @type {Record<string, number>} */ (HAN)[text[0]] || Number(text[0])) / 10 : 0);

/** @param {string} text */
function parseEnglish(text) {
  let total = 0;
  for (const word of text.split(/[ -](?:and )?/)) {
    total = word === "hundred" ? Math.max(total, 1) * 100 : total + /** @type {Record<string, number>} */ (DIGITS)[word];
  }
  return total;
}

/** @param {string} text */
function parseChinese(text) {
  /** @type {Record<string, string>} */
  const below = { 百: "十", 千: "百", 万: "千" };
  const whole = /[百千万][一二两三四五六七八九]$/u.test(text) ? text + below[text[text.length - 2]] : text; // 一百五 is 150
  let [total, part, digit] = [0, 0, 0];
  for (const sign of whole) {
    if (sign === "万") [total, part, digit] = [total + Math.max(part + digit, 1) * 10_000, 0, 0];
    else if (sign in HAN_TENS) [part, digit] = [part + Math.max(digit, 1) * /** @type {Record<string, number>} */ (HAN_TENS)[sign], 0];
    else digit = digit * 10 + /** @type {Record<string, number>} */ (HAN)[sign];
  }
  return total + part + digit;
}
