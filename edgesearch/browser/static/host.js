// Ask the engine in its worker.

import { EdgeSearchError } from "./errors.js";

export class Host {
  #worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
  #next = 0;
  /** @type {Map<number, {resolve: (result: any) => void, reject: (error: Error) => void}>} */
  #waiting = new Map();
  /** @type {Error | null} */
  #broken = null;

  constructor() {
    this.#worker.addEventListener("message", ({ data: { id, result, error } }) => {
      const { resolve, reject } = this.#waiting.get(id) ?? {};
      this.#waiting.delete(id);
      if (error) reject?.(new EdgeSearchError(error.kind, error.message));
      else resolve?.(result);
    });
    this.#worker.addEventListener("error", (event) => {
      event.preventDefault();
      this.#broken = new EdgeSearchError("BrowserError", `The search could not start (${event.message || "its files are missing"}); use a newer browser, or make the site again.`);
      for (const { reject } of this.#waiting.values()) reject(this.#broken);
      this.#waiting.clear();
    });
  }

  /**
   * Open a bundle.
   * @param {Blob} file
   * @param {string[]} trusted hex keys, one of which must have signed it; without any, it may be unsigned
   * @returns {Promise<{name: string, sequence: number, counts: Record<string, number>, signer: string | null}>}
   */
  open(file, trusted) {
    return this.#ask("open", { file, trusted });
  }

  /** Search a photo. @param {Blob} photo @param {{k?: number, fast?: boolean}} options */
  search(photo, options = {}) {
    return this.#ask("search", { photo, ...options });
  }

  /** Return the picture of a row, or null. @param {number} row @returns {Promise<Blob | null>} */
  picture(row) {
    return this.#ask("picture", { row });
  }

  /** @param {string} method @param {any} options @returns {Promise<any>} */
  #ask(method, options) {
    return new Promise((resolve, reject) => {
      if (this.#broken) return reject(this.#broken);
      this.#waiting.set(++this.#next, { resolve, reject });
      return this.#worker.postMessage({ id: this.#next, method, options });
    });
  }
}
