// Turn a sentence into a filter and words: "red mug under 50", "不超过30元的牛奶"; see `sentence.py`, which explains the rules.

import { findBounds, findDoubtful } from "./amounts.js";
import { COLUMN as COLOUR } from "./colour_words.js";
import { queryError } from "./errors.js";
import { condition, quote, write } from "./filters.js";
import { FILLERS, SENTENCE, TERM_OF_WORD } from "./grammar.js";
import { both, formatNumber } from "./product_table.js";
import { fold, isUnspaced, splitWords } from "./terms.js";

const MAX_CHARACTERS = 1000;
const NEGATED = new RegExp(SENTENCE.WITHOUT, "gu");

/**
 * @typedef {import("./filters.js").Filter} Filter
 * @typedef {{start: number, stop: number, column: string, value: string, negated: boolean}} NamedValue at text[start:stop]
 * @typedef {{where: string, words: string, notes: string[], ignored: string[]}} Sentence
 */

/**
 * Interpret a sentence by the contents of a catalogue.
 * @param {string} text
 * @param {import("./product_table.js").ProductTable} table
 * @param {import("./full_text.js").WordSearch} words
 * @param {boolean} photo whether a photo comes with the sentence, which "like this" can mean
 * @returns {Sentence}
 */
export function parse(text, table, words, photo) {
  if (Array.from(text).length > MAX_CHARACTERS) throw queryError(`text: ${text.length} characters; give at most ${MAX_CHARACTERS}.`);
  const parser = new SentenceParser(fold(text), table, words, photo);
  if (parser.take(SENTENCE.LIKE_THIS) && !photo) {
    throw queryError(`text "${text}": means a photo, but there is none; give a photo, or leave that part out.`);
  }
  const order = parser.takeOrder();
  parser.takeBounds();
  parser.takeStock();
  parser.takeValues();
  parser.takeUnknownNegations();
  const where = [parser.conditions.join(" and "), order].filter(Boolean).join(" ");
  return { where, words: parser.remainingWords(), notes: parser.notes, ignored: parser.ignored };
}

/** Interprets a sentence part by part, and takes each part out of `rest`. */
class SentenceParser {
  /** @param {string} text @param {import("./product_table.js").ProductTable} table @param {import("./full_text.js").WordSearch} words @param {boolean} photo */
  constructor(text, table, words, photo) {
    this.rest = text;
    this.table = table;
    this.words = words;
    this.photo = photo;
    /** @type {string[]} */
    this.conditions = [];
    /** @type {string[]} */
    this.notes = [];
    /** @type {string[]} */
    this.ignored = [];
  }

  /** Take out every match of a pattern; return whether there was one. @param {string} pattern */
  take(pattern) {
    const before = this.rest;
    this.rest = before.replace(new RegExp(pattern, "gu"), " ");
    return before !== this.rest;
  }

  /** Take out words that order by price; return the `order by` expression, or "". */
  takeOrder() {
    for (const [pattern, order] of [[SENTENCE.CHEAPEST, "order by price"], [SENTENCE.DEAREST, "order by price desc"]]) {
      if (this.take(pattern) && this.#hasColumn("price", order)) return order;
    }
    if (this.take(SENTENCE.CHEAPER)) {
      this.notes.push("'cheaper' is ignored, since it does not say than what; use price<N");
      this.ignored.push("cheaper");
    }
    return "";
  }

  /** Take out "in stock" and "sold out". */
  takeStock() {
    for (const [pattern, stock] of [[SENTENCE.NO_STOCK, "stock<=0"], [SENTENCE.STOCK, "stock>0"]]) {
      if (this.take(pattern) && this.#hasColumn("stock", stock)) this.conditions.push(stock);
    }
  }

  /** Take out the bounds of price and stock. */
  takeBounds() {
    for (const bound of findBounds(this.rest).reverse()) {
      const text = this.rest.slice(bound.start, bound.stop);
      this.rest = this.#without(bound.start, bound.stop);
      if (this.#hasColumn(bound.column, text)) {
        this.conditions.push(...bound.conditions.map(([operator, n]) => `${bound.column}${operator}${formatNumber(n)}`));
      }
      if (bound.column === "price" && this.table.find("price") !== null) this.#addCurrency(bound.currency, text);
    }
    this.notes.push(...findDoubtful(this.rest).map((text) => `'${text}' is not read as a price bound; use price<N`));
  }

  /** Take out the brands, categories and colours that are certainly meant. */
  takeValues() {
    /** @type {Map<string, string[]>} */
    const wanted = new Map();
    /** @type {Map<string, Filter>} */
    let colours = new Map();
    const text = this.rest;
    const all = [...this.#findValues()];
    for (const named of spreadNegation(withoutOverlaps(all), text).reverse()) {
      const doubt = this.#doubt(named, text, all);
      if (doubt) {
        this.notes.push(doubt);
        continue;
      }
      if (named.column === COLOUR && !named.negated) {
        const found = this.#colourCondition(named.value, text.slice(named.start, named.stop));
        colours = new Map([[write(found), found], ...colours]);
        if (found.kind === "or" && !this.photo) continue; // a product with the colour in its name is the better answer
      }
      this.rest = this.#without(named.start, named.stop);
      if (named.negated) this.conditions.push(write(condition(named.column, "!=", [named.value])));
      else if (named.column !== COLOUR) wanted.set(named.column, [named.value, ...(wanted.get(named.column) ?? [])]);
    }
    for (const [column, values] of wanted) {
      const distinct = [...new Set(values)];
      this.conditions.push(write(condition(column, distinct.length > 1 ? "in" : "=", distinct)));
    }
    this.#addColours([...colours.values()], new RegExp(SENTENCE.OR, "u").test(text));
  }

  /** Take out unwanted words that are not understood, since a word search would find exactly these. */
  takeUnknownNegations() {
    for (const match of [...this.rest.matchAll(new RegExp(SENTENCE.UNKNOWN_NEGATION, "gu"))].reverse()) {
      const word = match.groups?.word;
      if (word && this.words.productsWith(match[0], "name").some(Boolean)) continue; // such as "no sugar", if names here have it
      this.rest = this.#without(match.index, match.index + match[0].length);
      this.notes.push(`'${match[0].trim()}' is not understood, so it is ignored; to filter, use not name~${word ? quote(word) : "WORD"}`);
      this.ignored.push(match[0].trim());
    }
  }

  /** Return the words that are left, without fillers. */
  remainingWords() {
    const fillers = new RegExp(SENTENCE.HAN_FILLERS, "gu");
    const words = splitWords(this.rest).map((word) => (isUnspaced(word) ? word.replace(fillers, "") : word));
    return words.filter((word) => word && !FILLERS.includes(word)).join(" ");
  }

  /** Return whether the catalogue has a column; if not, note that a part of the sentence is ignored. @param {string} column @param {string} text */
  #hasColumn(column, text) {
    if (this.table.find(column) !== null) return true;
    this.notes.push(`'${text.trim()}' is ignored: the catalogue has no column ${column}`);
    this.ignored.push(text.trim());
    return false;
  }

  /** @param {string | null} code @param {string} text */
  #addCurrency(code, text) {
    if (this.table.find("currency") === null) return;
    const currencies = this.table.column("currency").values.filter((value) => value !== null).map(String);
    if (code && currencies.includes(code) && currencies.length > 1) this.conditions.push(`currency=${code}`);
    else if ((code && !currencies.includes(code)) || currencies.length > 1) {
      this.notes.push(`'${text.trim()}' is compared, without conversion, with prices in ${currencies.join(", ")}`);
    }
  }

  /** @param {Filter[]} colours @param {boolean} isEither */
  #addColours(colours, isEither) {
    /** @type {Filter[]} */
    const conditions = isEither && colours.length > 1 ? [{ kind: "or", parts: colours }] : colours;
    this.conditions.push(...conditions.map((one) => (one.kind === "or" ? `(${write(one)})` : write(one))));
  }

  /** @returns {Generator<NamedValue>} */
  * #findValues() {
    for (const column of ["brand", "category"]) {
      for (const [value, words] of this.table.valueWords(column)) yield* this.#findValue(column, value, words);
    }
    if (this.table.find(COLOUR) === null) return;
    for (const [word, term] of Object.entries(TERM_OF_WORD)) yield* this.#findValue(COLOUR, term, [word]);
    for (const [value, words] of this.table.valueWords(COLOUR)) if (words.length) yield* this.#findValue(COLOUR, value, words);
  }

  /** Find the words of a value in the sentence. @param {string} column @param {string} value @param {string[]} words @returns {Generator<NamedValue>} */
  * #findValue(column, value, words) {
    if (!words.length || !words.every((word) => this.rest.includes(word.replace(/s+$/, "")))) return;
    const between = "[^\\p{L}\\p{N}]*";
    const last = words[words.length - 1];
    const lastPattern = /^[a-z]{3,}$/i.test(last) ? `${escape(last.replace(/s$/, ""))}(?:e?s)?` : escape(last);
    const whole = [...words.slice(0, -1).map(escape), lastPattern].join(between);
    const pattern = isUnspaced(words[0]) ? whole : `(?<!${SENTENCE.LETTER})(?:${whole})(?!${SENTENCE.LETTER})`;
    for (const match of this.rest.matchAll(new RegExp(`(?<not>${SENTENCE.WITHOUT})?(?:${pattern})`, "gu"))) {
      yield { start: match.index, stop: match.index + match[0].length, column, value, negated: match.groups?.not !== undefined };
    }
  }

  /** Return a note on why a value may not be meant; "" if it certainly is. @param {NamedValue} named @param {string} text @param {NamedValue[]} all */
  #doubt(named, text, all) {
    const words = text.slice(named.start, named.stop).replace(NEGATED, "");
    const columns = new Set(all.filter(({ start, stop }) => start === named.start && stop === named.stop).map(({ column }) => column));
    const filter = `to filter, use ${named.column}${named.negated ? "!=" : "="}${quote(named.value)}`;
    const use = named.negated ? filter : `it stays a word; ${filter}`;
    if (columns.size > 1) return `'${words}' is a ${[...columns].sort().join(" and a ")} here; ${use}`;
    const before = new RegExp(SENTENCE.AFTER_NOT, "u").exec(text.slice(0, named.start));
    if (before && !all.some(({ negated, start }) => negated && start === before.index)) {
      return `'${words}' comes after '${before[0].trim()}', which is not understood; ${use}`;
    }
    if (isUnspaced(words) && Array.from(words).length === 1) return this.#doubtSign(words, text, named.stop, use);
    const own = condition(named.column, "=", [named.value]);
    const count = named.column !== COLOUR && !named.negated ? this.#countOthers(words, own) : 0;
    return count ? `'${words}' is also in the names of ${count} products that are not ${write(own)}; ${use}` : "";
  }

  /** Return a note if names have a single sign together with its neighbour: the 红 of 红茶 is no colour. @param {string} sign @param {string} text @param {number} stop @param {string} use */
  #doubtSign(sign, text, stop, use) {
    const [before] = Array.from(text.slice(0, stop - sign.length)).slice(-1);
    const [after] = Array.from(text.slice(stop));
    const pairs = [[before, sign], [sign, after]].filter((pair) => pair.every((one) => one && isUnspaced(one))).map((pair) => pair.join(""));
    const known = pairs.find((pair) => this.words.productsWith(pair, "name").some(Boolean));
    return known ? `'${sign}' is part of '${known}' in names here; ${use}` : "";
  }

  /** Return a condition on a colour; it also passes names with the colour's words if some lack the colour. @param {string} colour @param {string} words @returns {Filter} */
  #colourCondition(colour, words) {
    const own = condition(COLOUR, "=", [colour]);
    return this.#countOthers(words, own) ? { kind: "or", parts: [own, condition("name", "~", [words])] } : own;
  }

  /** Return how many products have words in their name but do not pass a condition. @param {string} words @param {Filter} filter */
  #countOthers(words, filter) {
    const passed = this.table.matching(filter);
    return both(this.words.productsWith(words, "name"), this.table.visible).reduce((sum, has, number) => sum + (has & (1 - passed[number])), 0);
  }

  /** @param {number} start @param {number} stop */
  #without(start, stop) {
    return `${this.rest.slice(0, start)} ${this.rest.slice(stop)}`;
  }
}

/** @param {string} text */
const escape = (text) => text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");

/** Return values that do not overlap, in the order of the sentence; prefer longer ones. @param {NamedValue[]} named */
function withoutOverlaps(named) {
  /** @type {NamedValue[]} */
  const found = [];
  const longest = [...named].sort((a, b) => a.start - a.stop - (b.start - b.stop) || (a.column < b.column ? -1 : Number(a.column > b.column)));
  for (const value of longest) if (found.every((other) => value.stop <= other.start || other.stop <= value.start)) found.push(value);
  return found.sort((a, b) => a.start - b.start);
}

/** Return the values with negations extended over lists: "not Adidas or Nord" wants neither. @param {NamedValue[]} named @param {string} text */
function spreadNegation(named, text) {
  /** @type {NamedValue[]} */
  const found = [];
  for (const value of named) {
    const last = found[found.length - 1];
    const isListed = last?.negated && last.column === value.column && new RegExp(`^(?:${SENTENCE.NEITHER})$`, "u").test(text.slice(last.stop, value.start));
    found.push(isListed ? { ...value, negated: true } : value);
  }
  return found;
}
