// Count photos of one product each, in a journal that survives whatever happens to the tab; see `photo_count.py` and `count_journal.py`.
//
//     count        the counts, by name
//     count_line   a line of a count's journal for each change: the last one of a photo is valid; one with `undo` takes
//                  back the last other change of its photo
//     count_photo  the photos that wait for a decision

import { EdgeSearchError, missingError } from "./errors.js";

const NAME = /^[\p{L}\p{N}][\p{L}\p{N}_ .-]{0,63}$/u;
const NO_PRODUCT = "-"; // in place of a SKU: nothing to count
const RECENT = 4; // photos that an undo can show again
const CANDIDATES = 5;
const REASONS = { unknown: "like no product here", ambiguous: "which one?" };

/**
 * @typedef {import("./device_storage.js").Storage} Storage
 * @typedef {import("./device_storage.js").Transaction} Transaction
 * @typedef {{id: string, photo: string, file: number[], status: "counted" | "aside" | "bad" | "dropped", sku: string, name: string, by: string,
 *   why: string, candidates: [string, string][], times: number}} Entry as `CountEntry`
 * @typedef {{before: Entry | null, entry: Entry}} Change
 * @typedef {{last: number, entries: Map<string, Entry>, changes: Change[]}} Journal last: number of the last line
 * @typedef {(sku: string) => {sku: string, name: string} | null} FindProduct
 */

const countError = (/** @type {string} */ message) => new EdgeSearchError("CountError", message);

/** @type {Entry} */
const BLANK = { id: "", photo: "", file: [], status: "aside", sku: "", name: "", by: "", why: "", candidates: [], times: 1 };

/** Return what an answer makes of a photo: counted, or with a reason for review. @param {any} answer */
export function entryOf({ decision, matches, barcodes, conflict }) {
  /** @type {[string, string][]} */
  const candidates = matches.slice(0, CANDIDATES).map((/** @type {any} */ match) => [match.sku, match.name]);
  if (decision !== "match") {
    const unknown = barcodes.filter((/** @type {any} */ label) => !label.skus.length).map((/** @type {any} */ label) => label.text);
    const reason = REASONS[/** @type {keyof REASONS} */ (decision)] + (unknown.length ? `; its barcode ${unknown.join(", ")} is of no product here` : "");
    return { why: conflict || reason, candidates };
  }
  const [[sku, name]] = candidates;
  const by = barcodes.some((/** @type {any} */ label) => label.skus.length === 1 && label.skus[0] === sku) ? "barcode" : "look";
  return { status: /** @type {const} */ ("counted"), sku, name, by, candidates };
}

/** The counts of a device. */
export class Counts {
  /** @type {Map<string, PhotoCount>} */
  #open = new Map();

  /** @param {Storage} storage */
  constructor(storage) {
    this.storage = storage;
  }

  /** Return the names of all counts, sorted. @returns {Promise<string[]>} */
  async names() {
    const rows = await this.storage.read((transaction) => transaction.list("count"));
    return rows.map(({ name }) => name).sort();
  }

  /** Begin a count, or continue the one of that name. @param {string} name */
  async begin(name) {
    if (!NAME.test(name) || name !== name.replace(/^[ .]+|[ .]+$/g, "")) throw countError(`'${name}': not a name for a count; expected up to 64 letters, digits, spaces, - and _.`);
    await this.storage.write((transaction) => transaction.put("count", { name }));
    return this.find(name);
  }

  /** Return a count that was begun. @param {string} name */
  async find(name) {
    const known = await this.storage.read((transaction) => transaction.get("count", name));
    if (!known) throw missingError(`${name}: no count has that name; begin it first.`);
    const count = this.#open.get(name) ?? new PhotoCount(this.storage, name);
    this.#open.set(name, count);
    return count;
  }
}

/** Make an id of a piece that was counted without a photo. */
const randomId = () => `h${Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, "0")).join("")}`;

export class PhotoCount {
  /** @type {Journal} */
  #journal = { last: 0, entries: new Map(), changes: [] };
  /** Photos settled last. @type {Map<string, Uint8Array>} */
  #recent = new Map();

  /** @param {Storage} storage @param {string} name @param {() => string} makeId */
  constructor(storage, name, makeId = randomId) {
    this.storage = storage;
    this.name = name;
    this.makeId = makeId;
  }

  /** Return the counted products and the photos that wait, as the server does. */
  async describe() {
    const { entries } = await this.storage.read((transaction) => this.#read(transaction));
    const counted = countedOf(entries);
    const names = new Map(counted.map(({ sku, name }) => [sku, name]));
    const counts = [...totalsOf(counted)].filter(([, pieces]) => pieces).sort(([, a], [, b]) => b - a);
    const waiting = [...entries.values()].filter(({ status }) => status === "aside" || status === "bad");
    waiting.sort((a, b) => compare(a.photo, b.photo) || compare(a.id, b.id));
    return { name: this.name, counts: counts.map(([sku, count]) => ({ sku, name: names.get(sku) ?? "", count })), waiting };
  }

  /** Return the counted entries, the last one first. */
  async counted() {
    return countedOf((await this.storage.read((transaction) => this.#read(transaction))).entries);
  }

  /** Return the entry of a photo; null if it was not counted before. @param {string} id */
  async find(id) {
    return (await this.storage.read((transaction) => this.#read(transaction))).entries.get(id) ?? null;
  }

  /**
   * Count a photo, once however often it is given.
   * @param {Partial<Entry> & {id: string}} found what was found in it
   * @param {Uint8Array | null} content as JPEG
   * @returns {Promise<{entry: Entry, isNew: boolean}>}
   */
  async addPhoto(found, content) {
    let isNew = false;
    const entry = await this.#change(({ entries }) => {
      isNew = !entries.has(found.id);
      return { entry: entries.get(found.id) ?? { ...BLANK, ...found } };
    }, content);
    return { entry, isNew };
  }

  /** Count pieces of a product without a photo. @param {string} sku @param {number} times @param {FindProduct} findProduct */
  addProduct(sku, times, findProduct) {
    if (!findProduct(sku)) throw countError(`${sku}: no product of that SKU is here; check it.`);
    return this.#change(() => ({ entry: assign({ ...BLANK, id: this.makeId(), times }, sku, findProduct) }));
  }

  /** Set how many pieces of a product were counted in all; return the entry of the difference, null if there is none. @param {string} sku @param {number} total @param {FindProduct} findProduct */
  async setTotal(sku, total, findProduct) {
    if (!findProduct(sku)) throw countError(`${sku}: no product of that SKU is here; check it.`);
    return this.#change(({ entries }) => {
      const missing = total - (totalsOf(countedOf(entries)).get(sku) ?? 0);
      return missing ? { entry: assign({ ...BLANK, id: this.makeId(), times: missing }, sku, findProduct) } : null;
    });
  }

  /**
   * Set the product of a photo, whatever its state, or the number of pieces, or both.
   * @param {string} photo its id
   * @param {string | null} sku "-" for nothing to count, "" to review it again; null keeps what it is
   * @param {number | null} times null keeps what it is
   * @param {FindProduct} findProduct
   */
  correct(photo, sku, times, findProduct) {
    return this.#change(({ entries }) => {
      const known = entries.get(photo);
      if (!known) throw countError(`${photo}: no such photo was counted; give the id of one.`);
      const entry = { ...known, times: times ?? known.times };
      return { entry: sku === null ? entry : assign(entry, sku, findProduct) };
    });
  }

  /** Take back the last count or correction, an earlier one with each call; a photo that was counted goes to review. */
  undo() {
    return this.#change(({ changes }) => {
      const last = changes[changes.length - 1];
      if (!last) throw countError(`${this.name}: nothing is counted there; there is nothing to undo.`);
      const { before, entry } = last;
      return { entry: before ?? (entry.photo ? toReview(entry) : { ...entry, status: "dropped", sku: "", name: "", by: "hand" }), undo: true };
    });
  }

  /** Return a photo that waits for review, as JPEG. @param {string} id @returns {Promise<Uint8Array>} */
  async waitingPhoto(id) {
    const found = await this.storage.read((transaction) => transaction.get("count_photo", [this.name, id]));
    if (!found) throw missingError(`${id}: no photo of that id waits here; read the count again.`);
    return found.content;
  }

  /**
   * Append a line to the journal, and keep its photo as long as it waits, in one transaction.
   * @template {{entry: Entry, undo?: boolean} | null} T
   * @param {(journal: Journal) => T} decide returns the new entry, null for no change
   * @param {Uint8Array | null} content of its photo
   * @returns {Promise<T extends null ? Entry | null : Entry>}
   */
  async #change(decide, content = null) {
    const { entry, line, settled } = await this.storage.write(async (transaction) => {
      const journal = await this.#read(transaction);
      const decided = decide(journal);
      if (!decided || same(decided.entry, journal.entries.get(decided.entry.id))) return { entry: decided?.entry ?? null, line: null, settled: null };
      const written = { count: this.name, number: journal.last + 1, ...decided };
      await transaction.put("count_line", written);
      return { entry: decided.entry, line: written, settled: await this.#keepPhoto(transaction, decided.entry, content) };
    });
    if (line && line.number > this.#journal.last) replay(this.#journal, line);
    if (settled && entry) this.#remember(entry.id, settled);
    return /** @type {any} */ (entry);
  }

  /** Keep the photo of an entry that waits; return that of one which does not any more. @param {Transaction} transaction @param {Entry} entry @param {Uint8Array | null} content */
  async #keepPhoto(transaction, { id, status }, content) {
    const kept = await transaction.get("count_photo", [this.name, id]);
    const photo = content ?? kept?.content ?? this.#recent.get(id) ?? null;
    if (status === "aside" && photo) await transaction.put("count_photo", { count: this.name, id, content: photo });
    else if (kept) await transaction.delete("count_photo", [this.name, id]);
    return status === "aside" ? null : photo;
  }

  /** @param {string} id @param {Uint8Array} content */
  #remember(id, content) {
    this.#recent.delete(id);
    this.#recent.set(id, content);
    if (this.#recent.size > RECENT) this.#recent.delete([...this.#recent.keys()][0]);
  }

  /** Return the journal as of now; another tab may have written to it. @param {Transaction} transaction */
  async #read(transaction) {
    if (await transaction.lastNumber("count_line", this.name) !== this.#journal.last) {
      this.#journal = { last: 0, entries: new Map(), changes: [] };
      for (const line of await transaction.list("count_line", this.name)) replay(this.#journal, line);
    }
    return this.#journal;
  }
}

/** @param {Journal} journal @param {{number: number, entry: Entry, undo?: boolean}} line */
function replay(journal, { number, entry, undo = false }) {
  const { entries, changes } = journal;
  const before = entries.get(entry.id) ?? null;
  entries.delete(entry.id);
  entries.set(entry.id, entry); // the last one changed is the last one
  if (undo) {
    const last = changes.findLastIndex((change) => change.entry.id === entry.id);
    if (last >= 0) changes.splice(last, 1);
  } else if (before || entry.status === "counted") {
    changes.push({ before, entry });
  }
  journal.last = number;
}

/** @param {Map<string, Entry>} entries */
const countedOf = (entries) => [...entries.values()].filter(({ status }) => status === "counted").reverse();

/** @param {Entry[]} counted */
function totalsOf(counted) {
  /** @type {Map<string, number>} */
  const totals = new Map();
  for (const { sku, times } of counted) totals.set(sku, (totals.get(sku) ?? 0) + times);
  return totals;
}

/** @param {Entry} entry @param {string} sku @param {FindProduct} findProduct @returns {Entry} */
function assign(entry, sku, findProduct) {
  if (!sku) return entry.status === "counted" ? toReview(entry) : { ...entry, status: "aside" };
  if (sku === NO_PRODUCT) return { ...entry, status: "dropped", sku: "", name: "", by: "hand" };
  const product = findProduct(sku);
  if (!product) throw countError(`${entry.photo}: ${sku} is no product here; give the SKU of one, or - for none.`);
  return { ...entry, status: "counted", sku, name: product.name, by: "hand", why: "" };
}

/** Return a counted entry as one that a person must review. @param {Entry} entry @returns {Entry} */
function toReview(entry) {
  const { sku, name, candidates } = entry;
  const others = candidates.filter(([other, words]) => other !== sku || words !== name);
  return { ...entry, status: "aside", sku: "", name: "", by: "", why: `taken back; it was counted as ${sku}`, candidates: [[sku, name], ...others] };
}

/** @param {Entry} one @param {Entry | undefined} other */
const same = (one, other) => other !== undefined && /** @type {(keyof Entry)[]} */ (Object.keys(BLANK)).every((name) => JSON.stringify(one[name]) === JSON.stringify(other[name]));

/** @param {string} a @param {string} b */
const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
