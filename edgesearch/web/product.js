// A product: as a card, as a tile, and as a page that staff can edit.

import * as api from "./api.js";
import { show } from "./host.js";
import { button, dialog, field, h, icon } from "./dom.js";
import { money, t } from "./i18n.js";

const FEW = 3;
const ALIKE = 6; // alternatives
const CONDITIONS = { all: {}, cheaper: { cheaper: true }, brand: { other_brand: true }, stock: { in_stock: true } };

const COLOURS = ["black", "white", "grey", "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown"]; // as the server names them

/** Return colours in this language; those of the shop's own as they are. */
export const colourName = (value) => value.split(", ").map((one) => t("colours").split(" ")[COLOURS.indexOf(one)] ?? one).join(", ");

/** Return the path of a product's picture. */
export const picturePath = (match) => match.picture || `v1/pictures/${encodeURIComponent(match.sku)}`;

/** Return an image with a picture of the API; given: as for `h`. */
export function pictureAt(path, given = {}) {
  const image = h("img", { alt: "", ...given });
  show(image, path);
  return image;
}

const image = (match) => picture(match, t("product.picture", { name: match.name }));

/** Return a product's picture; none: a drawing of a box. */
export const picture = (match, alt = "") => h("div", { class: "picture" }, pictureAt(picturePath(match), { alt, decoding: "async", loading: "lazy",
  onerror: (event) => event.target.replaceWith(icon("box")) }));

/** Return the stock in words, which a colour supports. */
function stock(match) {
  if (match.stock === null || match.stock === undefined) return null;
  const kind = match.stock <= 0 ? "out" : match.stock <= FEW ? "few" : "in";
  return h("span", { class: `stock ${kind}` }, h("i", { "aria-hidden": "true" }), t(`product.${kind}`, { n: match.stock }));
}

function price(match) {
  const amount = money(match.price, match.currency);
  return h("p", { class: amount ? "price" : "price ask" }, amount || t("product.noprice"));
}

/** Return a card with picture, name, price, location and stock. */
export function productCard(match, level = "h2") {
  return h("article", { class: "product" }, image(match), h("div", { class: "facts" },
    match.brand && h("p", { class: "brand" }, match.brand),
    h(level, { class: "name" }, match.name), price(match),
    h("ul", { class: "where" },
      h("li", {}, icon("pin"), h("span", { class: "quiet-visually" }, `${t("product.place")}: `), match.location || t("product.noplace")),
      stock(match) && h("li", {}, icon("box"), stock(match)))));
}

/** Return a small button for a product; note: an extra line. */
export function productTile(match, onclick, note = "") {
  return h("li", {}, h("button", { type: "button", class: "tile", onclick }, image(match),
    h("span", { class: "tile-words" }, h("span", { class: "tile-name" }, match.name),
      money(match.price, match.currency) && h("span", { class: "tile-price" }, money(match.price, match.currency)), note && h("span", { class: "quiet" }, note),
      match.location && h("span", { class: "quiet tile-place" }, icon("pin"), match.location))));
}

/** Return alternatives to a product, those of its category first. */
async function similar(match, conditions) {
  const { matches } = await api.get(`similar/${encodeURIComponent(match.sku)}`, { k: 3 * ALIKE, ...conditions });
  const isSame = ({ category }) => Boolean(category) && category === match.category;
  return [...matches.filter(isSame), ...matches.filter((one) => !isSame(one))].slice(0, ALIKE);
}

/** Return a section of alternatives to a product. */
export function alternatives(app, match) {
  const list = h("ul", { class: "tiles" });
  const conditions = h("div", { class: "chips", role: "group", "aria-label": t("alike.title") });
  const has = { all: true, cheaper: match.price > 0, brand: match.brand, stock: app.facets.has_stock !== false };
  const offered = Object.keys(CONDITIONS).filter((name) => has[name]);
  const element = h("section", { class: "alike" }, h("h2", {}, t("alike.title")), conditions, list);
  async function show(condition) {
    conditions.replaceChildren(...(offered.length > 1 ? offered : []).map((name) =>
      h("button", { type: "button", class: "chip", "aria-pressed": String(name === condition), onclick: () => show(name) }, t(`alike.${name}`))));
    try {
      const matches = await similar(match, CONDITIONS[condition]);
      list.replaceChildren(...matches.map((one) => productTile(one, () => app.go("product", { sku: one.sku, match: one }))));
      if (!matches.length) throw new api.ApiError(404, "CatalogError", "none");
    } catch (error) {
      if (error instanceof api.ApiError) list.replaceChildren(h("li", { class: "quiet" }, t("alike.none")));
    }
  }
  show("all");
  return element;
}

/** Show one product as a page. */
export function product(app, { sku, match = null }) {
  if (!sku) return null;
  const body = h("div", { class: "product-body" });
  const again = () => app.go("find", {}, true);
  const element = h("section", { class: "page narrow" }, body, h("div", { class: "answer-foot" }, button("primary", "next", t("answer.again"), again)));
  async function fill() {
    try {
      const found = await api.get(`products/${encodeURIComponent(sku)}`);
      const whole = { ...match, ...found.product };
      const rows = ["sku", "category", "brand", "barcode"].filter((name) => whole[name]);
      body.replaceChildren(...[productCard(whole, "h1"),
        whole.description && h("p", { class: "lead" }, whole.description),
        h("dl", { class: "details" }, rows.map((name) => [h("dt", {}, t(`product.${name}`)), h("dd", {}, whole[name])]),
          Object.entries(whole.attributes ?? {}).map(([name, value]) => (name === "colour"
          ? [h("dt", {}, t("words.colour")), h("dd", {}, colourName(value))] : [h("dt", {}, name), h("dd", {}, value)]))),
        app.isStaff && app.health.can_teach && h("div", { class: "row" },
          button("", "edit", t("product.edit"), () => edit(app, whole, fill)),
          button("", "teach", t("teach.photo"), () => app.go("teach", { sku, name: whole.name }))),
        alternatives(app, whole)].filter(Boolean));
    } catch (error) {
      if (error.status === 404) body.replaceChildren(h("h1", {}, t("product.gone")));
      else app.failed(error);
    }
  }
  if (match) body.replaceChildren(productCard(match, "h1"));
  return { element, layout: "page", trigger: again, enter: fill };
}

const EDITED = { name: ["text", "teach.name"], price: ["number", "product.price"], location: ["text", "product.place"], stock: ["number", "teach.stock"] };

/** Open a dialog to edit or remove a product; both can be undone. */
function edit(app, whole, again) {
  const inputs = Object.fromEntries(Object.entries(EDITED).map(([name, [type]]) =>
    [name, h("input", { type, value: whole[name] ?? "", step: name === "price" ? "0.01" : "1", min: type === "number" ? "0" : null })]));
  const undo = { words: t("product.undo"), run: async () => { await api.post("undo", {}).then(() => app.toast(t("product.undone")), (error) => app.failed(error)); again(); } };
  async function change(method, json, words) {
    try {
      await api.ask(method, `products/${encodeURIComponent(whole.sku)}`, { json });
      shown.close();
      app.toast(words, undo);
      again();
    } catch (error) {
      app.failed(error);
    }
  }
  const save = (event) => {
    event.preventDefault();
    const value = (name) => (EDITED[name][0] === "number" && inputs[name].value !== "" ? Number(inputs[name].value) : inputs[name].value || null);
    const changed = Object.keys(EDITED).filter((name) => String(whole[name] ?? "") !== inputs[name].value);
    if (changed.length) change("PATCH", Object.fromEntries(changed.map((name) => [name, value(name)])), t("product.saved"));
    else shown.close();
  };
  const shown = dialog(t("product.edit"), t("close"), h("form", { onsubmit: save },
    Object.entries(EDITED).map(([name, [, label]]) => field(t(label), inputs[name])),
    h("div", { class: "row" }, h("button", { type: "submit", class: "button primary" }, icon("check"), h("span", {}, t("save"))),
      button("", "erase", t("product.remove"), () => change("DELETE", undefined, t("product.removed", { name: whole.name }))))));
}
