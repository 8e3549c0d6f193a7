// A bundle's catalogue with what the device was taught since, to be read as the bundle's own; see `overlay_gallery.py`.
//
// Products and rows of the bundle keep their numbers; taught products and pictures follow them.

import { applyChange, missingPictures, stemOf } from "./changes.js";
import { COLUMNS } from "./product_details.js";
import { missingError } from "./errors.js";

/**
 * @typedef {import("./catalogue.js").Catalogue} Catalogue
 * @typedef {import("./product_details.js").Product} Product
 * @typedef {{number: number, name: string, product: number}} TaughtPicture number: of the overlay
 */

export const LEARNED = 2 ** 32; // numbers of learned pictures begin above it

export class TaughtCatalogue {
  /** Products that are new or changed, by number. @type {Map<number, Product>} */
  changed = new Map();
  /** Numbers of products that are not shown. @type {Set<number>} */
  hidden = new Set();
  /** @type {TaughtPicture[]} */
  pictures = [];
  /** @type {Map<string, number>} */
  #numbers = new Map();

  /**
   * @param {Catalogue} base
   * @param {Map<string, import("./changes.js").Change>} changes
   * @param {{number: number, sku: string, name: string}[]} learned pictures in use
   * @param {(number: number) => Promise<Uint8Array | null>} readPicture
   */
  constructor(base, changes, learned, readPicture) {
    this.base = base;
    this.readPicture = readPicture;
    this.count = base.count;
    const stored = base.findSkus([...changes.keys()]);
    for (const [sku, change] of changes) this.#apply(sku, change, stored.get(sku));
    this.#addLearned(learned);
    this.owners = Int32Array.from([...base.owners, ...this.pictures.map(({ product }) => product)]);
    this.rows = base.rows.map((rows, number) => (this.hidden.has(number) ? [] : rows));
    for (let number = base.count; number < this.count; number++) this.rows.push([]);
    this.pictures.forEach(({ product }, i) => { this.rows[product] = [...this.rows[product], base.owners.length + i]; });
    /** How many products of the bundle a photo can find. */
    this.pictured = base.pictured - [...this.hidden].filter((number) => base.rows[number].length).length;
  }

  /** @param {string} sku @param {import("./changes.js").Change} change @param {{number: number, product: Product, sources: string[]} | undefined} stored */
  #apply(sku, change, stored) {
    const product = applyChange(change, sku, stored?.product ?? null);
    if (!product) {
      if (stored) this.hidden.add(stored.number);
      return;
    }
    const number = stored?.number ?? this.count++;
    this.#numbers.set(sku, number);
    this.changed.set(number, product);
    this.pictures.push(...missingPictures(change, stored?.sources ?? []).map(([name, picture]) => ({ number: picture, name, product: number })));
  }

  /** Add the pictures that were learned of products that are shown, but for those that the bundle contains. @param {{number: number, sku: string, name: string}[]} learned */
  #addLearned(learned) {
    const stored = this.base.findSkus([...new Set(learned.map(({ sku }) => sku))]);
    for (const { number, sku, name } of learned) {
      const product = this.#numbers.get(sku) ?? stored.get(sku)?.number;
      if (product === undefined || this.hidden.has(product) || stored.get(sku)?.sources.some((source) => stemOf(source) === name)) continue;
      this.pictures.push({ number: LEARNED + number, name: `learned-${number}`, product });
    }
  }

  /** Return the details of products, by number. @param {number[]} numbers @returns {any[]} */
  products(numbers) {
    const stored = this.base.products(numbers);
    return numbers.map((number, i) => this.changed.get(number) ?? stored[i]);
  }

  /** Return number, details and sources of products that are shown, by SKU. @param {string[]} skus */
  findSkus(skus) {
    const found = this.base.findSkus(skus);
    for (const sku of skus) {
      const number = this.#numbers.get(sku);
      const product = number === undefined ? undefined : this.changed.get(number);
      if (number !== undefined && product) found.set(sku, { number, product, sources: this.rows[number].map((row) => this.source(row)) });
    }
    for (const [sku, { number }] of [...found]) if (this.hidden.has(number)) found.delete(sku);
    return found;
  }

  /** Return the number of a product; throws if it is not shown. @param {string} sku */
  numberOf(sku) {
    const number = this.#numbers.get(sku) ?? this.base.numberOf(sku);
    if (this.hidden.has(number)) throw missingError(`${sku}: no product of that SKU is here; check it.`);
    return number;
  }

  /** Return the names of the columns that any product fills: details, then attributes. @returns {string[]} */
  columns() {
    const filled = [...this.changed.values()].flatMap((product) => [
      ...COLUMNS.filter((name) => valueOf(product, name) !== null), ...Object.keys(product.attributes)]);
    const names = [...new Set([...this.base.columns(), ...filled])];
    return [...COLUMNS.filter((name) => names.includes(name)), ...names.filter((name) => !COLUMNS.includes(name))];
  }

  /** Return every product's value in a column, by number; null where it is empty or the product is not shown. @param {string} name @returns {(string | number | null)[]} */
  column(name) {
    const stored = this.base.column(name);
    return Array.from({ length: this.count }, (_, number) => {
      const product = this.changed.get(number);
      return this.hidden.has(number) ? null : product ? valueOf(product, name) : stored[number];
    });
  }

  /** Return whether any product has a barcode. */
  hasBarcodes() {
    return this.base.hasBarcodes() || [...this.changed.values()].some(({ barcode }) => barcode !== null);
  }

  /** Return the SKUs of products that have one of these barcodes in exactly this spelling. @param {string[]} codes @returns {string[]} */
  skusWithBarcodes(codes) {
    const wanted = new Set(codes);
    const stored = this.base.skusWithBarcodes(codes).filter((sku) => {
      const number = this.base.numberOf(sku);
      return !this.hidden.has(number) && !this.changed.has(number);
    });
    const taught = [...this.changed.values()].filter(({ barcode }) => barcode?.replace(/[ -]/g, "").split(";").some((code) => wanted.has(code)));
    return [...stored, ...taught.map(({ sku }) => sku)];
  }

  /** Return the source of the picture of a row. @param {number} row */
  source(row) {
    const taught = this.pictures[row - this.base.owners.length];
    return taught ? `${taught.name}.jpg` : this.base.source(row);
  }

  /** Return the row as others know it: below 0 for a taught picture. @param {number} row */
  rowToShow(row) {
    const taught = this.pictures[row - this.base.owners.length];
    return taught ? -taught.number : row;
  }

  /** Return a row's picture, or else the first that is kept of its product; null if none is. @param {number} row also as `rowToShow` returns it */
  async picture(row) {
    const number = row < 0 ? -row : this.pictures[row - this.base.owners.length]?.number;
    if (number === undefined) return this.base.picture(row);
    const content = await this.readPicture(number);
    return content && new Blob([/** @type {BlobPart} */ (content)], { type: "image/jpeg" });
  }
}

/** @param {Product} product @param {string} name */
const valueOf = (product, name) => (COLUMNS.includes(name) ? /** @type {any} */ (product)[name] : Object.hasOwn(product.attributes, name) ? product.attributes[name] : null);
