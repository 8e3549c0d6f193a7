// Learn from use: from photos whose product a person names; see `learner.py`.

import { clip } from "./crops.js";
import { CONSIDERED } from "./decision.js";
import { toJpeg } from "./decoding.js";
import { groupOf } from "./learned_pictures.js";
import * as rules from "./learning_rules.js";
import { CROP_MARGIN, extractFeatures } from "./local_features.js";
import { nameOf, timeNow } from "./overlay.js";
import { readReference, writeReference } from "./packed_features.js";
import { ADVICE, findFlaw } from "./quality.js";
import { compareRows, findNearest } from "./scoring.js";
import { LEARNED } from "./taught_catalogue.js";

const TRUST = 0.7; // of a choice by staff
const CUSTOMER_TRUST = 0.4; // below `ALONE` two must agree
const ALONE = 0.5;
const DISMISSALS = 2; // after which a picture is set aside
const MOST_UNUSED = 16; // pictures of a product that wait or are set aside
const MB = 1_000_000;
const PICTURE_SIDE = 384; // px
const FEATURES = 256;
const MIN_SIDE = 8; // px

/**
 * @typedef {import("./learned_pictures.js").LearnedPicture} LearnedPicture
 * @typedef {import("./engine.js").Engine} Engine
 * @typedef {import("./engine.js").Observation} Observation
 * @typedef {{sku: string, state: "used" | "waiting" | "aside" | "refused", why: string, number: number}} Lesson
 * @typedef {{reference: Uint8Array, vector: Float32Array, picture: Uint8Array}} NewPicture
 */

export class Learner {
  /** @param {import("./taught.js").Taught} taught */
  constructor(taught) {
    this.pictures = taught.learned;
    this.taught = taught;
  }

  /**
   * Learn from a photo that a person says shows a product, if that is worth it.
   * @param {Engine} engine
   * @param {Observation} observation
   * @param {string} sku
   * @param {{who: string, mayTeach: boolean}} person
   * @returns {Promise<Lesson>}
   */
  async learn(engine, observation, sku, { who, mayTeach }) {
    const refuse = (/** @type {string} */ why) => /** @type {Lesson} */ ({ sku, state: "refused", why, number: 0 });
    const settings = await this.pictures.settings();
    const { gallery } = engine;
    const product = gallery.catalogue.numberOf(sku);
    if (!settings.on) return refuse("learning is off");
    if (!mayTeach && !settings.customers) return refuse("customers do not teach this device");
    if (observation.codes.length) return refuse("it shows a barcode, which a network would learn instead; show another side.");
    const flaw = findFlaw(observation.picture, observation.crop);
    if (flaw && flaw !== "far") return refuse(ADVICE[/** @type {keyof ADVICE} */ (flaw)]);
    const made = await makePicture(engine, observation);
    if (rules.addsNothing(made.vector, gallery.rowsOf(product).map((row) => gallery.vectorOf(row)))) return refuse("it adds nothing to what is known");
    const learned = new Map((await this.pictures.all()).map((one) => [one.number, one]));
    const trust = mayTeach ? TRUST : CUSTOMER_TRUST;
    /** @type {LearnedPicture} */
    let one = { number: 0, sku, time: timeNow(), source: "choice", code: "", who, device: settings.device, trust, state: "used", why: "", like: "", against: 0, name: "", size_bytes: 0 };
    const near = findNeighbours(engine, learned, made.vector, product);
    const rival = findRival(engine, near, product, groupOf(one));
    if (rival) {
      one = { ...one, state: "aside", why: `the choice says ${sku}, but it looks like ${rival}`, like: rival };
      return this.#store(engine, one, made, learned, settings, []);
    }
    const agreeing = await this.#findAgreeing(engine, one, made.vector, rules.nearestOther(product, near), learned);
    if (trust < ALONE && !agreeing.length) one = { ...one, state: "waiting", why: "no other choice agrees yet" };
    else if (!agreeing.length && !rules.isSupported(product, groupOf(one), near)) {
      one = { ...one, state: "waiting", why: "it looks unlike the product so far; no other day agrees yet" };
    }
    return this.#store(engine, one, made, learned, settings, agreeing);
  }

  /** Use pictures that wait or were set aside: a person says that they are right. @param {number[]} numbers @param {string | null} sku that they show, null for the one that their label says @param {string} who */
  async accept(numbers, sku, who) {
    const chosen = (await this.pictures.all()).filter(({ number }) => numbers.includes(number));
    const accepted = chosen.map((one) => ({ ...one, sku: sku ?? one.sku, state: /** @type {const} */ ("used"), why: "", like: "", against: 0, trust: 1 }));
    await this.pictures.change(accepted, who);
    return accepted;
  }

  /** Delete pictures for good: by number, or those of a day, a person and a product. @param {{number?: number[], day?: string, person?: string, sku?: string}} wanted @param {string} who */
  async takeBack({ number = [], day, person, sku }, who) {
    const fits = (/** @type {LearnedPicture} */ one) => one.time.startsWith(day ?? "") && (person === undefined || one.who === person) && (sku === undefined || one.sku === sku);
    const found = day === undefined && person === undefined && sku === undefined ? [] : (await this.pictures.all()).filter(fits);
    return this.pictures.delete([...number, ...found.map((one) => one.number)], who);
  }

  /** Count a dismissed match against the learned picture that caused it; two set it aside, or one of staff. @param {number} number @param {{who: string, mayTeach: boolean}} person */
  async dismiss(number, { who, mayTeach }) {
    const settings = await this.pictures.settings();
    const found = (await this.pictures.all()).find((one) => one.number === number);
    if (!found || !settings.on || !(mayTeach || settings.customers)) return;
    const against = found.against + (mayTeach ? DISMISSALS : 1);
    const isOut = against >= DISMISSALS && found.state === "used";
    await this.pictures.change([{ ...found, against, ...(isOut ? { state: /** @type {const} */ ("aside"), why: "its match was dismissed" } : {}) }], who);
  }

  /** Return waiting pictures of the same product, of another group, that are nearer than another product is. @param {Engine} engine @param {LearnedPicture} one @param {Float32Array} vector @param {number} other @param {Map<number, LearnedPicture>} learned */
  async #findAgreeing({ embedder }, one, vector, other, learned) {
    const waiting = [...learned.values()].filter((known) => known.sku === one.sku && known.state === "waiting" && (groupOf(known) !== groupOf(one) || known.trust < ALONE));
    const stored = await this.pictures.references(this.taught.space, waiting.map(({ number }) => number));
    return [...stored].filter(([, content]) => {
      const cosine = rules.cosineOf(embedder.whiten(readReference(content, embedder.dim).embedding), vector);
      return cosine > other && cosine < rules.NOTHING_NEW;
    }).map(([number]) => number);
  }

  /** Store a picture, and drop what adds least if there are too many. @param {Engine} engine @param {LearnedPicture} one @param {NewPicture} made @param {Map<number, LearnedPicture>} learned @param {import("./learned_pictures.js").Settings} settings @param {number[]} confirmed @returns {Promise<Lesson>} */
  async #store(engine, one, { reference, vector, picture: made }, learned, settings, confirmed) {
    const picture = settings.vectors_only ? null : made;
    const unused = [...learned.values()].filter(({ sku, state }) => sku === one.sku && state === one.state).map(({ number }) => number);
    let dropped = one.state === "used" ? chooseDropped(engine, one, vector, learned, settings.per_product) : unused.slice(0, Math.max(0, unused.length + 1 - MOST_UNUSED));
    if (dropped.includes(0)) return { sku: one.sku, state: "refused", why: "it adds less than what is known", number: 0 };
    dropped = [...dropped, ...makeRoom(learned, dropped, reference.length + (picture?.length ?? 0), settings.max_mb * MB)];
    const stored = await this.pictures.add({ ...one, name: await nameOf(picture ?? reference) }, picture, this.taught.space, reference, dropped, confirmed);
    return { sku: one.sku, state: one.state, why: one.why, number: stored.number };
  }
}

/** Make a reference picture of what a search observed. @param {Engine} engine @param {Observation} observation @returns {Promise<NewPicture>} */
async function makePicture({ native, embedder, gallery: { local } }, { picture, crop, plain }) {
  const { count, keypoints, descriptors } = extractFeatures(native, picture, crop);
  const kept = Math.min(count, FEATURES);
  const features = local?.encode({ count: kept, keypoints: keypoints.subarray(0, 4 * kept), descriptors: descriptors.subarray(0, 128 * kept) }) ?? null;
  return { reference: writeReference(plain, features), vector: embedder.whiten(plain), picture: await toJpeg(cutOut(picture, crop), PICTURE_SIDE) };
}

/** Return the part of a picture around a crop. @param {import("./pictures.js").Picture} picture @param {import("./crops.js").Crop} crop */
function cutOut(picture, crop) {
  let [left, top, right, bottom] = clip(crop, picture, CROP_MARGIN);
  if (Math.min(right - left, bottom - top) < MIN_SIDE) [left, top, right, bottom] = [0, 0, picture.width, picture.height];
  const [width, height] = [right - left, bottom - top];
  const pixels = new Uint8Array(3 * width * height);
  for (let y = 0; y < height; y++) {
    const from = 3 * ((top + y) * picture.width + left);
    pixels.set(picture.pixels.subarray(from, from + 3 * width), 3 * y * width);
  }
  return { width, height, pixels };
}

/** Return the pictures nearest to a new one, and all of its product. @param {Engine} engine @param {Map<number, LearnedPicture>} learned @param {Float32Array} vector @param {number} product @returns {rules.Neighbour[]} */
function findNeighbours({ gallery }, learned, vector, product) {
  const nearest = findNearest(gallery, vector, CONSIDERED).filter(({ row }) => gallery.ownerOf(row) !== product);
  const candidates = [...nearest, ...compareRows(gallery, gallery.rowsOf(product), vector)];
  return candidates.map(({ row, cosine }) => {
    const one = learned.get(learnedNumber(gallery, row));
    return { product: gallery.ownerOf(row), cosine, group: one ? groupOf(one) : `row ${row}` };
  });
}

/** Return the SKU of a product that a picture resembles much more than its own; "" if there is none. @param {Engine} engine @param {rules.Neighbour[]} neighbours @param {number} product @param {string} group */
function findRival({ gallery }, neighbours, product, group) {
  const rival = rules.findRival(product, group, neighbours);
  if (!rival || !rules.isUsual(rival.cosine, gallery.rowsOf(rival.product).map((row) => gallery.vectorOf(row)))) return "";
  return gallery.catalogue.products([rival.product])[0].sku;
}

/** Return the number of a row's learned picture; 0 or less if it is none. @param {import("./gallery.js").Gallery} gallery @param {number} row */
const learnedNumber = ({ catalogue }, row) => -catalogue.rowToShow(row) - LEARNED;

/** Return the numbers of the product's learned pictures to drop for a new one; 0 stands for the new one. @param {Engine} engine @param {LearnedPicture} one @param {Float32Array} vector @param {Map<number, LearnedPicture>} learned @param {number} limit */
function chooseDropped({ gallery }, one, vector, learned, limit) {
  const rows = gallery.rowsOf(gallery.catalogue.numberOf(one.sku)).map((row) => ({ row, number: learnedNumber(gallery, row) }));
  const own = rows.filter(({ number }) => learned.has(number)).sort((a, b) => a.number - b.number);
  const fixed = rows.filter(({ number }) => !learned.has(number)).map(({ row }) => gallery.vectorOf(row));
  const groups = [...own.map(({ number }) => groupOf(/** @type {LearnedPicture} */ (learned.get(number)))), groupOf(one)];
  const dropped = rules.chooseDropped([...own.map(({ row }) => gallery.vectorOf(row)), vector], fixed, groups, limit);
  return dropped.map((i) => own[i]?.number ?? 0);
}

/** Return more pictures to drop so that all fit the limit: those not in use, then of the product with most. @param {Map<number, LearnedPicture>} learned @param {number[]} dropped @param {number} bytes @param {number} limit */
export function makeRoom(learned, dropped, bytes, limit) {
  let kept = [...learned.values()].filter(({ number }) => !dropped.includes(number));
  let total = kept.reduce((sum, one) => sum + one.size_bytes, bytes);
  const going = [];
  while (total > limit && kept.length) {
    const countOf = (/** @type {LearnedPicture} */ one) => kept.filter(({ sku }) => sku === one.sku).length;
    const rank = (/** @type {LearnedPicture} */ one) => [Number(one.state === "used"), -countOf(one), one.number];
    const [least] = kept.map((one) => ({ one, rank: rank(one) })).sort((a, b) => a.rank[0] - b.rank[0] || a.rank[1] - b.rank[1] || a.rank[2] - b.rank[2]);
    total -= least.one.size_bytes;
    going.push(least.one.number);
    kept = kept.filter((one) => one !== least.one);
  }
  return going;
}
