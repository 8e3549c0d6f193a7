// What this device learned from use: reference pictures of products, beside the overlay; see `learned.py`.
//
//     learned       one row a picture: product, source, time, person, trust and whether it is used
//     learned_part  its picture, and what each network computed from it, by the space of the references
//     setting       the row "learning": whether the device learns, from whom, and how much it keeps

import { EdgeSearchError } from "./errors.js";
import { addEvent } from "./overlay.js";

const PICTURE = "picture"; // kind of a part; other kinds are spaces

/**
 * @typedef {import("./device_storage.js").Storage} Storage
 * @typedef {import("./device_storage.js").Transaction} Transaction
 * @typedef {"used" | "waiting" | "aside"} State
 * @typedef {{number: number, sku: string, time: string, source: string, code: string, who: string, device: string, trust: number, state: State,
 *   why: string, like: string, against: number, name: string, size_bytes: number}} LearnedPicture as in `LearnedPicture`
 * @typedef {{on: boolean, customers: boolean, vectors_only: boolean, per_product: number, max_mb: number, device: string}} Settings
 */

/** @type {Settings} */
const OFF = { on: false, customers: false, vectors_only: false, per_product: 16, max_mb: 64, device: "" };

/** Return the name of the pictures that one mistake would spoil together: one product, code or person, and day. @param {LearnedPicture} picture */
export const groupOf = ({ sku, code, who, time }) => [sku, code || who, time.slice(0, 10)].join("|");

export class LearnedPictures {
  /** @param {Storage} storage */
  constructor(storage) {
    this.storage = storage;
  }

  /** Return the settings; those of a new device are off. @returns {Promise<Settings>} */
  settings() {
    return this.storage.read(readSettings);
  }

  /** Change settings by their names. @param {Partial<Settings>} changes @param {string} who @returns {Promise<Settings>} */
  changeSettings(changes, who) {
    return this.storage.write(async (transaction) => {
      const before = await readSettings(transaction);
      const device = before.device || Array.from(crypto.getRandomValues(new Uint8Array(4)), (byte) => byte.toString(16).padStart(2, "0")).join("");
      const settings = { ...before, ...changes, device };
      if (JSON.stringify(settings) === JSON.stringify(before)) return settings;
      await transaction.put("setting", { ...settings, name: "learning" });
      await addEvent(transaction, { what: "learning", sku: "", who, detail: changes });
      return settings;
    });
  }

  /** Return all learned pictures, the oldest first. @returns {Promise<LearnedPicture[]>} */
  all() {
    return this.storage.read((transaction) => transaction.list("learned"));
  }

  /** Return a picture as JPEG; null if none is kept. @param {number} number @returns {Promise<Uint8Array | null>} */
  async picture(number) {
    const found = await this.storage.read((transaction) => transaction.get("learned_part", [number, PICTURE]));
    return found?.content ?? null;
  }

  /** Return what a network computed from pictures, as far as it is stored. @param {string} space @param {number[]} numbers @returns {Promise<Map<number, Uint8Array>>} */
  references(space, numbers) {
    return this.storage.read(async (transaction) => {
      const rows = await Promise.all(numbers.map((number) => transaction.get("learned_part", [number, space])));
      return new Map(rows.filter(Boolean).map(({ number, content }) => [number, content]));
    });
  }

  /** Store what another network computed from pictures. @param {string} space @param {Map<number, Uint8Array>} references */
  storeReferences(space, references) {
    return this.storage.write(async (transaction) => {
      for (const [number, content] of references) await transaction.put("learned_part", { number, kind: space, content });
    });
  }

  /**
   * Store a picture, and drop others for it, in one transaction.
   * @param {LearnedPicture} learned its number and size are filled in
   * @param {Uint8Array | null} picture JPEG; null keeps none
   * @param {string} space of the reference
   * @param {Uint8Array} reference
   * @param {number[]} dropped numbers of pictures to delete
   * @param {number[]} used numbers of waiting pictures that are used from now on
   */
  add(learned, picture, space, reference, dropped, used) {
    return this.storage.write(async (transaction) => {
      if (!(await readSettings(transaction)).on) throw new EdgeSearchError("DeviceError", "Learning was switched off meanwhile; nothing was learned.");
      const number = Math.max(await transaction.lastNumber("learned"), (await transaction.get("setting", "last learned"))?.number ?? 0) + 1;
      const one = { ...learned, number, size_bytes: reference.length + (picture?.length ?? 0) };
      await transaction.put("learned", one);
      await transaction.put("setting", { name: "last learned", number }); // no number comes twice
      if (picture) await transaction.put("learned_part", { number, kind: PICTURE, content: picture });
      await transaction.put("learned_part", { number, kind: space, content: reference });
      for (const other of used) {
        const waiting = await transaction.get("learned", other);
        if (waiting) await transaction.put("learned", { ...waiting, state: "used", why: "", like: "" });
      }
      await deleteAll(transaction, dropped);
      const { who, sku, time, ...detail } = one;
      await addEvent(transaction, { what: "learn", sku, who, detail: { ...detail, dropped, confirmed: used } });
      return one;
    });
  }

  /** Replace pictures that still exist by these. @param {LearnedPicture[]} pictures @param {string} who */
  change(pictures, who) {
    return this.storage.write(async (transaction) => {
      const kept = [];
      for (const one of pictures) if (await transaction.get("learned", one.number)) kept.push(one);
      for (const one of kept) await transaction.put("learned", one);
      const told = kept.map(({ number, sku, state, why, like, against }) => ({ number, sku, state, why, like, against }));
      if (kept.length) await addEvent(transaction, { what: "settle", sku: "", who, detail: { pictures: told } });
    });
  }

  /** Delete pictures for good; return those that existed. @param {number[]} numbers @param {string} who @param {string} what "forget" or "erase" @returns {Promise<LearnedPicture[]>} */
  delete(numbers, who, what = "forget") {
    return this.storage.write(async (transaction) => {
      const found = [];
      for (const number of [...new Set(numbers)].sort((a, b) => a - b)) {
        const one = await transaction.get("learned", number);
        if (one) found.push(one);
      }
      await deleteAll(transaction, found.map(({ number }) => number));
      const detail = what === "erase" ? { of: "learned", pictures: found.length } : { pictures: found.map(({ number, sku }) => ({ number, sku })) };
      if (found.length) await addEvent(transaction, { what, sku: "", who, detail });
      return found;
    });
  }
}

/** @param {Transaction} transaction @returns {Promise<Settings>} */
async function readSettings(transaction) {
  const { name: _, ...settings } = await transaction.get("setting", "learning") ?? {};
  return { ...OFF, ...settings };
}

/** @param {Transaction} transaction @param {number[]} numbers */
async function deleteAll(transaction, numbers) {
  for (const number of numbers) {
    await transaction.delete("learned", number);
    for (const { kind } of await transaction.list("learned_part", number)) await transaction.delete("learned_part", [number, kind]);
  }
}
