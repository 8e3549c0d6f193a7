// What all requests share: the site's settings, the open bundle, what the device was taught, the streams of cameras.

import { Access } from "./access.js";
import { decode } from "./decoding.js";
import { BrowserStorage } from "./device_storage.js";
import { Engine } from "./engine.js";
import { EdgeSearchError } from "./errors.js";
import { Streams } from "./frames.js";
import { LearnedPictures } from "./learned_pictures.js";
import { Learner } from "./learner.js";
import { Native } from "./native.js";
import { Overlay } from "./overlay.js";
import { Counts } from "./photo_count.js";
import { Taught } from "./taught.js";

const RUNTIME = new URL("runtime/", import.meta.url).href;
const KEPT = "edgesearch-bundle"; // cache with the bundle that a person opened
const KEPT_AS = "store.edge";
const SITES = "edgesearch-site-"; // caches of the service worker, that of the running version first

/** @typedef {{bundle: string | null, trusted: string[], languages: string[], version: string}} Site content of site.json */

export class Shop {
  /** @type {Engine | null} */
  #engine = null;
  /** @type {Promise<import("./engine.js").Parts> | null} */
  #parts = null;
  /** Why no bundle is open, if one should be. @type {Error | null} */
  problem = null;
  streams = new Streams();
  storage = new BrowserStorage(`edgesearch ${new URL(".", import.meta.url).pathname}`);
  taught = new Taught(new Overlay(this.storage), new LearnedPictures(this.storage), decode);
  learner = new Learner(this.taught);
  counts = new Counts(this.storage);
  access = new Access(this.storage);
  /** Whether the browser keeps what the device is taught and counts. */
  canKeep = true;
  /** @type {Site} */
  site = { bundle: null, trusted: [], languages: ["en"], version: "" };

  /** The engine of the open bundle; throws if none is open. */
  get engine() {
    if (!this.#engine) throw this.problem ?? new EdgeSearchError("DeviceError", "No catalogue is open; open one, a .edge file.");
    return this.#engine;
  }

  get isOpen() {
    return this.#engine !== null;
  }

  /** Let searches find what any tab of this device was taught by now; without storage, what the bundle has. */
  async refresh() {
    if (!this.#engine) return;
    try {
      if (await this.taught.refresh(this.#engine)) this.streams = new Streams(); // other rows
      this.canKeep = true;
    } catch (error) {
      if (!(error instanceof EdgeSearchError) || error.kind !== "DeviceError") throw error;
      this.canKeep = false;
    }
  }

  /** Open the bundle of the site, or the one that a person opened before. */
  async begin() {
    try {
      this.site = await (await fetch(new URL("site.json", import.meta.url))).json();
      const file = this.site.bundle ? await load(this.site.bundle) : await readKept();
      if (file) await this.#open(file);
    } catch (error) {
      this.problem = error instanceof Error ? error : new Error(String(error));
    }
  }

  /**
   * Open a bundle that a person gives, and keep it for the next start. The open one stays if this one is refused.
   * @param {Blob} file
   * @returns {Promise<{sequence: number, kept: boolean}>}
   */
  async install(file) {
    if (this.site.bundle) throw new EdgeSearchError("DeviceError", "This site has a catalogue of its own; to change it, make the site again.");
    await this.#open(file);
    const kept = await keep(file);
    return { sequence: this.engine.bundle.manifest.sequence, kept };
  }

  /** @param {Blob} file */
  async #open(file) {
    this.#parts ??= loadParts();
    this.#engine = await Engine.open(file, this.site.trusted, await this.#parts);
    this.problem = null;
    this.streams = new Streams();
    await this.refresh();
  }
}

/** @param {string} name */
async function load(name) {
  const address = new URL(name, import.meta.url);
  const response = await readOwn(address).catch(() => undefined) ?? await fetch(address);
  if (!response.ok) throw new EdgeSearchError("BundleError", `${name} is missing (${response.status}); make the site again.`);
  return response.blob();
}

/** Return a file that the service worker has kept; from the worker itself it would be copied. @param {URL} address */
async function readOwn(address) {
  for (const name of await caches.keys()) {
    const found = name.startsWith(SITES) ? await (await caches.open(name)).match(address) : undefined;
    if (found) return found;
  }
  return undefined;
}

async function readKept() {
  const response = await (await caches.open(KEPT)).match(KEPT_AS);
  return response?.blob();
}

/** Keep a bundle for the next start; return whether there was space. @param {Blob} file */
async function keep(file) {
  try {
    await (await caches.open(KEPT)).put(KEPT_AS, new Response(file));
    return true;
  } catch {
    return false;
  }
}

/** @returns {Promise<import("./engine.js").Parts>} */
async function loadParts() {
  const read = async (/** @type {string} */ name) => (await fetch(new URL(name, import.meta.url))).arrayBuffer();
  const [engine, { default: initialize }] = await Promise.all([Native.compile(read), import(`${RUNTIME}index.mjs`)]);
  /** @type {any} */ (globalThis).sqlite3ApiConfig = { warn: () => {} }; // that it cannot keep files, which nobody asks of it
  return { engine, sqlite3: await initialize({ print: () => {}, printErr: () => {} }) };
}
