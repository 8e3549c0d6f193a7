// The columns and words of the products that are shown, read when somebody first searches by them.

import { facets } from "./facets.js";
import { WordIndex, WordSearch } from "./full_text.js";
import { ProductTable } from "./product_table.js";
import { interpret } from "./text_query.js";

/** @typedef {import("./catalogue.js").Catalogue | import("./taught_catalogue.js").TaughtCatalogue} AnyCatalogue */

export class ProductWords {
  /** @type {Promise<WordIndex> | null} */
  #index = null;
  /** @type {ProductTable | null} */
  #table = null;
  /** @type {WordSearch | null} */
  #words = null;

  /** @param {any} sqlite3 @param {import("./bundle.js").Bundle} bundle @param {import("./catalogue.js").Catalogue} bundled the catalogue of the bundle */
  constructor(sqlite3, bundle, bundled) {
    this.openIndex = () => WordIndex.open(sqlite3, bundle, bundled);
  }

  /** Return the columns of the products that are shown. @param {AnyCatalogue} catalogue */
  table(catalogue) {
    if (this.#table?.catalogue !== catalogue) [this.#table, this.#words] = [new ProductTable(catalogue), null]; // the device was taught since
    return this.#table;
  }

  /** Return the values to filter by. @param {AnyCatalogue} catalogue */
  facets(catalogue) {
    return facets(this.table(catalogue));
  }

  /** Interpret words and a filter. @param {AnyCatalogue} catalogue @param {string} text @param {string} where @param {boolean} photo whether one comes with them */
  async interpret(catalogue, text, where, photo) {
    const table = this.table(catalogue);
    if (!text) return interpret(table, null, text, where, photo);
    this.#index ??= this.openIndex();
    this.#words ??= new WordSearch(await this.#index, catalogue.changed, table.size);
    return interpret(table, this.#words, text, where, photo);
  }
}
