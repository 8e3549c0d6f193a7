// A product: large, as the answer shows it; small, among others; and alone, with what staff can change.

import * as api from "./api.js";
import { button, dialog, field, h, icon } from "./dom.js";
import { money, t } from "./i18n.js";

const FEW = 3;
const ALIKE = { all: {}, cheaper: { cheaper: true }, brand: { other_brand: true }, stock: { in_stock: true } };

/** Where its picture is. */
export const picture = (match) => match.picture || `v1/pictures/${encodeURIComponent(match.sku)}`;

const image = (match) => h("div", { class: "picture" }, h("img", { src: picture(match), alt: t("product.picture", { name: match.name }), decoding: "async",
  onerror: (event) => event.target.replaceWith(icon("box")) }));

/** Stock in words; a colour says it besides, never alone. */
function stock(match) {
  if (match.stock === null || match.stock === undefined) return null;
  const kind = match.stock <= 0 ? "out" : match.stock <= FEW ? "few" : "in";
  return h("span", { class: `stock ${kind}` }, h("i", { "aria-hidden": "true" }), t(`product.${kind}`, { n: match.stock }));
}

const price = (match) => h("p", { class: "price" }, money(match.price, match.currency) || t("product.noprice"));

/** Big: picture, name, price, place, stock. */
export function large(match, level = "h2") {
  return h("article", { class: "product" }, image(match), h("div", { class: "facts" },
    match.brand && h("p", { class: "brand" }, match.brand),
    h(level, { class: "name" }, match.name), price(match),
    h("ul", { class: "where" },
      h("li", {}, icon("pin"), h("span", { class: "quiet-visually" }, `${t("product.place")}: `), match.location || t("product.noplace")),
      stock(match) && h("li", {}, icon("box"), stock(match)))));
}

/** Small, to be pressed; said: one line more. */
export function small(match, onclick, said = "") {
  return h("li", {}, h("button", { type: "button", class: "tile", onclick }, image(match),
    h("span", { class: "tile-words" }, h("span", { class: "tile-name" }, match.name),
      h("span", { class: "tile-price" }, money(match.price, match.currency)), said && h("span", { class: "quiet" }, said),
      match.location && h("span", { class: "quiet tile-place" }, icon("pin"), match.location))));
}

/** Alternatives to a product, with wishes to press. */
export function alike(app, match) {
  const list = h("ul", { class: "tiles" });
  const wishes = h("div", { class: "chips", role: "group", "aria-label": t("alike.title") });
  const element = h("section", { class: "alike" }, h("h2", {}, t("alike.title")), wishes, list);
  async function show(wish) {
    wishes.replaceChildren(...Object.keys(ALIKE).filter((name) => name !== "stock" || app.facets.has_stock !== false).map((name) =>
      h("button", { type: "button", class: "chip", "aria-pressed": String(name === wish), onclick: () => show(name) }, t(`alike.${name}`))));
    try {
      const { matches } = await api.get(`similar/${encodeURIComponent(match.sku)}`, { k: 6, ...ALIKE[wish] });
      list.replaceChildren(...matches.map((one) => small(one, () => app.go("product", { sku: one.sku, match: one }))));
      if (!matches.length) throw new api.ApiError(404, "CatalogError", "none");
    } catch (error) {
      if (error instanceof api.ApiError) list.replaceChildren(h("li", { class: "quiet" }, t("alike.none")));
    }
  }
  show("all");
  return element;
}

/** One product alone. */
export function product(app, { sku, match = null }) {
  if (!sku) return null;
  const body = h("div", { class: "product-body" });
  const element = h("section", { class: "page narrow" }, body);
  async function fill() {
    try {
      const told = await api.get(`products/${encodeURIComponent(sku)}`);
      const whole = { ...match, ...told.product };
      const rows = ["sku", "category", "brand", "barcode"].filter((name) => whole[name]);
      body.replaceChildren(large(whole, "h1"),
        whole.description && h("p", { class: "lead" }, whole.description),
        h("dl", { class: "details" }, rows.map((name) => [h("dt", {}, t(`product.${name}`)), h("dd", {}, whole[name])]),
          Object.entries(whole.attributes ?? {}).map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])),
        app.isStaff && app.health.can_teach && h("div", { class: "row" },
          button("", "edit", t("product.edit"), () => edit(app, whole, fill)),
          button("", "teach", t("teach.photo"), () => app.go("teach", { sku, name: whole.name }))),
        alike(app, whole));
    } catch (error) {
      if (error.status === 404) body.replaceChildren(h("h1", {}, t("product.gone")));
      else app.failed(error);
    }
  }
  if (match) body.replaceChildren(large(match, "h1"));
  return { element, layout: "page", enter: fill };
}

const EDITED = { name: ["text", "teach.name"], price: ["number", "product.price"], location: ["text", "teach.place"], stock: ["number", "teach.stock"] };

/** What staff change most, and taking a product out; both can be undone. */
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
