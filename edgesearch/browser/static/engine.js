// The search of one bundle: photos in, the product out; the steps are those of `pipeline.py`.

import { addAdvice } from "./advice.js";
import { applyLabels } from "./barcode_labels.js";
import { Bundle } from "./bundle.js";
import { Catalogue } from "./catalogue.js";
import { CompactIndex } from "./compact_index.js";
import { CONSIDERED, Calibration, sum } from "./decision.js";
import { Embedder, normalize } from "./embedder.js";
import { bundleError } from "./errors.js";
import { Gallery } from "./gallery.js";
import { extractFeatures } from "./local_features.js";
import { FILE as LOCAL_FILE, LocalIndex, NO_EVIDENCE } from "./local_index.js";
import { Native } from "./native.js";
import { writeReference } from "./packed_features.js";
import { reduce } from "./pictures.js";
import { ProductWords } from "./product_words.js";
import { collectEvidence, findCandidates, nearestPictures, scoreOf } from "./scoring.js";
import { extractStableFeatures } from "./stable_features.js";

/**
 * @typedef {import("./barcode_labels.js").Barcode} Barcode
 * @typedef {{engine: BufferSource | WebAssembly.Module, sqlite3: any}} Parts engine.wasm, and the module of sqlite-wasm
 * @typedef {import("./pictures.js").Picture & {codes?: Barcode[]}} Photo decoded and upright; codes: barcodes that were read in it
 * @typedef {{k?: number, fast?: boolean, text?: string, where?: string}} Options
 * @typedef {{picture: import("./pictures.js").Picture, crop: import("./crops.js").Crop, codes: Barcode[], embedding: Float32Array, plain: Float32Array,
 *   candidates: import("./scoring.js").Candidate[], evidence: import("./decision.js").EvidenceRow[]}} Observation
 */

export class Engine {
  /**
   * @param {Bundle} bundle
   * @param {Native} native
   * @param {Embedder} embedder
   * @param {Gallery} gallery
   * @param {ProductWords} words
   */
  constructor(bundle, native, embedder, gallery, words) {
    this.bundle = bundle;
    this.native = native;
    this.embedder = embedder;
    this.gallery = gallery;
    this.words = words;
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
  static async open(file, trusted, { engine, sqlite3 }) {
    const [bundle, native] = await Promise.all([Bundle.open(file, trusted), Native.load(engine)]);
    const [embedder, index, local, catalogue] = await Promise.all([
      Embedder.open(native, bundle), CompactIndex.open(native, bundle),
      bundle.has(LOCAL_FILE) ? LocalIndex.open(native, bundle) : null, Catalogue.open(sqlite3, bundle),
    ]);
    const gallery = new Gallery({ index, local, catalogue, base: bundle.digest });
    local?.readAhead(); // nobody waits for it
    return new Engine(bundle, native, embedder, gallery, new ProductWords(sqlite3, bundle, catalogue));
  }

  /**
   * Return what the network makes of a reference picture; `Taught` maps its embedding as the bundle says.
   * @param {Photo} photo
   */
  async makeReference(photo) {
    const picture = reduce(photo, this.embedder.decodedSide);
    const { plain } = this.embedder.embed(picture, false);
    return writeReference(plain, this.gallery.local?.encode(extractStableFeatures(this.native, picture)) ?? null);
  }

  /**
   * Answer photos of one product, as the server does, among all products or those that words and a filter leave.
   * @param {Photo[]} photos
   * @param {Options} options
   */
  async search(photos, options = {}) {
    const { text = "", where = "" } = options;
    const timer = new Timer();
    const query = text || where ? await this.words.interpret(this.catalogue, text, where, true) : null;
    timer.end("words");
    if (query?.emptiedBy.length) return addQuery(noAnswer("unknown", timer), query, 0);
    const gallery = query ? this.gallery.restrictTo(query.allowed) : this.gallery;
    const observations = [];
    for (const photo of photos) observations.push(await this.observe(photo, options, timer, gallery));
    return this.answer(observations, options, timer, gallery, query);
  }

  /**
   * Answer words and a filter without a photo.
   * @param {string} text
   * @param {string} where
   * @param {number} k
   */
  async searchWords(text, where, k) {
    const timer = new Timer();
    const query = await this.words.interpret(this.catalogue, text, where, false);
    timer.end("words");
    const { found, decision } = query.answer(this.words.table(this.catalogue));
    const pictures = nearestPictures(this.gallery, found.slice(0, k));
    const candidates = [...pictures].map(([product, { row }]) => ({ row, cosine: query.score(product), evidence: NO_EVIDENCE }));
    const matches = this.#describe(this.gallery, candidates, query).map((match) => ({ ...match, probability: null }));
    timer.end("catalog");
    return addQuery({ ...noAnswer(decision, timer), known: null, matches }, query, found.length);
  }

  /**
   * Find what a photo shows.
   * @param {Photo} photo
   * @param {Options} options
   * @returns {Promise<Observation>}
   */
  async observe(photo, { k = 5, fast = false } = {}, timer = new Timer(), gallery = this.gallery) {
    const picture = reduce(photo, this.embedder.decodedSide);
    timer.end("image");
    const { embedding, plain, crop } = this.embedder.embed(picture, fast);
    timer.end("embed");
    const extract = fast ? null : () => extractFeatures(this.native, picture, crop);
    const candidates = await findCandidates(gallery, embedding, extract, k);
    timer.end("index");
    const evidence = collectEvidence(gallery, candidates.slice(0, CONSIDERED), embedding);
    timer.end("decision");
    return { picture, crop, codes: photo.codes ?? [], embedding, plain, candidates, evidence };
  }

  /**
   * Answer what several photos of one product show.
   * @param {Observation[]} observations
   * @param {Options} options
   * @param {import("./text_query.js").Query | null} query words and a filter that were asked, too
   */
  answer(observations, { k = 5 } = {}, timer = new Timer(), gallery = this.gallery, query = null) {
    const { judged, known } = this.#judge(observations);
    const ranked = query?.ranking ? rankWithWords(gallery, judged, query, meanOf(observations)) : judged;
    const likely = this.calibration.decide(judged.map(({ probability = 0 }) => probability));
    const decision = likely === "match" && ranked[0] !== judged[0] ? "ambiguous" : likely; // the words name another product first
    timer.end("decision");
    const matches = this.#describe(gallery, ranked.slice(0, k), query, observations[0].picture);
    timer.end("catalog");
    const codes = uniqueCodes(observations);
    const seen = { ...noAnswer(decision, timer), known, matches };
    const answer = codes.length ? applyLabels(gallery, seen, codes, judged, meanOf(observations)) : seen;
    const advised = answer.decision === "match" ? answer : addAdvice(gallery, answer, observations, judged);
    timer.end("decision");
    const timed = { ...advised, elapsed_ms: timer.report() };
    return query ? addQuery(timed, query, query.allowed.reduce((sum, one) => sum + one, 0)) : timed;
  }

  /** @param {Gallery} gallery @param {import("./gallery.js").Judged[]} candidates @param {import("./text_query.js").Query | null} query @param {{width: number, height: number}} [size] */
  #describe(gallery, candidates, query, size) {
    const scored = query?.ranking ? candidates.map((one) => ({ ...one, words: query.score(gallery.ownerOf(one.row)) })) : candidates;
    return gallery.describe(scored, size);
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

/** @param {string} decision @param {Timer} timer @returns {any} */
const noAnswer = (decision, timer) => ({ decision, known: 0, matches: [], barcodes: [], conflict: "", flaw: "", guesses: {}, elapsed_ms: timer.report() });

/** @param {any} answer @param {import("./text_query.js").Query} query @param {number} found */
const addQuery = (answer, { understood, emptiedBy }, found) => ({ ...answer, understood, found, emptied_by: emptiedBy });

/** @param {Observation[]} observations */
function uniqueCodes(observations) {
  const codes = observations.flatMap((one) => one.codes);
  return [...new Map(codes.map((code) => [`${code.format} ${code.text}`, code])).values()];
}

/** Return the mean direction of all photos. @param {Observation[]} observations */
const meanOf = ([first, ...others]) => normalize(first.embedding.map((x, d) => others.reduce((sum, { embedding }) => sum + embedding[d], x)));

/**
 * Rank the candidates of a photo and of words together; each keeps its score by the photo.
 * @param {Gallery} gallery
 * @param {import("./gallery.js").Judged[]} judged
 * @param {import("./text_query.js").Query} query
 * @param {Float32Array} embedding
 */
function rankWithWords(gallery, judged, query, embedding) {
  const known = new Set(judged.map(({ row }) => gallery.ownerOf(row)));
  const others = nearestPictures(gallery, query.nearestByWords().filter((product) => !known.has(product)), embedding);
  const score = (/** @type {import("./gallery.js").Judged} */ one) => scoreOf(one) + query.score(gallery.ownerOf(one.row));
  return [...judged, ...others.values()].sort((a, b) => score(b) - score(a));
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
    this.#stages[stage] = (this.#stages[stage] ?? 0) + now - this.#before;
    this.#before = now;
  }

  report() {
    return { ...this.#stages, total: this.#before - this.#start };
  }
}
