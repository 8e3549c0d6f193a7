// Find the texts that resemble one most, as Python's `difflib.get_close_matches` does.

/**
 * @param {string} wanted
 * @param {string[]} possible
 * @param {number} count
 * @param {number} least share of equal letters, 0 to 1
 * @returns {string[]} best first
 */
export function closeMatches(wanted, possible, count, least = 0.6) {
  const scored = possible.map((text) => ({ text, score: ratio(text, wanted) })).filter(({ score }) => score >= least);
  return scored.sort((a, b) => b.score - a.score || (a.text < b.text ? 1 : -1)).slice(0, count).map(({ text }) => text);
}

/** Return the share of letters in common runs of two texts. @param {string} one @param {string} other */
function ratio(one, other) {
  const length = one.length + other.length;
  return length ? (2 * countCommon(one, other)) / length : 1;
}

/** Count the letters of the longest common run, and of those on both sides of it. @param {string} one @param {string} other @returns {number} */
function countCommon(one, other) {
  let [size, start, begin] = [0, 0, 0];
  /** @type {number[]} */
  let runs = [];
  for (let i = 0; i < one.length; i++) {
    /** @type {number[]} */
    const now = [];
    for (let j = 0; j < other.length; j++) {
      if (one[i] !== other[j]) continue;
      now[j] = (runs[j - 1] ?? 0) + 1;
      if (now[j] > size) [size, start, begin] = [now[j], i - now[j] + 1, j - now[j] + 1];
    }
    runs = now;
  }
  if (!size) return 0;
  return size + countCommon(one.slice(0, start), other.slice(0, begin)) + countCommon(one.slice(start + size), other.slice(begin + size));
}
