// The search of one bundle: photos in, the product out; the steps are those of `pipeline.py`.

import { addAdvice } from "./advice.js";
import { Bundle } from "./bundle.js";
import { Catalogue } from "./catalogue.js";
import { CompactIndex } from "./compact_index.js";
import { CONSIDERED, Calibration, sum } from "./decision.js";
import { Embedder } from "./embedder.js";
import { bundleError } from "./errors.js";
import { Gallery } from "./gallery.js";
import { extractFeatures } from "./local_features.js";
import { FILE as LOCAL_FILE, LocalIndex } from "./local_index.js";
import { Native } from "./native.js";
import { writeReference } from "./packed_features.js";
import { reduceToRgb } from "./pictures.js";
import { collectEvidence, findCandidates, scoreOf } from "./scoring.js";
import { extractStableFeatures } from "./stable_features.js";

/**
 * @typedef {{engine: BufferSource, ort: any, sqlite3: any}} Parts engine.wasm, and the modules of onnxruntime-web and sqlite-wasm
 * @typedef {{width: number, height: number, data: Uint8ClampedArray | Uint8Array, isJpeg: boolean}} Photo decoded and upright, RGBA, opaque
 * @typedef {{k?: number, fast?: boolean}} Options
 * @typedef {{picture: import("./pictures.js").Picture, crop: import("./crops.js").Crop, embedding: Float32Array,
 *   candidates: import("./scoring.js").Candidate[], evidence: import("./decision.js").EvidenceRow[]}} Observation
 */

export class Engine {
  /**
   * @param {Bundle} bundle
   * @param {Native} native
   * @param {Embedder} embedder
   * @param {Gallery} gallery
   */
  constructor(bundle, native, embedder, gallery) {
    this.bundle = bundle;
    this.native = native;
    this.embedder = embedder;
    this.gallery = gallery;
    this.calibration = Calibration.read(bundle.manifest.calibration);
    const { index, local, catalogue } = gallery;
    if (index.size !== catalogue.owners.length || (local && local.size !== index.size) || index.dim !== embedder.dim) {
      throw bundleError("The bundle's parts do not belong together; build it again.");
    }
  }

  /** The products that are shown now: the bundle's, and what the device was taught. */
  get catalogue() {
    return this.gallery.catalogue;
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
    return new Engine(bundle, native, embedder, new Gallery({ index, local, catalogue, base: bundle.digest }));
  }

  /**
   * Return what the network makes of a reference picture; `Taught` maps its embedding as the bundle says.
   * @param {Photo} photo
   */
  async makeReference(photo) {
    const picture = reduceToRgb(photo, this.embedder.decodedSide, photo.isJpeg);
    const { plain } = await this.embedder.embed(picture, false);
    return writeReference(plain, this.gallery.local?.encode(extractStableFeatures(this.native, picture)) ?? null);
  }

  /**
   * Answer photos of one product, as the server does.
   * @param {Photo[]} photos
   * @param {Options} options
   */
  async search(photos, options = {}) {
    const timer = new Timer();
    const observations = [];
    for (const photo of photos) observations.push(await this.observe(photo, options, timer));
    return this.answer(observations, options, timer);
  }

  /**
   * Find what a photo shows.
   * @param {Photo} photo
   * @param {Options} options
   * @returns {Promise<Observation>}
   */
  async observe(photo, { k = 5, fast = false } = {}, timer = new Timer(), gallery = this.gallery) {
    const picture = reduceToRgb(photo, this.embedder.decodedSide, photo.isJpeg);
    timer.end("image");
    const { embedding, crop } = await this.embedder.embed(picture, fast);
    timer.end("embed");
    const extract = fast ? null : () => extractFeatures(this.native, picture, crop);
    const candidates = await findCandidates(gallery, embedding, extract, k);
    timer.end("index");
    const evidence = collectEvidence(gallery, candidates.slice(0, CONSIDERED), embedding);
    timer.end("decision");
    return { picture, crop, embedding, candidates, evidence };
  }

  /**
   * Answer what several photos of one product show.
   * @param {Observation[]} observations
   * @param {Options} options
   */
  answer(observations, { k = 5 } = {}, timer = new Timer(), gallery = this.gallery) {
    const { judged, known } = this.#judge(observations);
    const decision = this.calibration.decide(judged.map(({ probability = 0 }) => probability));
    timer.end("decision");
    const matches = gallery.describe(judged.slice(0, k), observations[0].picture);
    timer.end("catalog");
    const answer = { decision, known, matches, barcodes: [], conflict: "", flaw: "", guesses: {} };
    const advised = decision === "match" ? answer : addAdvice(gallery, answer, observations, judged);
    timer.end("decision");
    return { ...advised, elapsed_ms: timer.report() };
  }

  /**
   * Turn the evidence of all photos into probabilities; the best evidence for each product counts.
   * @param {Observation[]} observations
   * @returns {{judged: import("./gallery.js").Judged[], known: number}} the most likely first
   */
  #judge(observations) {
    /** @type {Map<number, import("./scoring.js").Candidate>} */
    const best = new Map();
    /** @type {Map<number, import("./decision.js").EvidenceRow>} */
    const evidence = new Map();
    for (const one of observations) {
      one.candidates.forEach((candidate, i) => {
        const product = this.gallery.ownerOf(candidate.row);
        const [before, row] = [best.get(product), one.evidence[i]];
        if (!before || scoreOf(candidate) > scoreOf(before)) best.set(product, candidate);
        if (row) evidence.set(product, strongest(evidence.get(product) ?? row, row));
      });
    }
    const probabilities = this.calibration.probabilities([...evidence.values()]);
    const likely = new Map([...evidence.keys()].map((product, i) => [product, probabilities[i]]));
    const judged = [...best].map(([product, candidate]) => ({ ...candidate, probability: likely.get(product) ?? 0 }));
    judged.sort((a, b) => b.probability - a.probability || scoreOf(b) - scoreOf(a));
    return { judged, known: sum(probabilities) };
  }
}

/** @param {import("./decision.js").EvidenceRow} one @param {import("./decision.js").EvidenceRow} other */
const strongest = (one, other) => ({
  nearest: Math.max(one.nearest, other.nearest), mean: Math.max(one.mean, other.mean),
  printed: Math.max(one.printed, other.printed), pictures: Math.max(one.pictures, other.pictures),
});

/** The milliseconds of each stage. */
class Timer {
  #start = performance.now();
  #before = this.#start;
  /** @type {Record<string, number>} */
  #stages = {};

  /** @param {string} stage */
  end(stage) {
    const now = performance.now();
    this.#stages[stage] = (this.#stages[stage] ?? 0) + now - this.#before;
    this.#before = now;
  }

  report() {
    return { ...this.#stages, total: this.#before - this.#start };
  }
}
