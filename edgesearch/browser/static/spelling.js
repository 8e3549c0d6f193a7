// Suggest the catalogue words that a misspelt word may mean; see `spelling.py`.

import { VARIANTS } from "./grammar.js";

const MIN_LETTERS = 3;
const TWO_EDITS_FROM = 6;
const MAX_LETTERS = 24;
const MAX_SUGGESTIONS = 5;
const VARIED_FROM = 5;

const lengthOf = (/** @type {string} */ word) => Array.from(word).length;
const isCorrectable = (/** @type {string} */ word) => /^\p{L}+$/u.test(word) && lengthOf(word) >= MIN_LETTERS && lengthOf(word) <= MAX_LETTERS;

/** Return other ways to write a word, most of which do not exist. @param {string} word @returns {string[]} */
export function variants(word) {
  if (lengthOf(word) < VARIED_FROM) return [];
  const both = VARIANTS.flatMap(([long, short]) => [[long, short], [short, long]]).filter(([one]) => word.includes(one));
  return [...new Set(both.map(([one, by]) => word.replaceAll(one, by)))].filter((other) => other !== word);
}

/** The words of a catalogue, with the number of products that have each. */
export class Vocabulary {
  /** @param {Iterable<[string, number]>} words */
  constructor(words) {
    this.counts = new Map([...words].filter(([word]) => isCorrectable(word)));
  }

  /** Return a vocabulary in which one more product has each of these words. @param {Iterable<string>} words */
  with(words) {
    const counts = new Map(this.counts);
    for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
    return new Vocabulary(counts);
  }

  /** Return the words that an unknown word begins, else the words with the fewest edits. @param {string} word @returns {string[]} */
  suggest(word) {
    if (!isCorrectable(word)) return [];
    const completions = [...this.counts.keys()].filter((known) => known.startsWith(word));
    const found = completions.length ? completions : this.#nearest(word);
    const countOf = (/** @type {string} */ known) => this.counts.get(known) ?? 0;
    return found.sort((a, b) => countOf(b) - countOf(a) || (a < b ? -1 : 1)).slice(0, MAX_SUGGESTIONS);
  }

  /** @param {string} word @returns {string[]} */
  #nearest(word) {
    const letters = Array.from(word);
    const allowed = letters.length >= TWO_EDITS_FROM ? 2 : 1;
    /** @type {string[]} */
    let found = [];
    let least = allowed;
    for (const known of this.counts.keys()) {
      const other = Array.from(known);
      if (Math.abs(other.length - letters.length) > allowed) continue;
      const edits = countEdits(letters, other);
      if (edits < least) found = [];
      if (edits <= least) found.push(known);
      least = Math.min(least, edits);
    }
    return found;
  }
}

/** Count the edits between two words: missing, extra and wrong letters, and swapped neighbours. @param {string[]} word @param {string[]} other */
export function countEdits(word, other) {
  let row = [0, ...other.map((_, j) => j + 1)];
  let before = row;
  for (let i = 0; i < word.length; i++) {
    const previous = row;
    row = [i + 1];
    for (let j = 0; j < other.length; j++) {
      row.push(Math.min(Math.min(previous[j + 1], row[j]) + 1, previous[j] + Number(other[j] !== word[i])));
      if (i && j && other[j - 1] === word[i] && other[j] === word[i - 1]) row[j + 1] = Math.min(row[j + 1], before[j - 1] + 1);
    }
    before = previous;
  }
  return row[other.length];
}
