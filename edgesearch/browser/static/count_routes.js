// Let staff count with a camera, one photo at a time, and settle doubtful photos at once; as `count_routes.py`.

import { sha256 } from "./bundle.js";
import { decode, toJpeg } from "./decoding.js";
import { EdgeSearchError } from "./errors.js";
import { entryOf } from "./photo_count.js";
import { onlyFile } from "./request.js";
import { read } from "./search_routes.js";
import { formatStock } from "./stock_list.js";

const SIDE = 1024; // px of a photo that waits; enough to read a label
const ID_DIGITS = 16; // of a photo's hash
const [MAX_TIMES, MAX_TOTAL] = [100_000, 10_000_000];
const CHOICES = 5;

/** @typedef {import("./shop.js").Shop} Shop */

/** @type {Record<string, import("./routes.js").Handler>} */
export const COUNT_ROUTES = {
  "GET counts": async ({ counts }) => ({ names: await counts.names() }),
  "POST counts": async ({ counts }, { json }) => (await counts.begin(String(json?.name ?? ""))).describe(),
  "GET counts/*": async ({ counts }, { params: [name] }) => (await counts.find(name)).describe(),
  "GET counts/*/stock.csv": async (shop, { params: [name] }) => {
    const counted = await (await shop.counts.find(name)).counted();
    return new Blob([formatStock(counted, finderOf(shop))], { type: "text/csv" });
  },
  "POST counts/*/photos": countPhoto,
  "GET counts/*/photos/*": async ({ counts }, { params: [name, photo] }) => {
    const content = await (await counts.find(name)).waitingPhoto(photo);
    return new Blob([/** @type {BlobPart} */ (content)], { type: "image/jpeg" });
  },
  "POST counts/*/products": async (shop, { params: [name], json }) => {
    const count = await shop.counts.find(name);
    const seen = await count.addProduct(String(json?.sku), numberOf("times", json?.times ?? 1, 1, MAX_TIMES), finderOf(shop));
    return { ...await count.describe(), seen };
  },
  "POST counts/*/totals": async (shop, { params: [name], json }) => {
    const count = await shop.counts.find(name);
    const seen = await count.setTotal(String(json?.sku), numberOf("total", json?.total, 0, MAX_TOTAL), finderOf(shop));
    return { ...await count.describe(), seen };
  },
  "POST counts/*/correct": async (shop, { params: [name], json }) => {
    const count = await shop.counts.find(name);
    const { photo, sku = null, times = null } = json ?? {};
    const seen = await count.correct(String(photo), sku, times === null ? null : numberOf("times", times, 1, MAX_TIMES), finderOf(shop));
    return { ...await count.describe(), seen };
  },
  "POST counts/*/undo": async ({ counts }, { params: [name] }) => {
    const count = await counts.find(name);
    const seen = await count.undo();
    return { ...await count.describe(), seen };
  },
};

/** Count the product in a photo. If it is doubtful, `seen` gives the reason and the candidates. @param {Shop} shop @param {import("./request.js").Request} request */
async function countPhoto(shop, request) {
  const { params: [name], query: { times = "1" } } = request;
  const [count, file, pieces] = [await shop.counts.find(name), onlyFile(request), numberOf("times", times, 1, MAX_TIMES)];
  const id = `p${(await sha256(new Uint8Array(await file.arrayBuffer()))).slice(0, ID_DIGITS)}`;
  const known = await count.find(id);
  if (known) return { ...await count.describe(), seen: known, new: false };
  const { jpeg, ...found } = await recognize(shop, file);
  const { entry, isNew } = await count.addPhoto({ id, photo: timeNow(), times: pieces, ...found }, jpeg);
  return { ...await count.describe(), seen: entry, new: isNew };
}

/** @param {Shop} shop @param {Blob} file */
async function recognize(shop, file) {
  try {
    const answer = await shop.engine.search([await read(shop.engine, file)], { k: CHOICES });
    return { ...entryOf(answer), jpeg: await toJpeg(await decode(file, SIDE), SIDE) };
  } catch (error) {
    if (!(error instanceof EdgeSearchError) || error.kind !== "ImageError") throw error;
    return { status: /** @type {const} */ ("bad"), why: error.message, jpeg: null };
  }
}

/** Return the local time, by which a photo is named. */
function timeNow() {
  const now = new Date();
  return new Date(now.getTime() - now.getTimezoneOffset() * 60_000).toISOString().replace("T", " ").slice(0, -1);
}

/** Return a function that finds a product that is shown. @param {Shop} shop */
const finderOf = ({ engine: { catalogue } }) => (/** @type {string} */ sku) => catalogue.findSkus([sku]).get(sku)?.product ?? null;

/** @param {string} name @param {unknown} value @param {number} least @param {number} most */
function numberOf(name, value, least, most) {
  const number = Number(value);
  if (!Number.isInteger(number) || number < least || number > most) throw new EdgeSearchError("BadRequest", `${name} is ${value}; expected ${least} to ${most}.`);
  return number;
}
