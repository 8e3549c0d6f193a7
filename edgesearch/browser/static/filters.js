// Parse filter expressions such as `category=Fruit and price<30`, and write them back; `filters.py` has the grammar.

import { queryError } from "./errors.js";
import { KEYWORDS, SIGNS, TOKEN } from "./grammar.js";

const MAX_CHARACTERS = 4000;
const MAX_CONDITIONS = 100;
const MAX_DEPTH = 20;
const EXAMPLE = "write it as category=Fruit and price<30, with quotes around a value that holds a keyword or a sign";
const OPERATORS = ["=", "!=", "<", "<=", ">", ">=", "~"];

/**
 * @typedef {{kind: "condition", column: string, operator: string, values: string[]}} Condition
 * @typedef {Condition | {kind: "not", part: any} | {kind: "and" | "or", parts: any[]}} Filter parts are filters
 * @typedef {{filter: Filter | null, order: string | null, descending: boolean}} Where
 */

/** @param {string} column @param {string} operator @param {string[]} values @returns {Condition} */
export const condition = (column, operator, values) => ({ kind: "condition", column, operator, values });

/** Parse an expression; throws a QueryError. @param {string} text @returns {Where} */
export function parse(text) {
  if (Array.from(text).length > MAX_CHARACTERS) throw queryError(`where: ${text.length} characters; give at most ${MAX_CHARACTERS}.`);
  const parser = new Parser(text);
  const filter = parser.isNext("order") ? null : parser.parseOr(0);
  let order = null;
  let descending = false;
  if (parser.take("order")) {
    parser.expect("by", "`by` and a column after `order`");
    order = parser.takePhrase("a column after `order by`");
    descending = parser.take("desc");
  }
  parser.expectEnd();
  return { filter, order, descending };
}

/** Return the expression that `parse` reads back. @param {Where} where */
export function writeWhere({ filter, order, descending }) {
  const ordered = order === null ? "" : `order by ${quote(order)}${descending ? " desc" : ""}`;
  return [filter ? write(filter) : "", ordered].filter(Boolean).join(" ");
}

/** Return a filter as an expression. @param {Filter} filter @returns {string} */
export function write(filter) {
  if (filter.kind === "not") return `not ${parenthesize(filter.part)}`;
  if (filter.kind !== "condition") return filter.parts.map(parenthesize).join(` ${filter.kind} `);
  const values = filter.values.map(quote);
  if (filter.operator === "in") return `${quote(filter.column)} in (${values.join(", ")})`;
  return `${quote(filter.column)}${filter.operator}${values[0]}`;
}

/** @param {Filter} part */
const parenthesize = (part) => (part.kind === "and" || part.kind === "or" ? `(${write(part)})` : write(part));

/** Return a column or value as it is written in an expression, in quotes if needed. @param {string} text */
export const quote = (text) => (text.split(" ").every(isBare) ? text : `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`);

/** @param {string} word */
function isBare(word) {
  const found = new RegExp(`^${TOKEN}$`, "u").exec(word);
  return found?.groups?.word === word && !KEYWORDS.includes(word.toLowerCase());
}

/** A recursive-descent parser that reads the tokens of an expression once, from left to right. */
class Parser {
  #position = 0;
  #conditions = 0;

  /** @param {string} text */
  constructor(text) {
    this.text = text;
    this.tokens = tokenize(text);
  }

  /** Read a filter inside `depth` parentheses and negations. @param {number} depth @returns {Filter} */
  parseOr(depth) {
    return this.#parseList("or", () => this.#parseList("and", () => this.#parseNot(depth)));
  }

  /** @param {"and" | "or"} kind @param {() => Filter} parsePart @returns {Filter} */
  #parseList(kind, parsePart) {
    const parts = [parsePart()];
    while (this.take(kind)) parts.push(parsePart());
    return parts.length === 1 ? parts[0] : { kind, parts };
  }

  /** @param {number} depth @returns {Filter} */
  #parseNot(depth) {
    if (depth > MAX_DEPTH) throw queryError(`where: parentheses and \`not\` more than ${MAX_DEPTH} deep; simplify the filter.`);
    if (this.take("not")) return { kind: "not", part: this.#parseNot(depth + 1) };
    if (!this.take("(")) return this.#parseCondition();
    const inside = this.parseOr(depth + 1);
    this.expect(")", "`)`");
    return inside;
  }

  /** @returns {Filter} */
  #parseCondition() {
    this.#conditions += 1;
    if (this.#conditions > MAX_CONDITIONS) throw queryError(`where: more than ${MAX_CONDITIONS} conditions; use \`in (a, b)\` for many values.`);
    const column = this.takePhrase("a column");
    const negated = this.take("not");
    if (negated || this.isNext("in")) {
      this.expect("in", "`in`");
      const found = condition(column, "in", this.#parseValues());
      return negated ? { kind: "not", part: found } : found;
    }
    const operator = OPERATORS.find((sign) => this.take(sign));
    if (!operator) throw this.#unexpected(`one of ${OPERATORS.join(" ")} or \`in\` after "${column}"`);
    return condition(column, operator, [this.takePhrase(`a value after \`${column}${operator}\``)]);
  }

  #parseValues() {
    this.expect("(", "`(` after `in`");
    const values = [this.takePhrase("a value")];
    while (this.take(",")) values.push(this.takePhrase("a value"));
    this.expect(")", "`,` or `)`");
    return values;
  }

  /** Read one quoted text, or bare words up to the next keyword or sign. @param {string} what was expected */
  takePhrase(what) {
    if (this.#next().kind === "quoted") {
      const { text } = this.#next();
      this.#position += 1;
      return text.slice(1, -1).replace(/\\(.)/gu, "$1");
    }
    const words = [];
    for (let next = this.#next(); next.kind === "word" && !KEYWORDS.includes(next.text.toLowerCase()); next = this.#next()) {
      words.push(next.text);
      this.#position += 1;
    }
    if (!words.length) throw this.#unexpected(what);
    return words.join(" ");
  }

  /** Return whether a keyword or sign comes next. @param {string} word */
  isNext(word) {
    const { kind, text } = this.#next();
    return (kind === "word" || kind === "sign") && text.toLowerCase() === word;
  }

  /** Read a keyword or sign if it comes next; return whether it did. @param {string} word */
  take(word) {
    const taken = this.isNext(word);
    this.#position += Number(taken);
    return taken;
  }

  /** @param {string} word @param {string} what names it in the message */
  expect(word, what) {
    if (!this.take(word)) throw this.#unexpected(what);
  }

  expectEnd() {
    if (this.#next().kind) throw this.#unexpected("`and`, `or`, or the end");
  }

  /** @param {string} what was expected */
  #unexpected(what) {
    return queryError(`where "${this.text}": found "${this.#next().text || "the end"}", expected ${what}; ${EXAMPLE}.`);
  }

  #next() {
    return this.tokens[this.#position] ?? { kind: "", text: "" };
  }
}

/** Split an expression into tokens. @param {string} text @returns {{kind: string, text: string}[]} */
function tokenize(text) {
  const pattern = new RegExp(TOKEN, "uy");
  const end = text.trimEnd().length;
  const found = [];
  while (pattern.lastIndex < end) {
    const { lastIndex } = pattern;
    const groups = pattern.exec(text)?.groups;
    if (!groups) throw queryError(`where "${text}": "${text.slice(lastIndex).trim().slice(0, 20)}" cannot be read; ${EXAMPLE}.`);
    const [[kind, word]] = Object.entries(groups).filter(([, value]) => value !== undefined);
    found.push({ kind, text: /** @type {Record<string, string>} */ (SIGNS)[word] ?? word });
  }
  return found;
}
