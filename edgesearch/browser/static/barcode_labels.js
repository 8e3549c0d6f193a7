// Combine an answer by appearance with the barcodes in the photo; see `barcode_labels.py`.

import { findReadings, parseGtin, splitCodes } from "./barcode_text.js";
import { LEAST_MATCH } from "./decision.js";
import { nearestPictures } from "./scoring.js";

const SURE = 0.99;
const GROUP = /\x1d/g;

/**
 * @typedef {{text: string, format: string}} Barcode
 * @typedef {Barcode & {skus: string[]}} Label
 */

/** Return a barcode with the SKUs of the products that carry it. @param {import("./gallery.js").Gallery} gallery @param {Barcode} code @returns {Label} */
export function findLabel({ catalogue }, { text, format }) {
  for (const forms of findReadings(text)) {
    const skus = catalogue.skusWithBarcodes([...forms]);
    if (skus.length) return { text: text.replace(GROUP, ""), format, skus: skus.sort() };
  }
  return { text: text.replace(GROUP, ""), format, skus: [] };
}

/**
 * Return the answer by appearance, changed by barcodes.
 * @param {import("./gallery.js").Gallery} gallery
 * @param {any} answer
 * @param {Barcode[]} codes
 * @param {import("./gallery.js").Judged[]} judged all candidates
 * @param {Float32Array} embedding of the photo
 */
export function applyLabels(gallery, answer, codes, judged, embedding) {
  const labels = codes.map((code) => findLabel(gallery, code));
  const numbers = [...new Set(labels.flatMap(({ skus }) => skus))].map((sku) => gallery.catalogue.numberOf(sku))
    .filter((number) => gallery.rowWithoutPicture(number) !== null); // a filter may exclude it
  const known = new Map(judged.map((one) => [gallery.ownerOf(one.row), one]));
  const others = nearestPictures(gallery, numbers.filter((number) => !known.has(number)), embedding);
  const candidates = numbers.map((number) => known.get(number) ?? others.get(number)).filter((one) => one !== undefined);
  const shown = new Map(answer.matches.map((/** @type {any} */ match) => [match.sku, match]));
  const named = gallery.describe(candidates).map((match) => shown.get(match.sku) ?? match);
  named.sort((a, b) => b.probability - a.probability || b.score - a.score);
  return combine(answer, labels, named);
}

/**
 * Return the answer by appearance, changed by labels.
 * @param {any} answer
 * @param {Label[]} labels
 * @param {any[]} named products that the labels name, as appearance scores them, best first
 */
export function combine(answer, labels, named) {
  const [best] = answer.matches;
  const seen = best && (answer.decision !== "unknown" || best.probability >= 1 / 2) ? best : null;
  const { decision, conflict } = named.length ? decide(labels, named, seen) : decideUnnamed(labels, seen);
  const first = decision === "match" ? [{ ...named[0], probability: Math.max(SURE, named[0].probability) }, ...named.slice(1)] : named;
  const skus = new Set(first.map(({ sku }) => sku));
  const matches = [...first, ...answer.matches.filter((/** @type {any} */ { sku }) => !skus.has(sku))];
  return {
    ...answer, decision: decision ?? (named.length && answer.decision === "unknown" ? "ambiguous" : answer.decision),
    matches: matches.slice(0, Math.max(1, answer.matches.length)), barcodes: labels, conflict,
    known: Math.max(answer.known, ...first.map(({ probability }) => probability), 0),
  };
}

/** Return the decision, null to leave it to appearance, and the conflict. @param {Label[]} labels @param {any[]} named @param {any} seen */
function decide(labels, named, seen) {
  if (seen && seen.sku !== named[0].sku && seen.probability >= LEAST_MATCH * (seen.probability + named[0].probability)) {
    return { decision: "ambiguous", conflict: `the label names ${list(named)}, but the photo looks like ${list([seen])}` };
  }
  if (named.length === 1) return { decision: "match", conflict: "" };
  const distinct = new Set(labels.filter(({ skus }) => skus.length).map(({ skus }) => skus.join("\n")));
  if (distinct.size === 1) return { decision: null, conflict: "" }; // several products share the code: appearance decides which
  return { decision: "ambiguous", conflict: `the labels name ${list(named)}` };
}

/** Return a conflict if a trade number differs from that of the product that appearance found. @param {Label[]} labels @param {any} seen */
function decideUnnamed(labels, seen) {
  const read = new Map(labels.map(({ text }) => [parseGtin(text), text]));
  read.delete(null);
  const own = splitCodes(seen?.barcode).filter(parseGtin);
  if (!seen || !read.size || !own.length || own.some((code) => read.has(parseGtin(code)))) return { decision: null, conflict: "" };
  const codes = [...read.values()].join(", ");
  return { decision: "ambiguous", conflict: `the label says ${codes}, which no product here has; the photo looks like ${list([seen])}, whose barcode is ${own[0]}` };
}

/** @param {any[]} matches */
const list = (matches) => matches.map(({ sku, name }) => `${sku} ${name}`).join(" and ");
