// Fold text for comparison, and split it into the terms of the word index; see `terms.py`.

import { UNDECOMPOSED, UNSPACED, VOICED, WORD } from "./grammar.js";

const RUN = new RegExp(`^[${UNSPACED}]`, "u");

/** Return a text without case, width and accents. @param {string} text */
export function fold(text) {
  if (/^[\0-\x7f]*$/.test(text)) return text.toLowerCase();
  const lower = text.normalize("NFKD").toLowerCase().toUpperCase().toLowerCase().replaceAll("ς", "σ"); // as Python's casefold
  const letters = Array.from(lower.normalize("NFKD"), (letter) => /** @type {Record<string, string>} */ (UNDECOMPOSED)[letter] ?? letter);
  return letters.filter((letter) => VOICED.includes(letter) || !/\p{M}/u.test(letter)).join("").normalize("NFC");
}

/** Split a text into folded words. @param {string} text @returns {string[]} */
export const splitWords = (text) => fold(text).match(new RegExp(WORD, "gu")) ?? [];

/** Return the terms by which a text is found. @param {string} text @returns {string[]} */
export const indexTerms = (text) => splitWords(text).flatMap((word) => (isUnspaced(word) ? [...queryTerms(word), Array.from(word).at(-1) ?? ""] : [word]));

/** Return the terms that all must match a word: the character pairs of an unspaced run, else the word itself. @param {string} word @returns {string[]} */
export function queryTerms(word) {
  const letters = Array.from(word);
  return isUnspaced(word) && letters.length > 1 ? letters.slice(1).map((letter, i) => letters[i] + letter) : [word];
}

/** Return whether a word is of a script that is written without spaces. @param {string} word */
export const isUnspaced = (word) => RUN.test(word);
