// What a site keeps on the device: tables in IndexedDB, changed in transactions that happen completely or not at all.
//
// IndexedDB and not a file of the origin's own: its transactions survive a tab that is closed in the middle, put the
// writers of several tabs in order, and say when there is no space left.

import { EdgeSearchError } from "./errors.js";

const VERSION = 1;
/** @type {Record<string, string | string[]>} Names of the tables, and of the fields that are the key of a row */
export const TABLES = {
  change: "sku", picture: "number", reference: ["picture", "space"], event: "number",
  learned: "number", learned_part: ["number", "kind"],
  count: "name", count_line: ["count", "number"], count_photo: ["count", "id"], setting: "name",
};

/**
 * @typedef {string | number} Part
 * @typedef {Part | Part[]} Key
 * @typedef {{
 *   get(table: string, key: Key): Promise<any>,
 *   list(table: string, first?: Part): Promise<any[]>,
 *   lastNumber(table: string, first?: Part): Promise<number>,
 *   put(table: string, row: any): Promise<void>,
 *   delete(table: string, key: Key): Promise<void>,
 * }} Transaction list: rows in the order of their keys, of keys of two parts those with this first part; lastNumber: the last part of the last key, 0 if there is none
 * @typedef {{
 *   read<T>(work: (transaction: Transaction) => Promise<T>): Promise<T>,
 *   write<T>(work: (transaction: Transaction) => Promise<T>): Promise<T>,
 * }} Storage `work` waits for nothing but the transaction; if it fails, nothing was changed
 */

const deviceError = (/** @type {string} */ message) => new EdgeSearchError("DeviceError", message);

/** Return the error that says in a sentence why the storage failed. @param {unknown} error */
export function storageError(error) {
  if (error instanceof EdgeSearchError) return error;
  const { name = "", message = String(error) } = /** @type {any} */ (error) ?? {};
  if (name === "QuotaExceededError") return deviceError("This device has no space left for this page, so nothing was changed; free some, and try again.");
  if (name === "VersionError") return deviceError("A newer version of this page keeps what this device was taught; close all its tabs, and open it again.");
  if (["SecurityError", "NotAllowedError", "ReferenceError", "TypeError"].includes(name)) {
    return deviceError("This browser keeps nothing for this page, in a private window or because storage is blocked; searching works, to teach or count open the page in an ordinary window.");
  }
  return deviceError(`The browser's storage failed (${message || name}), and nothing was changed; reload the page, and try again.`);
}

/** Tables in IndexedDB. @implements {Storage} */
export class BrowserStorage {
  /** @type {Promise<IDBDatabase> | null} */
  #database = null;

  /** @param {string} name of the database; another site of the same server has another */
  constructor(name) {
    this.name = name;
  }

  /** @template T @param {(transaction: Transaction) => Promise<T>} work */
  read(work) {
    return this.#run("readonly", work);
  }

  /** @template T @param {(transaction: Transaction) => Promise<T>} work */
  write(work) {
    return this.#run("readwrite", work);
  }

  async close() {
    (await this.#database)?.close();
    this.#database = null;
  }

  /** @template T @param {IDBTransactionMode} mode @param {(transaction: Transaction) => Promise<T>} work @returns {Promise<T>} */
  async #run(mode, work) {
    try {
      const transaction = (await this.#open()).transaction(Object.keys(TABLES), mode, { durability: "strict" });
      const done = new Promise((resolve, reject) => {
        transaction.addEventListener("complete", resolve);
        transaction.addEventListener("abort", () => reject(transaction.error ?? new Error("the transaction was ended")));
      });
      done.catch(() => {}); // what failed in `work` is reported instead
      let result;
      try {
        result = await work(inTransaction(transaction));
      } catch (error) {
        try { transaction.abort(); } catch { /* the browser has ended it */ }
        throw transaction.error ?? error;
      }
      await done;
      return result;
    } catch (error) {
      throw storageError(error);
    }
  }

  #open() {
    this.#database ??= openDatabase(this.name, () => { this.#database = null; });
    this.#database.catch(() => { this.#database = null; }); // so that the next try opens it again
    return this.#database;
  }
}

/** @param {string} name @param {() => void} onclose called when the browser or a newer page takes the database away @returns {Promise<IDBDatabase>} */
function openDatabase(name, onclose) {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(name, VERSION);
    request.addEventListener("upgradeneeded", () => {
      for (const [table, keyPath] of Object.entries(TABLES)) {
        if (!request.result.objectStoreNames.contains(table)) request.result.createObjectStore(table, { keyPath });
      }
    });
    request.addEventListener("error", () => reject(request.error));
    request.addEventListener("success", () => {
      const database = request.result;
      database.addEventListener("close", onclose);
      database.addEventListener("versionchange", () => { database.close(); onclose(); });
      resolve(database);
    });
  });
}

/** @param {IDBTransaction} transaction @returns {Transaction} */
function inTransaction(transaction) {
  /** @template T @param {IDBRequest<T>} request @returns {Promise<T>} */
  const finish = (request) => new Promise((resolve, reject) => {
    request.addEventListener("success", () => resolve(request.result));
    request.addEventListener("error", () => reject(request.error));
  });
  const range = (/** @type {Part | undefined} */ first) => (first === undefined ? undefined : IDBKeyRange.bound([first], [first, []]));
  return {
    get: (table, key) => finish(transaction.objectStore(table).get(key)),
    list: (table, first) => finish(transaction.objectStore(table).getAll(range(first))),
    async lastNumber(table, first) {
      const key = (await finish(transaction.objectStore(table).openKeyCursor(range(first), "prev")))?.key;
      return Number((Array.isArray(key) ? key.at(-1) : key) ?? 0);
    },
    async put(table, row) { await finish(transaction.objectStore(table).put(row)); },
    async delete(table, key) { await finish(transaction.objectStore(table).delete(key)); },
  };
}
