// Decide between match, ambiguous and unknown; the formulas are those of `decision.py`, which explains them.

import { EdgeSearchError } from "./errors.js";

export const CONSIDERED = 20;
export const LEAST_MATCH = 0.51;
const CROWD = 5;
const WEIGHTS = ["mean", "printed", "pictures", "sharpness", "growth", "firmness", "known", "height", "details", "crowd"];
const PLAIN = [0.72, 0.43, 0.05, 23, 0.15, 0.9, -3.7, 14.6, 1.5, -4.8];

/**
 * @typedef {{nearest: number, mean: number, printed: number, pictures: number}} EvidenceRow
 * @typedef {"match" | "ambiguous" | "unknown"} Decision
 */

/** The weights and thresholds of one catalogue. */
export class Calibration {
  /** @param {Record<string, number>} weights @param {number} matchFrom @param {number} knownFrom */
  constructor(weights, matchFrom, knownFrom) {
    this.weights = weights;
    this.matchFrom = matchFrom;
    this.knownFrom = knownFrom;
  }

  /** Read a manifest's calibration. @param {any} table */
  static read(table) {
    const plain = Object.fromEntries(WEIGHTS.map((name, i) => [name, PLAIN[i]]));
    if ("threshold" in table || "accept" in table) return new Calibration(plain, 0.75, 0.6); // an earlier format
    const { weights, match_from: matchFrom, known_from: knownFrom } = table;
    const numbers = [...WEIGHTS.map((name) => weights?.[name]), matchFrom, knownFrom];
    if (!numbers.every(Number.isFinite)) throw new EdgeSearchError("BundleError", "The bundle's calibration lacks a number; build the bundle again.");
    return new Calibration(weights, matchFrom, knownFrom);
  }

  /** Return how likely the photo shows each product. @param {EvidenceRow[]} rows @returns {number[]} */
  probabilities(rows) {
    if (!rows.length) return [];
    const w = this.weights;
    const cosines = rows.map((row) => (1 - w.mean) * row.nearest + w.mean * row.mean);
    const pictures = rows.map((row) => Math.log(Math.max(1, row.pictures)));
    const likeness = cosines.map((cosine, i) => cosine - w.pictures * pictures[i]);
    const scores = likeness.map((like, i) => like + w.printed * rows[i].printed ** 2);
    const first = scores.indexOf(Math.max(...scores));
    const crowd = sum([...likeness].sort((a, b) => b - a).slice(0, CROWD)) / CROWD; // a missing product counts as unlike
    const known = w.known + w.height * likeness[first] + w.details * rows[first].printed + w.crowd * crowd;
    const sharpness = w.sharpness * (1 + (w.growth * sum(pictures)) / rows.length + w.firmness * rows[first].printed);
    const shares = scores.map((score) => Math.exp(sharpness * (score - scores[first])));
    return shares.map((share) => (sigmoid(known) * share) / sum(shares));
  }

  /** @param {number[]} probabilities @returns {Decision} */
  decide(probabilities) {
    if (!probabilities.length || sum(probabilities) < this.knownFrom) return "unknown";
    return Math.max(...probabilities) >= this.matchFrom ? "match" : "ambiguous";
  }
}

/** @param {number[]} numbers */
export const sum = (numbers) => numbers.reduce((total, x) => total + x, 0);

/** @param {number} x */
const sigmoid = (x) => 0.5 * (1 + Math.tanh(0.5 * x));
