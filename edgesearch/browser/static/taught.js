// Merge what the device was taught into the gallery that searches use; see `overlay_gallery.py`.

import { sha256 } from "./bundle.js";
import { Gallery } from "./gallery.js";
import { readReference } from "./packed_features.js";
import { LEARNED, TaughtCatalogue } from "./taught_catalogue.js";

/**
 * @typedef {import("./engine.js").Engine} Engine
 * @typedef {(picture: Blob, neededSide: number) => Promise<import("./pictures.js").Picture>} Decode
 * @typedef {import("./overlay.js").Overlay | import("./learned_pictures.js").LearnedPictures} Source
 */

/** Return the hashes of what a reference depends on: the network with its preprocessing, the codebook, and both. @param {Record<string, string>} hashes of a manifest */
export async function spaceOf({ model, preprocessing, local = "" }) {
  const hash = (/** @type {string[]} */ parts) => sha256(new TextEncoder().encode(JSON.stringify(parts)));
  const network = await hash([model, preprocessing]);
  return { network, local, space: await hash([network, local]) };
}

export class Taught {
  /** @type {Engine | null} */
  #engine = null;
  #version = -1;
  /** @type {import("./gallery.js").Parts | null} */
  #base = null;
  #space = "";
  /** References by the overlay's number of their picture. @type {Map<number, {vector: Float32Array, features: import("./packed_features.js").PackedFeatures | null}>} */
  #references = new Map();

  /** @param {import("./overlay.js").Overlay} overlay @param {import("./learned_pictures.js").LearnedPictures} learned @param {Decode} decode */
  constructor(overlay, learned, decode) {
    this.overlay = overlay;
    this.learned = learned;
    this.decode = decode;
  }

  /** Let an engine find what any tab of this device was taught by now; return whether that was more or less than before. @param {Engine} engine */
  async refresh(engine) {
    if (engine !== this.#engine) await this.#begin(engine);
    if (await this.overlay.version() === this.#version) return false;
    const { version, changes } = await this.overlay.snapshot();
    const base = /** @type {import("./gallery.js").Parts} */ (this.#base);
    const used = (await this.learned.all()).filter(({ state }) => state === "used");
    await this.#load(engine, this.learned, LEARNED, used.map(({ number }) => number));
    const known = used.filter(({ number }) => this.#references.has(LEARNED + number));
    const catalogue = new TaughtCatalogue(/** @type {any} */ (base.catalogue), changes, known, (number) => this.#picture(number));
    await this.#load(engine, this.overlay, 0, catalogue.pictures.map(({ number }) => number).filter((number) => number < LEARNED));
    const found = catalogue.pictures.map(({ number }) => /** @type {any} */ (this.#references.get(number)));
    const features = found.map((one) => one.features).filter(Boolean);
    const local = features.length && base.local ? base.local.build(features) : null;
    engine.gallery = new Gallery({ ...base, catalogue, taught: { vectors: found.map(({ vector }) => vector), local } });
    this.#version = version;
    return true;
  }

  /** The space in which references of the open bundle can be compared. */
  get space() {
    return this.#space;
  }

  /** The bundle's own catalogue. @returns {import("./catalogue.js").Catalogue} */
  get bundled() {
    return /** @type {any} */ (this.#base).catalogue;
  }

  /** @param {Engine} engine */
  async #begin(engine) {
    const { space } = await spaceOf(engine.bundle.manifest.hashes);
    this.#references.clear();
    [this.#engine, this.#version, this.#base, this.#space] = [engine, -1, engine.gallery.parts, space];
  }

  /**
   * Read the references of pictures; compute and store those that another network computed last. Those of which no picture is kept are left out.
   * @param {Engine} engine
   * @param {Source} source
   * @param {number} offset of its numbers
   * @param {number[]} wanted
   */
  async #load(engine, source, offset, wanted) {
    const missing = wanted.filter((number) => !this.#references.has(offset + number));
    const stored = await source.references(this.#space, missing);
    /** @type {Map<number, Uint8Array>} */
    const computed = new Map();
    for (const number of missing.filter((one) => !stored.has(one))) {
      const picture = await source.picture(number);
      if (picture) computed.set(number, await engine.makeReference(await this.decode(new Blob([/** @type {BlobPart} */ (picture)], { type: "image/jpeg" }), engine.embedder.decodedSide)));
    }
    if (computed.size) await source.storeReferences(this.#space, computed).catch(() => {}); // a full device computes them each time
    for (const [number, content] of [...stored, ...computed]) {
      const { embedding, features } = readReference(content, engine.embedder.dim);
      this.#references.set(offset + number, { vector: engine.embedder.whiten(embedding), features });
    }
  }

  /** @param {number} number */
  #picture(number) {
    return number > LEARNED ? this.learned.picture(number - LEARNED) : this.overlay.picture(number);
  }
}
