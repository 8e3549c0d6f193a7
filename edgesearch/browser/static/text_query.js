// Turn words and filters, with or without a photo, into allowed products and their ranking; see `text_query.py`.

import { explainEmpty } from "./empty_result.js";
import { queryError } from "./errors.js";
import { parse as parseFilter, writeWhere } from "./filters.js";
import { both } from "./product_table.js";
import { parse as parseSentence } from "./sentence.js";

const MAX_WORD_MATCHES = 20;

/**
 * @typedef {{where: string, words: string, notes: string[], ignored: string[], corrected: Record<string, string[]>}} Understood
 */

/** A query in words, interpreted; see `Query` in `text_query.py`. */
export class Query {
  /** @param {Understood} understood @param {Uint8Array} allowed @param {import("./filters.js").Where} where @param {import("./full_text.js").Ranking | null} ranking @param {any[]} emptiedBy */
  constructor(understood, allowed, where, ranking, emptiedBy) {
    this.understood = understood;
    this.allowed = allowed;
    this.where = where;
    this.ranking = ranking;
    this.emptiedBy = emptiedBy;
  }

  /**
   * Answer a query without a photo: the numbers of all products found, best first, and the decision.
   * @param {import("./product_table.js").ProductTable} table
   */
  answer(table) {
    const { ranking, where } = this;
    let found = ranking ? ranking.order(this.allowed) : [...this.allowed.keys()].filter((number) => this.allowed[number]);
    const complete = ranking ? found.filter((number) => ranking.complete[number]) : found;
    if (where.order !== null) found = table.orderBy(complete.length ? complete : found, where.order, where.descending);
    const decision = !complete.length ? "unknown" : complete.length === 1 ? "match" : "ambiguous";
    return { found, decision };
  }

  /** Return the numbers of the best allowed products by words. */
  nearestByWords() {
    return this.ranking ? this.ranking.order(this.allowed).slice(0, MAX_WORD_MATCHES) : [];
  }

  /** Return the share of the words that a product has; 1 if the query is only a filter. @param {number} number */
  score(number) {
    return this.ranking ? this.ranking.scores[number] : 1;
  }
}

/**
 * Interpret a query.
 * @param {import("./product_table.js").ProductTable} table
 * @param {import("./full_text.js").WordSearch | null} words needed if there is a text
 * @param {string} text a sentence; plain words if there is a filter
 * @param {string} where
 * @param {boolean} photo whether a photo comes with it
 */
export function interpret(table, words, text, where, photo) {
  /** @type {{where: string, words: string, notes: string[], ignored: string[]}} */
  let read = { where, words: text, notes: [], ignored: [] };
  if (!where && text && words) read = parseSentence(text, table, words, photo);
  const wanted = read.where ? parseFilter(read.where) : { filter: null, order: null, descending: false };
  const notes = [...read.notes];
  if (wanted.order !== null) {
    table.column(wanted.order);
    if (photo) notes.push("the order is ignored: with a photo, the most similar products come first");
  }
  const allowed = wanted.filter ? table.matching(wanted.filter) : table.visible;
  const ranking = read.words && words ? words.rank(read.words) : null;
  const corrected = ranking?.corrected ?? {};
  const unknown = ranking?.unknown ?? [];
  notes.push(...Object.entries(corrected).map(([word, others]) => `'${word}' is read as ${others.join(" or ")}`));
  notes.push(...unknown.map((word) => `no product here has the word '${word}', or a similar one`));
  if (!ranking && !read.where && !photo) {
    throw queryError(`text: no word to search for${notes.length ? ` (${notes.join("; ")})` : ""}; give words of a product, or a filter.`);
  }
  const required = ranking && !photo ? { matching: Uint8Array.from(ranking.scores, (score) => Number(score > 0)), part: read.words } : null;
  const isEmpty = !(required ? both(allowed, required.matching) : allowed).some(Boolean);
  const understood = { where: writeWhere(wanted), words: read.words, notes, ignored: [...read.ignored, ...unknown], corrected };
  return new Query(understood, allowed, wanted, ranking, isEmpty ? explainEmpty(table, wanted.filter, required) : []);
}
