// Teach a device products: turn enrolments, edits and removals into changes of its overlay; see `teaching.py`.

import { describeChange, editChange, enrolChange, removeChange } from "./changes.js";
import { EdgeSearchError } from "./errors.js";
import { nameOf } from "./overlay.js";
import { checkDetails } from "./product_details.js";
import { ADVICE, USELESS, findFlaw } from "./quality.js";

export const MAX_PHOTOS = 5; // of one enrolment
const TAUGHT_SIDE = 960; // px; longer side of a taught picture at most
const SHOP_CURRENCY = 0.9; // share of the prices in a currency, from which a price without one is in it
const LIKE = 1 / 2; // probability from which an enrolment names another product that looks like it

/**
 * @typedef {import("./changes.js").Change} Change
 * @typedef {import("./engine.js").Photo} Photo
 * @typedef {{engine: import("./engine.js").Engine, taught: import("./taught.js").Taught, who: string,
 *   toJpeg: (photo: Photo, side: number) => Promise<Uint8Array>}} Teacher toJpeg: encodes a photo with its longer side at most so many px
 */

/**
 * Teach a product, or more pictures of a known one; after an error nothing has changed.
 * @param {Teacher} teacher
 * @param {string} sku
 * @param {Blob[]} photos
 * @param {Record<string, unknown>} details
 */
export async function enrol(teacher, sku, photos, details) {
  const { engine, taught: { overlay, decode, space, bundled } } = teacher;
  if (photos.length < 1 || photos.length > MAX_PHOTOS) throw new EdgeSearchError("CatalogError", `${sku}: ${photos.length} photos; give 1 to ${MAX_PHOTOS} of them.`);
  const given = checkDetails(sku, details);
  const read = [];
  for (const photo of photos) read.push(await decode(photo, TAUGHT_SIDE));
  const flaws = read.map((photo, i) => checkPhoto(photo, i + 1));
  const pictures = [];
  for (const photo of read) pictures.push(await makePicture(teacher, photo));
  const base = findProduct(bundled, sku);
  const added = base ? given : addCurrency(bundled, given);
  const { matches } = await engine.search([read[0]], { k: 1 });
  /** @type {Change | null} */
  let old = null;
  const revise = (/** @type {Change | null} */ before) => {
    old = before;
    return enrolChange(sku, before, base, !before || before.removed ? added : given);
  };
  const [change] = await overlay.change([{ what: "enrol", sku, revise, pictures }], teacher.who, space);
  const like = matches.find((/** @type {any} */ match) => match.sku !== sku && (match.probability ?? 0) >= LIKE) ?? null;
  return { pictures: Object.keys(change?.pictures ?? {}).length, like, flaws, changes: describeChange(old, change) };
}

/** Change details of a product. @param {Teacher} teacher @param {string} sku @param {Record<string, unknown>} details */
export async function edit({ taught: { overlay, space, bundled }, who }, sku, details) {
  const [given, base] = [checkDetails(sku, details), findProduct(bundled, sku)];
  await overlay.change([{ what: "edit", sku, revise: (before) => editChange(sku, before, base, given) }], who, space);
}

/** Hide a product. @param {Teacher} teacher @param {string} sku */
export async function remove({ taught: { overlay, space, bundled }, who }, sku) {
  const base = findProduct(bundled, sku);
  await overlay.change([{ what: "remove", sku, revise: (before) => removeChange(sku, before, base) }], who, space);
}

/** Take back the last change. @param {Teacher} teacher */
export async function undo({ taught: { overlay }, who }) {
  const { what, sku, detail: { undone, by, before, after } } = await overlay.undo(who);
  return { what, sku, undone, by, changes: describeChange(before, after) };
}

/** Return the flaw of a photo; throw if it shows nothing. @param {Photo} photo @param {number} number */
function checkPhoto(photo, number) {
  const flaw = findFlaw(photo);
  if (USELESS.includes(flaw)) throw new EdgeSearchError("FlawedPhotoError", `photo ${number}: ${ADVICE[/** @type {keyof ADVICE} */ (flaw)]}`);
  return flaw;
}

/** Return a photo as it is kept, and what the network makes of it. @param {Teacher} teacher @param {Photo} photo */
async function makePicture({ engine, taught: { decode }, toJpeg }, photo) {
  const content = await toJpeg(photo, TAUGHT_SIDE);
  const kept = await decode(new Blob([/** @type {BlobPart} */ (content)], { type: "image/jpeg" }), engine.embedder.decodedSide);
  return { name: await nameOf(content), content, reference: await engine.makeReference(kept) };
}

/** @param {import("./catalogue.js").Catalogue} catalogue @param {string} sku @returns {import("./product_details.js").Product | null} */
const findProduct = (catalogue, sku) => catalogue.findSkus([sku]).get(sku)?.product ?? null;

/** Return the details of a new product; its price is in the shop's currency unless another is given. @param {import("./catalogue.js").Catalogue} catalogue @param {import("./product_details.js").Details} details */
function addCurrency(catalogue, details) {
  if (details.price === undefined || details.price === null || details.currency) return details;
  const found = catalogue.column("currency").filter(Boolean);
  /** @type {Map<any, number>} */
  const counts = new Map();
  for (const currency of found) counts.set(currency, (counts.get(currency) ?? 0) + 1);
  const [currency, count] = [...counts].reduce((best, one) => (one[1] > best[1] ? one : best), [null, 0]);
  return found.length && count >= SHOP_CURRENCY * found.length ? { ...details, currency } : details;
}
