// The errors of the engine: one sentence that says what was found, what was expected and what to do.

/** An error that a person can act on; `kind` names it, as `errors.py` does. */
export class EdgeSearchError extends Error {
  /**
   * @param {string} kind
   * @param {string} message
   */
  constructor(kind, message) {
    super(message);
    this.kind = kind;
    /** Seconds until the same may succeed, 0 if it never will. */
    this.afterS = 0;
  }
}

/** @type {Record<string, number>} */
const STATUS = {
  BadRequest: 400, UnauthorizedError: 403, RefusedError: 403, SignatureError: 403, MissingError: 404, CountError: 409, DeviceError: 409,
  ImageError: 422, FlawedPhotoError: 422, CatalogError: 422, QueryError: 422, BundleError: 422, BusyError: 429, QuotaError: 507,
};

/** Return an error as the server answers it. @param {unknown} error @returns {{status: number, error: {kind: string, message: string}, afterS?: number}} */
export function describeError(error) {
  if (error instanceof EdgeSearchError) {
    const { kind, message, afterS } = error;
    return { status: STATUS[kind] ?? 500, error: { kind, message }, ...(afterS ? { afterS } : {}) };
  }
  console.error(error);
  const message = `The search failed (${error instanceof Error ? error.message : error}); reload the page.`;
  return { status: 500, error: { kind: "InternalError", message } };
}

/** @param {string} message */
export const bundleError = (message) => new EdgeSearchError("BundleError", message);

export const memoryError = () => new EdgeSearchError("MemoryError", "This device has no memory left for the search; close other pages.");

/** @param {string} message */
export const imageError = (message) => new EdgeSearchError("ImageError", message);

/** @param {string} message */
export const queryError = (message) => new EdgeSearchError("QueryError", message);

/** @param {string} message */
export const missingError = (message) => new EdgeSearchError("MissingError", message);
