// Products and pictures of a bundle's SQLite catalogue, read by SQLite's own WebAssembly; see `sqlite_catalog.py`.

import { EdgeSearchError, bundleError, missingError } from "./errors.js";
import { openDatabase } from "./sqlite_file.js";

const FILE = "catalog.sqlite";
const PACKED = "catalog.columns.xz";
const PICTURES = "pictures.bin";
const FORMAT = 1;
const DETAILS = ["sku", "name", "price", "currency", "category", "brand", "description", "location", "stock", "barcode", "attributes"];

const damaged = (/** @type {unknown} */ what) => new EdgeSearchError("CatalogError", `The bundle's catalogue is damaged (${what}); build the bundle again.`);

export class Catalogue {
  /** Products that a device changed, by number: none in a bundle. @type {Map<number, any>} */
  changed = new Map();
  /** Numbers of products that are not shown. @type {Set<number>} */
  hidden = new Set();

  /** @param {import("./bundle.js").Bundle} bundle @param {any} database */
  constructor(bundle, database) {
    this.bundle = bundle;
    this.database = database;
    this.count = this.#query("SELECT count(*) AS n FROM product")[0].n;
    const [{ text, first, last }] = this.#query("SELECT json_group_array(product ORDER BY row) AS text, min(row) AS first, max(row) AS last FROM picture"); // faster than as many rows
    /** @type {number[]} */
    const found = JSON.parse(text);
    const isWhole = !found.length || (first === 0 && last === found.length - 1);
    if (!isWhole || found.some((product) => !(Number.isInteger(product) && product >= 0 && product < this.count))) throw damaged("its picture rows");
    this.owners = Int32Array.from(found);
    /** @type {number[][]} */
    this.rows = Array(this.count);
    this.owners.forEach((product, row) => { if (this.rows[product]) this.rows[product].push(row); else this.rows[product] = [row]; });
    for (let product = 0; product < this.count; product++) this.rows[product] ??= [];
    this.pictured = this.rows.filter((rows) => rows.length).length;
  }

  /**
   * Open the catalogue of a bundle.
   * @param {any} sqlite3 the initialized module of sqlite-wasm
   * @param {import("./bundle.js").Bundle} bundle
   */
  static async open(sqlite3, bundle) {
    if (!bundle.has(FILE) && bundle.has(PACKED)) {
      throw bundleError("The bundle's catalogue is packed (`build --budget-mb` did that), and browsers cannot unpack it; build it with a larger budget.");
    }
    const content = await bundle.member(FILE);
    try {
      const database = openDatabase(sqlite3, content);
      const format = database.selectValue("PRAGMA user_version");
      if (format !== FORMAT) throw damaged(`format ${format}, expected ${FORMAT}`);
      return new Catalogue(bundle, database);
    } catch (error) {
      throw error instanceof EdgeSearchError ? error : damaged(error instanceof Error ? error.message : error);
    }
  }

  /** Return the details of products, by number. @param {number[]} numbers @returns {any[]} */
  products(numbers) {
    const found = this.#query(
      `SELECT number, ${DETAILS.join(", ")} FROM product WHERE number IN (SELECT value FROM json_each(?))`, JSON.stringify(numbers));
    const byNumber = new Map(found.map(({ number, attributes, ...details }) => [number, { ...details, attributes: JSON.parse(attributes) }]));
    return numbers.map((number) => byNumber.get(number));
  }

  /** Return number, details and sources of products that are here, by SKU. @param {string[]} skus @returns {Map<string, {number: number, product: any, sources: string[]}>} */
  findSkus(skus) {
    const found = this.#query("SELECT number FROM product WHERE sku IN (SELECT value FROM json_each(?))", JSON.stringify(skus)).map(({ number }) => number);
    return new Map(this.products(found).map((product, i) => [product.sku, { number: found[i], product, sources: this.rows[found[i]].map((row) => this.source(row)) }]));
  }

  /** Return the number of a product; throws if there is none. @param {string} sku @returns {number} */
  numberOf(sku) {
    const found = this.#query("SELECT number FROM product WHERE sku = ?", sku)[0];
    if (!found) throw missingError(`${sku}: no product of that SKU is here; check it.`);
    return found.number;
  }

  /** Return the names of the columns that any product fills: details, then attributes. @returns {string[]} */
  columns() {
    const columns = DETAILS.filter((name) => name !== "attributes");
    const filled = this.#query(`SELECT ${columns.map((name) => `max(${name} IS NOT NULL) AS ${name}`).join(", ")} FROM product`)[0] ?? {};
    const names = columns.filter((name) => filled[name]);
    const attributes = this.#query("SELECT DISTINCT key FROM product, json_each(attributes)").map(({ key }) => String(key));
    return [...names, ...attributes.filter((name) => !names.includes(name))];
  }

  /** Return every product's value in a column, by number; null where it is empty. @param {string} name @returns {(string | number | null)[]} */
  column(name) {
    const isDetail = DETAILS.includes(name) && name !== "attributes";
    const found = isDetail ? this.#query(`SELECT ${name} AS value FROM product ORDER BY number`)
      : this.#query("SELECT (SELECT value FROM json_each(attributes) WHERE key = ?) AS value FROM product ORDER BY number", name);
    return found.map(({ value }) => value);
  }

  /** Return whether any product has a barcode. */
  hasBarcodes() {
    return Boolean(this.#query("SELECT EXISTS (SELECT 1 FROM product WHERE barcode IS NOT NULL) AS has")[0].has);
  }

  /** Return the SKUs of products that have one of these barcodes in exactly this spelling. @param {string[]} codes @returns {string[]} */
  skusWithBarcodes(codes) {
    const written = "';' || replace(replace(barcode, ' ', ''), '-', '') || ';'";
    return this.#query(`SELECT DISTINCT sku FROM product, json_each(?) WHERE instr(${written}, ';' || value || ';')`, JSON.stringify(codes)).map(({ sku }) => sku);
  }

  /** Return the source of the picture of a row. @param {number} row @returns {string} */
  source(row) {
    return this.#query("SELECT source FROM picture WHERE row = ?", row)[0].source;
  }

  /** Return the row as others know it. @param {number} row */
  rowToShow(row) {
    return row;
  }

  /** Return a row's picture, or else the first that the bundle keeps of its product; null if it keeps none. @param {number} row */
  async picture(row) {
    if (!(row >= 0 && row < this.owners.length)) throw missingError(`There is no picture ${row}.`);
    const found = this.#query("SELECT start, size FROM picture WHERE product = ? AND size > 0 ORDER BY row != ?, row LIMIT 1", this.owners[row], row)[0];
    if (!found) return null;
    const content = await this.bundle.range(PICTURES, found.start, found.start + found.size);
    const webp = new TextDecoder().decode(content.subarray(8, 12)) === "WEBP";
    return new Blob([/** @type {BlobPart} */ (content)], { type: webp ? "image/webp" : "image/jpeg" });
  }

  /** @param {string} sql @param {...(number | string)} values @returns {any[]} */
  #query(sql, ...values) {
    return this.database.selectObjects(sql, values);
  }
}
