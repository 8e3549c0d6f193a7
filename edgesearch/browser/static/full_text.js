// Find and rank the products whose texts have some words; see `full_text.py`.

import { queryError, bundleError } from "./errors.js";
import { FIELDS } from "./grammar.js";
import { roundEven } from "./pictures.js";
import { Vocabulary, variants } from "./spelling.js";
import { openDatabase } from "./sqlite_file.js";
import { indexTerms, isUnspaced, queryTerms, splitWords } from "./terms.js";

const FILE = "words.sqlite";
const FORMAT = 1;
const MAX_WORDS = 32;
const LONGEST_NAME = 255; // terms that are counted
const WEIGHTS = Object.entries(FIELDS).sort(([, a], [, b]) => a - b);

/** @typedef {import("./product_details.js").Product} Product */

const damaged = (/** @type {unknown} */ what) => bundleError(`${FILE} is not a readable word index (${what}); build the bundle again.`);

/** Return the texts of a product by the field they are indexed in. @param {Product} product @returns {Record<string, string>} */
function searchableTexts({ name, brand, category, description, location, sku, barcode, attributes }) {
  const join = (/** @type {(string | null)[]} */ ...texts) => texts.filter(Boolean).join(" ");
  return { name, kind: join(brand, category), other: join(description, location, sku, barcode, ...Object.values(attributes)) };
}

/** The word index of a catalogue. */
export class WordIndex {
  /** @param {any} database */
  constructor(database) {
    this.database = database;
    try {
      database.exec("CREATE VIRTUAL TABLE temp.vocabulary USING fts5vocab(main, word, row)");
      const format = database.selectValue("PRAGMA user_version");
      if (format !== FORMAT) throw damaged(`format ${format}, expected ${FORMAT}`);
      this.lengths = /** @type {Uint8Array} */ (database.selectValue("SELECT value FROM told WHERE name = 'lengths'"));
    } catch (error) {
      throw damaged(error instanceof Error ? error.message : error);
    }
    if (!(this.lengths instanceof Uint8Array)) throw damaged("its lengths are missing");
    /** @type {Vocabulary | null} */
    this.words = null;
  }

  /**
   * Open the index of a bundle.
   * @param {any} sqlite3
   * @param {import("./bundle.js").Bundle} bundle
   * @param {import("./catalogue.js").Catalogue} catalogue of the bundle
   */
  static async open(sqlite3, bundle, catalogue) {
    if (!bundle.has(FILE)) return WordIndex.build(sqlite3, catalogue);
    const index = new WordIndex(openDatabase(sqlite3, await bundle.member(FILE)));
    if (index.lengths.length !== catalogue.count) throw damaged(`it covers ${index.lengths.length} products, the catalogue has ${catalogue.count}`);
    return index;
  }

  /** Index the products of a catalogue whose bundle has no index. @param {any} sqlite3 @param {import("./catalogue.js").Catalogue} catalogue */
  static build(sqlite3, catalogue) {
    const database = openDatabase(sqlite3, null);
    database.exec(`PRAGMA user_version = ${FORMAT}; CREATE TABLE told (name TEXT, value BLOB);
      CREATE VIRTUAL TABLE word USING fts5(${Object.keys(FIELDS).join(", ")}, content='', detail=column, tokenize=ascii)`);
    const lengths = new Uint8Array(catalogue.count);
    catalogue.products([...lengths.keys()]).forEach((product, number) => {
      const terms = Object.entries(searchableTexts(product)).map(([field, text]) => ({ field, found: indexTerms(text) }));
      lengths[number] = Math.min(LONGEST_NAME, indexTerms(product.name).length);
      database.exec({ sql: `INSERT INTO word(rowid, ${terms.map(({ field }) => field).join(", ")}) VALUES (?, ?, ?, ?)`, bind: [number, ...terms.map(({ found }) => found.join(" "))] });
    });
    database.exec({ sql: "INSERT INTO told VALUES ('lengths', ?)", bind: [lengths] });
    return new WordIndex(database);
  }

  /** Return the numbers of the products that have a term, or a longer one, in a field. @param {string} field @param {string} term @param {boolean} prefix @returns {number[]} */
  productsWith(field, term, prefix = false) {
    const text = this.database.selectValue("SELECT group_concat(rowid) FROM word WHERE word MATCH ?", [`{${field}} : "${term}"${prefix ? " *" : ""}`]);
    const numbers = text === null ? [] : String(text).split(",").map(Number);
    if (numbers.some((number) => !(number >= 0 && number < this.lengths.length))) throw damaged("it names products that do not exist");
    return numbers;
  }

  /** Return the number of products that have a term. @param {string} term @returns {number} */
  documentCount(term) {
    return this.database.selectValue("SELECT doc FROM temp.vocabulary WHERE term = ?", [term]) ?? 0;
  }

  get vocabulary() {
    this.words ??= new Vocabulary(this.database.selectArrays("SELECT term, doc FROM temp.vocabulary"));
    return this.words;
  }
}

/** The result of a word search; see `Ranking` in `full_text.py`. */
export class Ranking {
  /** @param {Float32Array} scores @param {Uint8Array} complete @param {Uint8Array} lengths @param {Record<string, string[]>} corrected @param {string[]} unknown */
  constructor(scores, complete, lengths, corrected, unknown) {
    this.scores = scores;
    this.complete = complete;
    this.lengths = lengths;
    this.corrected = corrected;
    this.unknown = unknown;
    this.rounded = Array.from(scores, (score) => roundEven(Math.fround(score * 10_000)));
  }

  /** Rank the allowed products that have at least one word. @param {Uint8Array} allowed @returns {number[]} */
  order(allowed) {
    const { scores, complete, rounded, lengths } = this;
    const found = [...scores.keys()].filter((number) => allowed[number] && scores[number] > 0);
    return found.sort((a, b) => complete[b] - complete[a] || rounded[b] - rounded[a] || lengths[a] - lengths[b] || a - b);
  }
}

/** The words of all visible products: those of the catalogue, and those that the device added or changed. */
export class WordSearch {
  /** @param {WordIndex} index @param {Map<number, Product>} changed by number @param {number} size number of products */
  constructor(index, changed, size) {
    this.index = index;
    this.size = size;
    /** @type {Map<number, Record<string, Set<string>>>} */
    this.changed = new Map([...changed].map(([number, product]) => [number, termsOf(product)]));
    this.lengths = new Uint8Array(size);
    this.lengths.set(index.lengths);
    for (const [number, { name }] of changed) this.lengths[number] = Math.min(LONGEST_NAME, indexTerms(name).length);
    const added = [...this.changed.values()].flatMap((terms) => Object.values(terms)).flatMap((found) => [...found]);
    this.added = new Set(added);
  }

  /** Search for a text. @param {string} text */
  rank(text) {
    const words = [...new Set(splitWords(text))];
    if (words.length < 1 || words.length > MAX_WORDS) throw queryError(`text ${JSON.stringify(text.slice(0, 60))}: ${words.length} words; give 1 to ${MAX_WORDS}.`);
    const total = new Float64Array(this.size);
    const complete = new Uint8Array(this.size).fill(1);
    /** @type {Record<string, string[]>} */
    const corrected = {};
    const unknown = [];
    let rarities = 0;
    for (const word of words) {
      const read = this.#interpret(word);
      if (!read.length) unknown.push(word);
      else if (read.length > 1 || read[0] !== word) corrected[word] = read;
      for (const alternatives of isUnspaced(word) ? queryTerms(word).map((term) => [term]) : [read]) {
        const weights = this.#weigh(alternatives);
        const rarity = Math.log1p(this.size / Math.max(1, weights.filter((weight) => weight > 0).length));
        weights.forEach((weight, number) => {
          total[number] += Math.fround(Math.fround(rarity) * weight);
          complete[number] &= Number(weight > 0);
        });
        rarities += rarity;
      }
    }
    return new Ranking(Float32Array.from(total, (sum) => sum / rarities), complete, this.lengths, corrected, unknown);
  }

  /** Return which products have all the words of a text, uncorrected, in a field. @param {string} text @param {string} field */
  productsWith(text, field) {
    const found = new Uint8Array(this.size).fill(1);
    for (const term of splitWords(text).flatMap(queryTerms)) {
      const own = this.#inField(term, field);
      own.forEach((has, number) => { found[number] &= has; });
    }
    return found;
  }

  /** Return a known word and its known variants, else its completions or corrections. @param {string} word @returns {string[]} */
  #interpret(word) {
    if (isUnspaced(word)) return queryTerms(word).some((term) => this.#isKnown(term)) ? [word] : [];
    const vocabulary = this.added.size ? this.index.vocabulary.with(this.added) : this.index.vocabulary;
    const read = this.#isKnown(word) ? [word] : vocabulary.suggest(word);
    return [...new Set([...read, ...read.flatMap(variants).filter((other) => this.#isKnown(other))])];
  }

  /** @param {string} term */
  #isKnown(term) {
    if (isUnspaced(term) && Array.from(term).length === 1) return this.#weigh([term]).some(Boolean);
    return this.added.has(term) || this.index.documentCount(term) > 0;
  }

  /** Return the weight of the best field in which each product has one of these terms. @param {string[]} alternatives */
  #weigh(alternatives) {
    const weights = new Float32Array(this.size);
    for (const [field, weight] of WEIGHTS) {
      for (const term of alternatives) this.#inField(term, field).forEach((has, number) => { if (has) weights[number] = weight; });
    }
    return weights;
  }

  /** @param {string} term @param {string} field */
  #inField(term, field) {
    const prefix = isUnspaced(term) && Array.from(term).length === 1;
    const found = new Uint8Array(this.size);
    for (const number of this.index.productsWith(field, term, prefix)) if (!this.changed.has(number)) found[number] = 1;
    for (const [number, terms] of this.changed) {
      found[number] = Number(prefix ? [...terms[field]].some((one) => one.startsWith(term)) : terms[field].has(term));
    }
    return found;
  }
}

/** @param {Product} product */
const termsOf = (product) => Object.fromEntries(Object.entries(searchableTexts(product)).map(([field, text]) => [field, new Set(indexTerms(text))]));
