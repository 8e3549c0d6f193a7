// Add to an answer that is no match: a fault of the photo, and the likely category and brand; see `advice.py`.

import { CONSIDERED, sum } from "./decision.js";
import { USELESS, findFlaw } from "./quality.js";

const GUESSED = ["category", "brand"];

/**
 * @param {import("./gallery.js").Gallery} gallery
 * @param {any} answer
 * @param {{picture: import("./pictures.js").Picture, crop: import("./crops.js").Crop}[]} photos
 * @param {import("./gallery.js").Judged[]} judged the most likely first
 */
export function addAdvice(gallery, answer, photos, judged) {
  const flaws = photos.map(({ picture, crop }) => findFlaw(picture, crop));
  const likely = gallery.describe(judged.filter(({ probability = 0 }) => probability > 0).slice(0, CONSIDERED));
  const guesses = Object.fromEntries(GUESSED.map((name) => [name, guess(likely, name)]).filter(([, found]) => found));
  const isUseless = answer.decision === "ambiguous" && !answer.barcodes.length && flaws.every((flaw) => USELESS.includes(flaw));
  return { ...answer, decision: isUseless ? "unknown" : answer.decision, flaw: flaws.every(Boolean) ? flaws[0] : "", guesses };
}

/** Return the value of a detail that most likely products share. @param {any[]} likely @param {string} name */
function guess(likely, name) {
  /** @type {Map<string, number>} */
  const votes = new Map();
  for (const match of likely) votes.set(match[name] ?? "", (votes.get(match[name] ?? "") ?? 0) + Math.sqrt(match.probability));
  const [value, most] = [...votes].reduce((best, one) => (one[1] > best[1] ? one : best), ["", 0]);
  return value ? { value, share: most / sum([...votes.values()]) } : null;
}
