// The search of one bundle: a photo in, the product out; the steps are those of `pipeline.py`.

import { Bundle } from "./bundle.js";
import { Catalogue } from "./catalogue.js";
import { CompactIndex } from "./compact_index.js";
import { CONSIDERED, Calibration, sum } from "./decision.js";
import { Embedder } from "./embedder.js";
import { bundleError } from "./errors.js";
import { extractFeatures } from "./local_features.js";
import { FILE as LOCAL_FILE, LocalIndex } from "./local_index.js";
import { Native } from "./native.js";
import { reduceToRgb } from "./pictures.js";
import { collectEvidence, findCandidates, scoreOf } from "./scoring.js";

/**
 * @typedef {{engine: BufferSource, ort: any, sqlite3: any}} Parts engine.wasm, and the modules of onnxruntime-web and sqlite-wasm
 * @typedef {{width: number, height: number, data: Uint8ClampedArray | Uint8Array, isJpeg: boolean}} Photo decoded and upright, RGBA, opaque
 */

export class Engine {
  /**
   * @param {Bundle} bundle
   * @param {Native} native
   * @param {Embedder} embedder
   * @param {CompactIndex} index
   * @param {LocalIndex | null} local
   * @param {Catalogue} catalogue
   */
  constructor(bundle, native, embedder, index, local, catalogue) {
    this.bundle = bundle;
    this.native = native;
    this.embedder = embedder;
    this.catalogue = catalogue;
    this.calibration = Calibration.read(bundle.manifest.calibration);
    const { owners, rows, pictured } = catalogue;
    if (index.size !== owners.length || (local && local.size !== index.size) || index.dim !== embedder.dim) {
      throw bundleError("The bundle's parts do not belong together; build it again.");
    }
    this.gallery = { index, local, owners, pictured, rowsOf: (/** @type {number} */ product) => rows[product] };
  }

  /**
   * Open a bundle; each part is verified before it is parsed.
   * @param {Blob} file
   * @param {string[]} trusted hex keys, one of which must have signed it; without any, it may be unsigned
   * @param {Parts} parts
   */
  static async open(file, trusted, { engine, ort, sqlite3 }) {
    const [bundle, native] = await Promise.all([Bundle.open(file, trusted), Native.load(engine)]);
    const [embedder, index, local, catalogue] = await Promise.all([
      Embedder.open(native, ort, bundle), CompactIndex.open(native, bundle),
      bundle.has(LOCAL_FILE) ? LocalIndex.open(native, bundle) : null, Catalogue.open(sqlite3, bundle),
    ]);
    return new Engine(bundle, native, embedder, index, local, catalogue);
  }

  /**
   * Answer a photo, as `search --json` prints it.
   * @param {Photo} photo
   * @param {{k?: number, fast?: boolean}} options
   */
  async search(photo, { k = 5, fast = false } = {}) {
    const timer = new Timer();
    const picture = reduceToRgb(photo, this.embedder.decodedSide, photo.isJpeg);
    timer.end("image");
    const { embedding, crop } = await this.embedder.embed(picture, fast);
    timer.end("embed");
    const extract = fast ? null : () => extractFeatures(this.native, picture, crop);
    const candidates = await findCandidates(this.gallery, embedding, extract, k);
    timer.end("index");
    const evidence = collectEvidence(this.gallery, candidates.slice(0, CONSIDERED), embedding);
    const probabilities = this.calibration.probabilities(evidence);
    const decision = this.calibration.decide(probabilities);
    const judged = candidates.map((candidate, i) => ({ ...candidate, probability: probabilities[i] ?? 0 }));
    judged.sort((a, b) => b.probability - a.probability || scoreOf(b) - scoreOf(a));
    timer.end("decision");
    const matches = this.#describe(judged.slice(0, k));
    timer.end("catalog");
    return { decision, known: sum(probabilities), matches, elapsed_ms: timer.report(), embedding };
  }

  /** @param {(import("./scoring.js").Candidate & {probability: number})[]} judged */
  #describe(judged) {
    const products = this.catalogue.products(judged.map(({ row }) => this.gallery.owners[row]));
    return judged.map((candidate, i) => ({
      ...products[i], score: scoreOf(candidate), row: candidate.row, image: this.catalogue.source(candidate.row),
      points: candidate.evidence.points, mirrored: candidate.evidence.mirrored, probability: candidate.probability,
    }));
  }
}

/** The milliseconds of each stage. */
class Timer {
  #start = performance.now();
  #before = this.#start;
  /** @type {Record<string, number>} */
  #stages = {};

  /** @param {string} stage */
  end(stage) {
    const now = performance.now();
    this.#stages[stage] = now - this.#before;
    this.#before = now;
  }

  report() {
    return { ...this.#stages, total: this.#before - this.#start };
  }
}
