// Export what this device was taught for `build --merge-overlay`, and import what another device exported; see `overlay_export.py`.

import { NO_CHANGE, isSame } from "./changes.js";
import { EdgeSearchError } from "./errors.js";
import { nameOf } from "./overlay.js";
import { checkDetails } from "./product_details.js";
import { readZip, writeZip } from "./zip_file.js";

const FOLDER = "taught/";
const FILE = `${FOLDER}taught.json`;
const PICTURE = /^taught\/pictures\/([0-9a-f]{16})\.jpg$/;
const NAME = /^[0-9a-f]{16}$/;
const FORMAT = 1;
const MAX_LIST_BYTES = 100_000_000;
const MAX_PICTURE_BYTES = 1 << 22;

/**
 * @typedef {import("./changes.js").Change} Change
 * @typedef {import("./overlay.js").Overlay} Overlay
 * @typedef {{sku: string, change: Omit<Change, "pictures">, pictures: string[]}} Exported
 */

const damaged = (/** @type {unknown} */ what) => new EdgeSearchError("CatalogError", `What was exported is damaged (${what}); export it again.`);

/** Return all changes and their pictures as a zip, and the number of changed products. @param {Overlay} overlay @param {{name: string, content: Uint8Array}[]} learned files of what was learned from use */
export async function exportOverlay(overlay, learned = []) {
  const { changes } = await overlay.snapshot();
  const tables = [...changes].map(([sku, change]) => ({ sku, ...change, pictures: Object.keys(change.pictures) }));
  const pictures = new Map([...changes.values()].flatMap((change) => Object.entries(change.pictures)));
  const members = [];
  for (const [name, number] of pictures) members.push({ name: `${FOLDER}pictures/${name}.jpg`, content: await overlay.picture(number) });
  const list = new TextEncoder().encode(JSON.stringify({ format: FORMAT, changes: tables }, null, 1));
  members.push({ name: FILE, content: list }, ...learned.map(({ name, content }) => ({ name: `${FOLDER}${name}`, content })));
  return { file: writeZip(members), products: tables.length };
}

/**
 * Take over what another device was taught, all of it or nothing; each product is one change that can be undone.
 * @param {Overlay} overlay
 * @param {Blob} file that `exportOverlay` or a server wrote
 * @param {string} who
 * @returns {Promise<number>} how many products changed
 */
export async function importOverlay(overlay, file, who) {
  const { list, pictures } = await readExport(file);
  const before = (await overlay.snapshot()).changes;
  const revisions = list.map(({ sku, change, pictures: names }) => {
    const merge = (/** @type {Change | null} */ own) => mergeChange(own, change);
    const what = change.removed ? "remove" : change.own || names.length ? "enrol" : "edit";
    return { what, sku, revise: merge, pictures: names.map((name) => ({ name, content: /** @type {Uint8Array} */ (pictures.get(name)), reference: null })), detail: { imported: true } };
  });
  const after = await overlay.change(revisions, who, "");
  return list.filter(({ sku }, i) => !isSame(before.get(sku) ?? null, after[i])).length;
}

/** Return the change that says what both say; where they differ, what is imported. @param {Change | null} own @param {Omit<Change, "pictures">} other @returns {Change} */
function mergeChange(own, other) {
  if (other.removed) return { ...NO_CHANGE, removed: true };
  const kept = own && !own.removed ? own : NO_CHANGE;
  return { ...kept, own: kept.own || other.own, details: { ...kept.details, ...other.details }, was: { ...kept.was, ...other.was } };
}

/** Read and check all of an export. @param {Blob} file @returns {Promise<{list: Exported[], pictures: Map<string, Uint8Array>}>} */
async function readExport(file) {
  /** @type {Map<string, Uint8Array>} */
  const pictures = new Map();
  let table = null;
  for await (const { name, content } of readZip(file, (path) => (path === FILE ? MAX_LIST_BYTES : PICTURE.test(path) ? MAX_PICTURE_BYTES : 0))) {
    if (name === FILE) table = parse(content);
    else pictures.set(name.slice(-20, -4), content);
  }
  if (!table) throw new EdgeSearchError("CatalogError", "This zip holds nothing that a device was taught; give one that was exported from a device.");
  if (table.format !== FORMAT) throw new EdgeSearchError("CatalogError", `What was exported has format ${table.format}; this version reads ${FORMAT}, make the site again with a newer edgesearch.`);
  if (!Array.isArray(table.changes)) throw damaged("no changes");
  const list = table.changes.map(checkChange);
  for (const [name, content] of pictures) if (await nameOf(content) !== name) throw damaged(`picture ${name}`);
  const missing = list.flatMap((/** @type {Exported} */ one) => one.pictures).find((/** @type {string} */ name) => !pictures.has(name));
  if (missing) throw damaged(`picture ${missing} is missing`);
  return { list, pictures };
}

/** @param {Uint8Array} content */
function parse(content) {
  try {
    return Object(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(content)));
  } catch (error) {
    throw damaged(error instanceof Error ? error.message : error);
  }
}

/** @param {any} table @returns {Exported} */
function checkChange(table) {
  const { sku, own, removed, details, was, pictures } = Object(table);
  const isTable = (/** @type {unknown} */ one) => one !== null && typeof one === "object" && !Array.isArray(one);
  if (typeof own !== "boolean" || typeof removed !== "boolean" || !isTable(details) || !isTable(was)) throw damaged(`the change of ${String(sku).slice(0, 40)}`);
  if (!Array.isArray(pictures) || !pictures.every((name) => typeof name === "string" && NAME.test(name))) throw damaged(`the pictures of ${String(sku).slice(0, 40)}`);
  const [checked, before] = [details, was].map((one) => ({ ...one, ...checkDetails(sku, withoutEmpty(one)) }));
  if (own && !checked.name) throw damaged(`${sku} has no name`);
  return { sku, change: { own, removed, details: checked, was: before }, pictures };
}

/** @param {Record<string, unknown>} table */
const withoutEmpty = (table) => Object.fromEntries(Object.entries(table).filter(([, value]) => value !== null));
