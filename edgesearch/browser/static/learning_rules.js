// Decide whether a picture contradicts what it is said to show, and which learned pictures to keep; see `contradiction.py`
// and `diverse_memory.py`.

const NEARER = 0.2; // of the distance (1 - cosine) to the own product
const UNSUPPORTED = 0.4;
const USUAL = 0.25; // quantile of how near a product's pictures are to each other
const LEAST_ROWS = 3;
export const NOTHING_NEW = 0.97; // cosine to a known picture; a nearer one adds nothing
const GROUP_SHARE = 0.5; // of a product's memory at most for one group
const FIRST = 2; // pictures of a group that are kept anyway
const TIE = 1e-6;

/** @typedef {{product: number, cosine: number, group: string}} Neighbour a reference picture near a new one */

/** @param {Float32Array} one @param {Float32Array} other */
export const cosineOf = (one, other) => one.reduce((sum, x, d) => sum + x * other[d], 0);

/** @param {Neighbour[]} neighbours @param {number} own @param {string} group */
const nearestOwn = (neighbours, own, group) => Math.max(0, ...neighbours.filter((one) => one.product === own && one.group !== group).map(({ cosine }) => cosine));

/** Return the cosine of the nearest picture of another product, 0 if there is none. @param {number} own @param {Neighbour[]} neighbours */
export const nearestOther = (own, neighbours) => Math.max(0, ...neighbours.filter(({ product }) => product !== own).map(({ cosine }) => cosine));

/**
 * Return a product that a picture resembles much more than its own, and the cosine; null if there is none.
 * @param {number} own product that the label says
 * @param {string} group of the picture
 * @param {Neighbour[]} neighbours the nearest pictures, and all of the own product
 */
export function findRival(own, group, neighbours) {
  const others = neighbours.filter(({ product }) => product !== own).sort((a, b) => b.cosine - a.cosine);
  if (!others.length) return null;
  const [first] = others;
  const second = others.find((one) => one.product === first.product && one.group !== first.group);
  const third = others.find((one) => one.product !== first.product);
  const nearest = nearestOwn(neighbours, own, group);
  if (!second || second.cosine <= nearest + NEARER * (1 - nearest)) return null;
  return third && third.cosine >= second.cosine ? null : { product: first.product, cosine: first.cosine };
}

/** Return whether no other product is much nearer than the own one outside the picture's group. @param {number} own @param {string} group @param {Neighbour[]} neighbours */
export function isSupported(own, group, neighbours) {
  const known = nearestOwn(neighbours, own, group);
  return nearestOther(own, neighbours) <= known + UNSUPPORTED * (1 - known);
}

/** Return whether a picture is as near to a product as the product's pictures are to each other. @param {number} cosine @param {Float32Array[]} vectors */
export function isUsual(cosine, vectors) {
  if (vectors.length < LEAST_ROWS) return false;
  const highest = vectors.map((one, i) => Math.max(...vectors.filter((_, j) => j !== i).map((other) => cosineOf(one, other)))).sort((a, b) => a - b);
  const at = USUAL * (highest.length - 1);
  const low = highest[Math.floor(at)];
  return cosine >= low + (highest[Math.ceil(at)] - low) * (at - Math.floor(at));
}

/** Return whether a picture is nearly one of the known ones. @param {Float32Array} vector @param {Float32Array[]} known */
export const addsNothing = (vector, known) => known.some((one) => cosineOf(one, vector) >= NOTHING_NEW);

/**
 * Return the learned pictures to drop so that at most `limit` stay, and no group has too many.
 * @param {Float32Array[]} vectors the oldest first
 * @param {Float32Array[]} fixed the product's other pictures, which stay
 * @param {string[]} groups of each learned picture
 * @param {number} limit
 */
export function chooseDropped(vectors, fixed, groups, limit) {
  let kept = vectors.map((_, i) => i);
  /** @type {number[]} */
  const dropped = [];
  while (kept.length) {
    /** @type {Map<string, number>} */
    const counts = new Map();
    for (const i of kept) counts.set(groups[i], (counts.get(groups[i]) ?? 0) + 1);
    const [name, count] = [...counts].reduce((best, one) => (one[1] > best[1] ? one : best));
    const most = Math.max(1, Math.min(Math.trunc(GROUP_SHARE * limit), Math.max(FIRST, kept.length - count + fixed.length)));
    const isCrowded = count > most;
    if (!isCrowded && kept.length <= limit) break;
    const crowded = isCrowded ? kept.filter((i) => groups[i] === name) : kept;
    const nearest = crowded.map((i) => Math.max(-1, ...kept.filter((j) => j !== i).map((j) => cosineOf(vectors[i], vectors[j])), ...fixed.map((one) => cosineOf(vectors[i], one))));
    const highest = Math.max(...nearest);
    const going = crowded[nearest.findIndex((cosine) => cosine >= highest - TIE)]; // of equals, the oldest
    kept = kept.filter((i) => i !== going);
    dropped.push(going);
  }
  return dropped;
}
