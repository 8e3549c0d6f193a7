// Let staff teach, edit and remove products, and undo that; as `teach_routes.py`.

import { toJpeg } from "./decoding.js";
import { EdgeSearchError } from "./errors.js";
import { describeProduct } from "./search_routes.js";
import * as teaching from "./teaching.js";

/** @typedef {import("./shop.js").Shop} Shop */

/** @type {Record<string, import("./routes.js").Handler>} */
export const TEACH_ROUTES = {
  "POST products": async (shop, { form: { sku = "", ...fields }, photos, who }) => {
    if (!sku) throw new EdgeSearchError("CatalogError", "The request has no sku; give the product's SKU.");
    const details = Object.fromEntries(Object.entries(fields).filter(([, value]) => value));
    const { pictures, like, flaws } = await teaching.enrol(teacherOf(shop, who), sku, photos, details);
    await shop.refresh();
    return { product: describeProduct(shop, { params: [sku] }).product, pictures, like, flaws };
  },
  "PATCH products/*": async (shop, { params: [sku], json, who }) => {
    shop.engine.catalogue.numberOf(sku);
    await teaching.edit(teacherOf(shop, who), sku, json);
    await shop.refresh();
    return { product: describeProduct(shop, { params: [sku] }).product };
  },
  "DELETE products/*": async (shop, { params: [sku], who }) => {
    shop.engine.catalogue.numberOf(sku);
    await teaching.remove(teacherOf(shop, who), sku);
    await shop.refresh();
  },
  "POST undo": async (shop, { who }) => {
    const undone = await teaching.undo(teacherOf(shop, who));
    await shop.refresh();
    return undone;
  },
};

/** @param {Shop} shop @param {string} who @returns {teaching.Teacher} */
const teacherOf = ({ engine, taught }, who) => ({ engine, taught, toJpeg, who });
