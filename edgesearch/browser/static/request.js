// What a request brings.

import { EdgeSearchError, imageError } from "./errors.js";

const K = 5;
const MAX_MATCHES = 50;

/**
 * @typedef {{params: string[], query: Record<string, string>, json: any, form: Record<string, string>, photos: Blob[], who: string}} Request
 *   params: the parts of the path that a "*" of the route stands for; photos: the files of its body or form; who: for the log
 */

/** Return the only file of a request. @param {Request} request */
export function onlyFile({ photos }) {
  if (photos.length !== 1) throw imageError(`The request has ${photos.length} files; send one.`);
  return photos[0];
}

/** Return how many matches a request wants. @param {Request} request */
export function countOf({ query: { k = String(K) } }) {
  const count = Number(k);
  if (!Number.isInteger(count) || count < 1 || count > MAX_MATCHES) throw new EdgeSearchError("BadRequest", `k is ${k}; expected 1 to ${MAX_MATCHES}.`);
  return count;
}
