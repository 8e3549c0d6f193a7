// The overlay: what this device was taught, and the log of it; see `overlay.py`.
//
//     change     change of each product (`changes.js`), by SKU
//     picture    reference pictures that staff added
//     reference  what a bundle's network computed from a picture, by the space in which references can be compared
//     event      the log: who, when, what
//
// Each change is one transaction together with its line of the log. Nobody can hold the browser's storage to a chain of
// hashes, so the log has none.

import { isSame, NO_CHANGE } from "./changes.js";
import { sha256 } from "./bundle.js";
import { EdgeSearchError } from "./errors.js";
import { hasControl } from "./product_details.js";

const NAME_DIGITS = 16; // of the hash that names a picture
const MAX_NAME = 100; // characters of a user
const NOBODY = "this device"; // in the log, where nobody has a PIN
const UNDOABLE = ["enrol", "edit", "remove"];

/**
 * @typedef {import("./changes.js").Change} Change
 * @typedef {import("./device_storage.js").Storage} Storage
 * @typedef {import("./device_storage.js").Transaction} Transaction
 * @typedef {{number: number, time: string, who: string, what: string, sku: string, detail: any}} Event
 * @typedef {{version: number, changes: Map<string, Change>}} Snapshot version: number of the last line of the log
 * @typedef {{name: string, content: Uint8Array, reference: Uint8Array | null}} NewPicture
 * @typedef {{what: string, sku: string, revise: (before: Change | null) => Change | null, pictures?: NewPicture[], detail?: any}} Revision
 */

/** Return the time as the log writes it. */
export const timeNow = () => new Date().toISOString().replace(/\.\d+Z$/, "+00:00");

/** Return the name of a picture, the hash of its content. @param {Uint8Array} content */
export const nameOf = async (content) => (await sha256(content)).slice(0, NAME_DIGITS);

export class Overlay {
  /** @param {Storage} storage */
  constructor(storage) {
    this.storage = storage;
  }

  /** Return the number of the last line of the log; this is quick enough for every search. */
  version() {
    return this.storage.read((transaction) => transaction.lastNumber("event"));
  }

  /** Return all current changes. @returns {Promise<Snapshot>} */
  snapshot() {
    return this.storage.read(async (transaction) => {
      const rows = await transaction.list("change");
      return { version: await transaction.lastNumber("event"), changes: new Map(rows.map(({ sku, ...change }) => [sku, change])) };
    });
  }

  /** Return a picture as JPEG. @param {number} number @returns {Promise<Uint8Array>} */
  async picture(number) {
    const found = await this.storage.read((transaction) => transaction.get("picture", number));
    if (!found) throw new EdgeSearchError("DeviceError", `Picture ${number} is not here; search again.`);
    return found.content;
  }

  /** Return the references of pictures in a space, as far as they were stored. @param {string} space @param {number[]} numbers @returns {Promise<Map<number, Uint8Array>>} */
  references(space, numbers) {
    return this.storage.read(async (transaction) => {
      const rows = await Promise.all(numbers.map((number) => transaction.get("reference", [number, space])));
      return new Map(rows.filter(Boolean).map(({ picture, content }) => [picture, content]));
    });
  }

  /** Store references by picture. @param {string} space @param {Map<number, Uint8Array>} references */
  storeReferences(space, references) {
    return this.storage.write(async (transaction) => {
      for (const [picture, content] of references) await transaction.put("reference", { picture, space, content });
    });
  }

  /**
   * Change products in one transaction, and add a line to the log for each that changes.
   * @param {Revision[]} revisions if `revise` fails for one, nothing is changed
   * @param {string} who
   * @param {string} space of the references of new pictures
   * @returns {Promise<(Change | null)[]>} each product's change from now on
   */
  change(revisions, who, space) {
    return this.storage.write(async (transaction) => {
      const changes = [];
      for (const { what, sku, revise, pictures = [], detail = {} } of revisions) {
        const before = await readChange(transaction, sku);
        let after = revise(before);
        if (pictures.length) {
          after = after ?? NO_CHANGE;
          after = { ...after, pictures: { ...after.pictures, ...await addPictures(transaction, pictures, space, after.pictures) } };
        }
        after = after && isSame(after, NO_CHANGE) ? null : after;
        if (!isSame(after, before)) await writeChange(transaction, { what, sku, who, detail: { before, after, ...detail } });
        changes.push(after);
      }
      return changes;
    });
  }

  /** Take back the last change that was not taken back yet. @param {string} who @returns {Promise<Event>} */
  undo(who) {
    return this.storage.write(async (transaction) => {
      const events = /** @type {Event[]} */ (await transaction.list("event")).reverse();
      const undone = new Set(events.filter(({ what }) => what === "undo").map(({ detail }) => detail.undoes));
      const last = events.find(({ what, number }) => UNDOABLE.includes(what) && !undone.has(number));
      if (!last) throw new EdgeSearchError("DeviceError", "Nothing was taught that is not taken back yet; there is nothing to undo.");
      const { before: after, after: before } = last.detail;
      return writeChange(transaction, { what: "undo", sku: last.sku, who, detail: { before, after, undoes: last.number, undone: last.what, by: last.who } });
    });
  }

  /** Add a line to the log for an event that changes no product. @param {string} what @param {any} detail @param {string} who */
  record(what, detail, who = "") {
    return this.storage.write((transaction) => addEvent(transaction, { what, sku: "", who, detail }));
  }

  /** Return the log, oldest line first. @returns {Promise<Event[]>} */
  events() {
    return this.storage.read((transaction) => transaction.list("event"));
  }
}

/** @param {string} who */
function checkName(who) {
  const name = who || NOBODY;
  if (hasControl(name) || name.length > MAX_NAME) throw new EdgeSearchError("DeviceError", `${name.slice(0, MAX_NAME)}: not a name for the log; give up to ${MAX_NAME} characters.`);
  return name;
}

/** @param {Transaction} transaction @param {string} sku @returns {Promise<Change | null>} */
async function readChange(transaction, sku) {
  const { sku: _, ...change } = await transaction.get("change", sku) ?? {};
  return "own" in change ? /** @type {Change} */ (change) : null;
}

/** @param {Transaction} transaction @param {{what: string, sku: string, who: string, detail: {before: Change | null, after: Change | null, [name: string]: any}}} event */
async function writeChange(transaction, event) {
  const { sku, detail: { after } } = event;
  if (after) await transaction.put("change", { sku, ...after });
  else await transaction.delete("change", sku);
  return addEvent(transaction, event);
}

/** Add a line to the log, in a transaction. @param {Transaction} transaction @param {{what: string, sku: string, who: string, detail: any}} event @returns {Promise<Event>} */
export async function addEvent(transaction, event) {
  const line = { number: await transaction.lastNumber("event") + 1, time: timeNow(), ...event, who: checkName(event.who) };
  await transaction.put("event", line);
  return line;
}

/** Store new pictures with their references; return their numbers by name. @param {Transaction} transaction @param {NewPicture[]} pictures @param {string} space @param {Record<string, number>} known */
async function addPictures(transaction, pictures, space, known) {
  /** @type {Record<string, number>} */
  const added = {};
  for (const { name, content, reference } of pictures) {
    if (Object.hasOwn(known, name) || Object.hasOwn(added, name)) continue;
    const number = await transaction.lastNumber("picture") + 1;
    await transaction.put("picture", { number, content });
    if (reference) await transaction.put("reference", { picture: number, space, content: reference });
    added[name] = number;
  }
  return added;
}
