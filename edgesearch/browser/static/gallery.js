// The pictures and products that a search may find; see `gallery.py`.
// A row numbers a picture of the index, or one that the device was taught. Rows after these stand for products without a
// picture, which only words find.

import { scoreOf } from "./scoring.js";

/**
 * @typedef {import("./scoring.js").Candidate & {probability?: number, words?: number}} Judged
 * @typedef {{index: import("./compact_index.js").CompactIndex, local: import("./local_index.js").LocalIndex | null,
 *   catalogue: import("./catalogue.js").Catalogue | import("./taught_catalogue.js").TaughtCatalogue, base: string, taught?: Taught}} Parts base: digest of the bundle
 * @typedef {{vectors: Float32Array[], local: import("./local_index.js").LocalIndex | null}} Taught of the pictures that the device was taught
 */

/** @type {Taught} */
const NOTHING = { vectors: [], local: null };

export class Gallery {
  /** @param {Parts} parts @param {Uint8Array | null} admitted of each product, whether a filter leaves it; null for all */
  constructor(parts, admitted = null) {
    const { index, local, catalogue, base, taught = NOTHING } = parts;
    this.parts = parts;
    this.index = index;
    this.local = local;
    this.catalogue = catalogue;
    this.base = base;
    this.taught = taught;
    this.admitted = admitted;
    const rows = Array.from(catalogue.owners.keys()).filter((row) => this.#isAdmitted(catalogue.owners[row]));
    /** The rows of the index that a search may find; null for all. @type {number[] | null} */
    this.allowed = admitted || catalogue.hidden.size ? rows.filter((row) => row < index.size) : null;
    /** The taught rows that a search may find, counted from the first. */
    this.allowedTaught = rows.filter((row) => row >= index.size).map((row) => row - index.size);
    /** How many products of the index a photo can find. */
    this.pictured = this.allowed ? new Set(this.allowed.map((row) => catalogue.owners[row])).size : catalogue.pictured;
  }

  /** @param {number} product */
  #isAdmitted(product) {
    return !this.catalogue.hidden.has(product) && (!this.admitted || Boolean(this.admitted[product]));
  }

  /** Return the gallery with fewer products to find. @param {Uint8Array} admitted */
  restrictTo(admitted) {
    return new Gallery(this.parts, admitted);
  }

  /** Return the number of a row's product. @param {number} row */
  ownerOf(row) {
    const { owners } = this.catalogue;
    return row < owners.length ? owners[row] : row - owners.length;
  }

  /** Return the rows of a product's pictures. @param {number} product */
  rowsOf(product) {
    return this.catalogue.rows[product];
  }

  /** Return the row that stands for a product without a picture; null if a filter excludes it. @param {number} product */
  rowWithoutPicture(product) {
    return this.#isAdmitted(product) ? this.catalogue.owners.length + product : null;
  }

  /** Return the vector of a row. @param {number} row */
  vectorOf(row) {
    return row < this.index.size ? this.index.readVector(row) : this.taught.vectors[row - this.index.size];
  }

  /**
   * Return matches with the details of their products, as the server formats them.
   * @param {Judged[]} candidates
   * @param {{width: number, height: number}} size of the photo
   */
  describe(candidates, { width, height } = { width: 1, height: 1 }) {
    const products = this.catalogue.products(candidates.map(({ row }) => this.ownerOf(row)));
    const longest = Math.max(width, height);
    return candidates.map((candidate, i) => {
      const { evidence: { points, outline, mirrored }, probability = 0, words, row } = candidate;
      const found = { ...products[i], score: scoreOf(candidate), points, mirrored, probability, ...this.#picture(row, products[i].sku) };
      const corners = outline.map(([x, y]) => [(x * longest) / width, (y * longest) / height]);
      return { ...found, outline: corners, ...(words === undefined ? {} : { words }) };
    });
  }

  /** @param {number} row @param {string} sku */
  #picture(row, sku) {
    const stored = row < this.catalogue.owners.length;
    const path = `/v1/pictures/${encodeURIComponent(sku)}`;
    const shown = this.catalogue.rowToShow(row);
    return stored ? { row: shown, base: this.base, image: this.catalogue.source(row), picture: `${path}?row=${shown}` } : { row: null, base: this.base, image: "", picture: path };
  }
}
