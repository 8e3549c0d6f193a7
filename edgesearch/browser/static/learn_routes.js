// Let photos teach the device, and let staff list, settle and take back what it learned; as `learn_routes.py`.

import { EdgeSearchError, missingError } from "./errors.js";
import { onlyFile } from "./request.js";
import { read } from "./search_routes.js";
import { LEARNED } from "./taught_catalogue.js";

/**
 * @typedef {import("./shop.js").Shop} Shop
 * @typedef {Record<string, import("./routes.js").Handler>} Routes
 */

/** @type {Routes} For everybody */
export const USE_ROUTES = {
  "POST learn": async (shop, request) => {
    const { engine, learner } = shop;
    const photo = await read(engine, onlyFile(request));
    const lesson = await learner.learn(engine, await engine.observe(photo), request.query.sku ?? "", await personOf(shop));
    await shop.refresh();
    return lesson;
  },
  "POST learned/dismiss": async (shop, { query: { row } }) => {
    const number = -Number(row) - LEARNED;
    if (number > 0) await shop.learner.dismiss(number, await personOf(shop));
    await shop.refresh();
  },
};

/** @type {Routes} For staff */
export const SETTLE_ROUTES = {
  "GET learning": ({ learner }) => learner.pictures.settings(),
  "GET learned": async ({ learner }) => ({ learned: await learner.pictures.all() }),
  "GET learned/*/picture": async ({ learner }, { params: [number] }) => {
    const content = await learner.pictures.picture(Number(number));
    if (!content) throw missingError(`${number}: no learned picture of that number is kept.`);
    return new Blob([/** @type {BlobPart} */ (content)], { type: "image/jpeg" });
  },
  "POST learned/accept": async (shop, { query: { number = "", sku = null }, who }) => {
    if (sku !== null) shop.engine.catalogue.numberOf(sku);
    const learned = await shop.learner.accept(numbersOf(number), sku, who);
    await shop.refresh();
    return { learned };
  },
  "DELETE learned": async (shop, { query: { number = "", day, person, sku }, who }) => {
    if (!(number || day || person || sku)) throw new EdgeSearchError("BadRequest", "The request names no pictures; give number, day, person or sku.");
    const learned = await shop.learner.takeBack({ number: numbersOf(number), day, person, sku }, who);
    await shop.refresh();
    return { learned };
  },
};

/** @type {Routes} For managers */
export const SWITCH_ROUTES = {
  "PUT learning": ({ learner }, { json, who }) => {
    const changes = Object.fromEntries(Object.entries(json ?? {}).filter(([name, value]) => SETTINGS[name]?.(value)));
    if (typeof changes.on !== "boolean" || Object.keys(changes).length < Object.keys(json).length) throw new EdgeSearchError("BadRequest", "on: expected true or false, and limits of at least 1.");
    return learner.pictures.changeSettings(changes, who);
  },
  "DELETE learned/all": async (shop, { who }) => {
    const { pictures } = shop.learner;
    const erased = await pictures.delete((await pictures.all()).map(({ number }) => number), who, "erase");
    await shop.refresh();
    return { erased: erased.length };
  },
};

const isFlag = (/** @type {unknown} */ value) => typeof value === "boolean";
const isLimit = (/** @type {unknown} */ value) => Number.isInteger(value) && Number(value) >= 1;
/** @type {Record<string, (value: unknown) => boolean>} */
const SETTINGS = { on: isFlag, customers: isFlag, vectors_only: isFlag, per_product: isLimit, max_mb: isLimit };

/** @param {Shop} shop */
async function personOf({ access }) {
  const { role, name } = await access.me();
  return { who: name, mayTeach: role !== "customer" };
}

/** @param {string} text */
const numbersOf = (text) => text.split(",").filter(Boolean).map(Number);
