// Let everybody search, and read products and their pictures; as `search_routes.py`.

import { SIDE, readBarcodes } from "./barcode_reader.js";
import { decode } from "./decoding.js";
import { imageError, missingError, queryError } from "./errors.js";
import { NO_EVIDENCE } from "./local_index.js";
import { halve } from "./pictures.js";
import { countOf, onlyFile } from "./request.js";
import { findSimilar } from "./similar.js";

/** @typedef {import("./routes.js").Handler} Handler */

/** @type {Record<string, Handler>} */
export const SEARCH_ROUTES = {
  "POST search": searchPhotos,
  "GET search": searchWords,
  "POST frames": addFrame,
  "DELETE frames": ({ streams }, { query: { stream } }) => streams.forget(stream),
  "GET facets": ({ engine: { catalogue, words } }) => words.facets(catalogue),
  "GET products/*": describeProduct,
  "GET pictures/*": readPicture,
  "GET similar/*": findAlternatives,
  "POST feedback": () => ({ kept: false }), // there is no profile
};

/** @param {import("./shop.js").Shop} shop @param {import("./request.js").Request} request */
async function searchPhotos({ engine }, request) {
  if (!request.photos.length) throw imageError("The request has no photo; send one.");
  return engine.search(await Promise.all(request.photos.map((photo) => read(engine, photo))), optionsOf(request));
}

/** Decode a photo, and read its barcodes if a product has one. @param {import("./engine.js").Engine} engine @param {Blob} photo */
export async function read({ catalogue, embedder: { decodedSide } }, photo) {
  if (!catalogue.hasBarcodes()) return decode(photo, decodedSide);
  const side = Math.max(decodedSide, SIDE);
  const large = await decode(photo, side);
  return { ...halve(large, decodedSide), codes: await readBarcodes(halve(large, side)) };
}

/** @type {Handler} */
function searchWords({ engine }, request) {
  const { text = "", where = "" } = request.query;
  if (!text && !where) throw queryError("neither text nor where is given; give one of them, or send a photo.");
  return engine.searchWords(text, where, countOf(request));
}

/** @param {import("./shop.js").Shop} shop @param {import("./request.js").Request} request */
async function addFrame({ engine, streams }, request) {
  return streams.add(engine, request.query.stream, await read(engine, onlyFile(request)), optionsOf(request));
}

/** @param {import("./shop.js").Shop} shop @param {{params: string[]}} request */
export function describeProduct({ engine: { catalogue, gallery } }, { params: [sku] }) {
  const number = catalogue.numberOf(sku);
  const rows = gallery.rowsOf(number);
  const matches = gallery.describe((rows.length ? rows : [/** @type {number} */ (gallery.rowWithoutPicture(number))]).map((row) => ({ row, cosine: 1, evidence: NO_EVIDENCE })));
  return { product: matches[0], pictures: matches.map(({ picture }) => picture) };
}

/** @param {import("./shop.js").Shop} shop @param {import("./request.js").Request} request */
async function readPicture({ engine: { catalogue } }, { params: [sku], query: { row } }) {
  const number = catalogue.numberOf(sku);
  const found = await catalogue.picture(row === undefined ? catalogue.rows[number][0] : Number(row));
  if (!found) throw missingError(`${sku}: no picture of it is here.`);
  return found;
}

/** @type {Handler} */
function findAlternatives({ engine }, request) {
  const wanted = Object.entries(request.query).filter(([, value]) => value === "true").map(([name]) => name);
  return { matches: findSimilar(engine.gallery, request.params[0], countOf(request), wanted) };
}

/** @param {import("./request.js").Request} request */
const optionsOf = (request) => ({ k: countOf(request), fast: request.query.fast === "true", text: request.query.text, where: request.query.where });
