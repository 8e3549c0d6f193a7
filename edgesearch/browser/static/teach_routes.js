// Let staff teach, edit and remove products, undo that, and carry it to other devices; as `teach_routes.py`.

import { describeChange } from "./changes.js";
import { toJpeg } from "./decoding.js";
import { EdgeSearchError } from "./errors.js";
import { exportOverlay, importOverlay } from "./overlay_export.js";
import { onlyFile } from "./request.js";
import { describeProduct } from "./search_routes.js";
import * as teaching from "./teaching.js";

/** @typedef {import("./shop.js").Shop} Shop */

/** @type {Record<string, import("./routes.js").Handler>} */
export const TEACH_ROUTES = {
  "POST products": async (shop, { form: { sku = "", ...fields }, photos }) => {
    if (!sku) throw new EdgeSearchError("CatalogError", "The request has no sku; give the product's SKU.");
    const details = Object.fromEntries(Object.entries(fields).filter(([, value]) => value));
    const { pictures, like, flaws } = await teaching.enrol(teacherOf(shop), sku, photos, details);
    await shop.refresh();
    return { product: describeProduct(shop, { params: [sku] }).product, pictures, like, flaws };
  },
  "PATCH products/*": async (shop, { params: [sku], json }) => {
    shop.engine.catalogue.numberOf(sku);
    await teaching.edit(teacherOf(shop), sku, json);
    await shop.refresh();
    return { product: describeProduct(shop, { params: [sku] }).product };
  },
  "DELETE products/*": async (shop, { params: [sku] }) => {
    shop.engine.catalogue.numberOf(sku);
    await teaching.remove(teacherOf(shop), sku);
    await shop.refresh();
  },
  "POST undo": async (shop) => {
    const undone = await teaching.undo(teacherOf(shop));
    await shop.refresh();
    return undone;
  },
  "GET log": async ({ taught: { overlay } }) => ({
    events: (await overlay.events()).map((event) => ({ ...event, changes: describeChange(event.detail.before ?? null, event.detail.after ?? null) })),
  }),
  "GET taught.zip": ({ taught: { overlay } }) => exportOverlay(overlay),
  "POST taught": async (shop, request) => {
    const products = await importOverlay(shop.taught.overlay, onlyFile(request), "");
    await shop.refresh();
    return { products };
  },
};

/** @param {Shop} shop @returns {teaching.Teacher} */
const teacherOf = ({ engine, taught }) => ({ engine, taught, toJpeg, who: "" });
