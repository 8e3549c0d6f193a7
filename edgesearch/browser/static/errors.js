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
  }
}

/** @param {string} message */
export const bundleError = (message) => new EdgeSearchError("BundleError", message);

export const memoryError = () => new EdgeSearchError("MemoryError", "This device has no memory left for the search; close other pages.");

/** @param {string} message */
export const imageError = (message) => new EdgeSearchError("ImageError", message);
