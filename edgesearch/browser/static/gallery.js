// The pictures and products that a search may find; see `gallery.py`.
// A row numbers a picture of the index; rows after these stand for products without a picture, which only words find.

import { scoreOf } from "./scoring.js";

/**
 * @typedef {import("./scoring.js").Candidate & {probability?: number, words?: number}} Judged
 * @typedef {{index: import("./compact_index.js").CompactIndex, local: import("./local_index.js").LocalIndex | null,
 *   catalogue: import("./catalogue.js").Catalogue, base: string}} Parts base: digest of the bundle
 */

export class Gallery {
  /** @param {Parts} parts @param {Uint8Array | null} admitted of each product, whether a filter leaves it; null for all */
  constructor(parts, admitted = null) {
    const { index, local, catalogue, base } = parts;
    this.parts = parts;
    this.index = index;
    this.local = local;
    this.catalogue = catalogue;
    this.base = base;
    this.admitted = admitted;
    /** The rows that a search may find; null for all. @type {number[] | null} */
    this.allowed = admitted && Array.from(catalogue.owners.keys()).filter((row) => admitted[catalogue.owners[row]]);
    /** How many products a photo can find. */
    this.pictured = this.allowed ? new Set(this.allowed.map((row) => catalogue.owners[row])).size : catalogue.pictured;
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
    return !this.admitted || this.admitted[product] ? this.catalogue.owners.length + product : null;
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
    return stored ? { row, base: this.base, image: this.catalogue.source(row), picture: `${path}?row=${row}` } : { row: null, base: this.base, image: "", picture: path };
  }
}
