// Hold the columns of all products, and evaluate filters on them; see `product_table.py`.

import { closeMatches } from "./close_matches.js";
import { colourTerms, isColourColumn, splitColours, termOf } from "./colour_words.js";
import { queryError } from "./errors.js";
import { quote, write } from "./filters.js";
import { COLUMN_SYNONYMS } from "./grammar.js";
import { fold, splitWords } from "./terms.js";

const NUMBERS = ["price", "stock"];
const TEXTS = ["sku", "name", "currency", "category", "brand", "description", "location", "barcode"];
const SUGGESTIONS = 3;
const COLUMNS_LISTED = 30;
const ALIKE = 0.5;

/** @type {Record<string, (one: number, other: number) => boolean>} */
const COMPARISONS = {
  "=": (one, other) => one === other, "!=": (one, other) => one !== other, "<": (one, other) => one < other,
  "<=": (one, other) => one <= other, ">": (one, other) => one > other, ">=": (one, other) => one >= other,
  in: (one, other) => one === other,
};

/**
 * @typedef {import("./filters.js").Condition} Condition
 * @typedef {import("./filters.js").Filter} Filter
 * @typedef {string | number | null} Value
 */

/** A column of distinct values, of which the first is null; `codes` holds the position of each product's. */
export class Column {
  /** @param {string} name @param {Int32Array} codes @param {Value[]} values */
  constructor(name, codes, values) {
    this.name = name;
    this.codes = codes;
    this.values = values;
    this.holdsColours = isColourColumn(name);
    /** NaN for no value; null if a value is no number. @type {number[] | null} */
    this.numbers = this.#readNumbers();
    this.folded = values.map((value) => (value === null ? "" : fold(String(value))));
  }

  #readNumbers() {
    const { name, values } = this;
    if (NUMBERS.includes(name)) return values.map((value) => (value === null ? NaN : Number(value)));
    if (TEXTS.includes(name) || values.length === 1 || this.holdsColours) return null;
    const numbers = values.map((value) => (value === null ? NaN : parseNumber(String(value))));
    return numbers.slice(1).every(Number.isFinite) ? numbers : null;
  }

  /** Return which products meet a condition on this column. @param {Condition} condition @returns {Uint8Array} */
  matching(condition) {
    const { operator } = condition;
    if (["=", "!=", "in", "~"].includes(operator) && (!this.numbers || operator === "~")) return this.#spread(this.#matchText(condition));
    if (this.numbers) return this.#spread(this.#matchNumbers(condition, this.numbers));
    const example = quote(String(this.values.find((value) => value !== null) ?? ""));
    throw queryError(`where ${write(condition)}: ${this.name} holds text, such as ${example}, and ${operator} compares numbers; expected one of = != ~ in.`);
  }

  /** @param {boolean[]} matches of each value */
  #spread(matches) {
    return Uint8Array.from(this.codes, (code) => Number(matches[code]));
  }

  /** @param {Condition} condition @returns {boolean[]} */
  #matchText({ operator, values }) {
    if (operator === "~") return this.folded.map((text, code) => this.values[code] !== null && text.includes(fold(values[0])));
    const folded = values.map((value) => fold(value).trim());
    const accepted = new Set(this.holdsColours ? folded.map(termOf) : folded);
    const matches = this.folded.map((text) => (this.holdsColours ? [text, ...colourTerms(text)] : [text]).some((one) => accepted.has(one)));
    return operator === "!=" ? matches.map((match) => !match) : matches;
  }

  /** @param {Condition} condition @param {number[]} numbers @returns {boolean[]} */
  #matchNumbers(condition, numbers) {
    const wanted = condition.values.map((value) => {
      const number = parseNumber(value);
      if (!Number.isFinite(number)) throw queryError(`where ${write(condition)}: ${condition.column} is "${value}"; expected a number such as 2.50.`);
      return number;
    });
    return numbers.map((number) => wanted.some((other) => COMPARISONS[condition.operator](number, other)));
  }
}

/** The columns of all products, by number: those of the catalogue, then those that the device added. */
export class ProductTable {
  /** @param {import("./catalogue.js").Catalogue | import("./taught_catalogue.js").TaughtCatalogue} catalogue */
  constructor(catalogue) {
    this.catalogue = catalogue;
    this.size = catalogue.count;
    this.visible = Uint8Array.from({ length: this.size }, (_, number) => Number(!catalogue.hidden.has(number)));
    this.names = catalogue.columns();
    /** @type {Map<string, Column>} */
    this.columns = new Map();
  }

  /** How many products searches may return. */
  get count() {
    return this.visible.reduce((sum, one) => sum + one, 0);
  }

  /** Return a column by any of its names; throws a QueryError that lists the columns. @param {string} name @returns {Column} */
  column(name) {
    const found = this.find(name);
    if (found === null) {
      const [close] = closeMatches(fold(name), this.names.map(fold), 1);
      const closest = this.names.find((own) => fold(own) === close);
      const listed = this.names.slice(0, COLUMNS_LISTED).join(", ");
      throw queryError(`where: no product has a column ${name}; expected one of ${listed}${closest ? ` (${closest} is the closest)` : ""}.`);
    }
    const column = this.columns.get(found) ?? this.#read(found);
    this.columns.set(found, column);
    return column;
  }

  /** Return each value of a column with its words; none if there is no such column. @param {string} name @returns {[string, string[]][]} */
  valueWords(name) {
    if (this.find(name) === null) return [];
    const column = this.column(name);
    const values = column.values.filter((value) => value !== null).map(String);
    const distinct = [...new Set(column.holdsColours ? values.flatMap(splitColours) : values)];
    return distinct.map((value) => [value, splitWords(value)]);
  }

  /** Return a column's name in the table by any of its names; the first colour column represents all. @param {string} name @returns {string | null} */
  find(name) {
    if (isColourColumn(name)) return this.names.find(isColourColumn) ?? null;
    const wanted = fold(name).trim();
    const byFolded = new Map([...this.names].reverse().map((own) => [fold(own), own]));
    return byFolded.get(wanted) ?? byFolded.get(/** @type {Record<string, string>} */ (COLUMN_SYNONYMS)[wanted] ?? wanted) ?? null;
  }

  /** Return which visible products pass a filter. @param {Filter} filter @returns {Uint8Array} */
  matching(filter) {
    return both(this.#matching(filter), this.visible);
  }

  /** @param {Filter} filter @returns {Uint8Array} */
  #matching(filter) {
    if (filter.kind === "condition") return this.column(filter.column).matching(filter);
    if (filter.kind === "not") return this.#matching(filter.part).map((match) => 1 - match);
    const [first, ...others] = filter.parts.map((part) => this.#matching(part));
    return others.reduce((all, one) => all.map((match, i) => (filter.kind === "and" ? match & one[i] : match | one[i])), first);
  }

  /** Sort product numbers by a column; empty values last, equal values in the given order. @param {number[]} numbers @param {string} name @param {boolean} descending */
  orderBy(numbers, name, descending) {
    const column = this.column(name);
    const { values, folded } = column;
    const texts = [...new Set(folded.filter((_, code) => values[code] !== null))].sort();
    const ranks = new Map(texts.map((text, rank) => [text, rank]));
    const keys = column.numbers ?? values.map((value, code) => (value === null ? NaN : ranks.get(folded[code]) ?? NaN));
    const key = (/** @type {number} */ number) => {
      const found = keys[column.codes[number]];
      return Number.isNaN(found) ? Infinity : descending ? -found : found;
    };
    return [...numbers].sort((a, b) => (key(a) === key(b) ? 0 : key(a) - key(b)));
  }

  /** Return a hint at what would work in place of a condition. @param {Filter} part @param {Uint8Array} left the products that it filtered */
  suggest(part, left) {
    if (part.kind !== "condition") return "loosen that condition, or leave it out";
    const column = this.column(part.column);
    const count = left.reduce((sum, one) => sum + one, 0);
    const whose = count === this.count ? "the products'" : count === 1 ? "its" : "their";
    const used = new Set(Array.from(column.codes).filter((_, number) => left[number]));
    const codes = [...used].filter((code) => column.values[code] !== null).sort((a, b) => a - b);
    if (!codes.length) return `${whose} ${column.name} is empty, leave the condition out`;
    if (column.numbers) {
      const numbers = codes.map((code) => column.numbers?.[code] ?? NaN);
      const [low, high] = [formatNumber(Math.min(...numbers)), formatNumber(Math.max(...numbers))];
      return `${whose} ${column.name} is ${low}${low === high ? "" : ` to ${high}`}`;
    }
    const values = new Map(codes.map((code) => [column.folded[code], String(column.values[code])]));
    const close = closeMatches(fold(part.values[0]), [...values.keys()], SUGGESTIONS, ALIKE).map((text) => values.get(text) ?? text);
    const named = close.length ? close : [...values.values()].slice(0, SUGGESTIONS);
    return `${whose} ${column.name} is ${values.size > named.length ? "such as " : ""}${named.map(quote).join(", ")}`;
  }

  /** Read a column; merge all colour columns into one. @param {string} name */
  #read(name) {
    const merged = isColourColumn(name) ? this.names.filter(isColourColumn) : [name];
    /** @type {Value[]} */
    const values = [null];
    /** @type {Map<Value, number>} */
    const codeOf = new Map([[null, 0]]);
    const codes = new Int32Array(this.size);
    const encode = (/** @type {Value} */ value) => {
      const code = codeOf.get(value) ?? values.push(value) - 1;
      codeOf.set(value, code);
      return code;
    };
    for (const own of merged) this.catalogue.column(own).forEach((value, number) => { codes[number] ||= encode(value); });
    return new Column(name, codes, values);
  }
}

/** Return which elements both arrays have. @param {Uint8Array} one @param {Uint8Array} other */
export const both = (one, other) => one.map((has, i) => has & other[i]);

/** Format a number so that people write it and filters read it. @param {number} number */
export const formatNumber = (number) => String(Number(number.toPrecision(15)));

/** Read a number as Python does; NaN for another text. @param {string} text */
function parseNumber(text) {
  const plain = text.normalize("NFKC").trim().replace(/(?<=\d)_(?=\d)/g, "");
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(plain) ? Number(plain) : NaN;
}
