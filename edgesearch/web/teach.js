// Teaching: a picture of a product that is here, which a search finds, or else of a new one; only its name is required.

import * as api from "./api.js";
import { button, field, h, icon, round } from "./dom.js";
import { beep } from "./beep.js";
import { openCamera } from "./find.js";
import { t } from "./i18n.js";
import { pref } from "./prefs.js";
import { productTile } from "./product.js";
import { searchField } from "./search_field.js";
import { logInFirst } from "./staff.js";

const MAX_PHOTOS = 5;
const FOUND = 6; // products that the search shows
const SIDE = 960; // px; the store keeps taught photos at this size
const MORE = { sku: "text", category: "text", brand: "text", location: "text", stock: "number", barcode: "text" };
const LABELS = { sku: "teach.sku", category: "product.category", brand: "product.brand", location: "product.place", stock: "teach.stock", barcode: "product.barcode" };
const LISTS = { category: "categories", brand: "brands" };

/** Return a SKU for a product without one: short, and in order of time. */
const newSku = () => `T-${Math.floor(Date.now() / 1000).toString(36).toUpperCase()}`;

/** Return the details that a barcode and similar products suggest. */
function suggestDetails({ barcodes = [], guesses = {} } = {}) {
  const code = barcodes.find((label) => !label.skus.length)?.text ?? "";
  return { sku: code || newSku(), barcode: code, category: guesses.category?.value ?? "", brand: guesses.brand?.value ?? "" };
}

/** photo, answer: an unknown product; sku, name: a known product that gets more pictures. */
export function teach(app, { photo = null, answer = null, sku = null, name = null }) {
  if (!app.isStaff) return logInFirst(app, "teach", { photo, answer, sku, name });
  const photos = photo ? [photo] : [];
  const element = h("section", { class: "answer teach" });
  const strip = h("ul", { class: "strip" });
  const add = button("", "camera", t("teach.photo"), takePhoto);
  const content = h("div", { class: "teach-content" });
  const before = suggestDetails(answer ?? {});
  const inputs = { name: h("input", { type: "text", required: true, maxlength: "200", autocomplete: "off" }),
    price: h("input", { type: "number", min: "0", step: "0.01", inputmode: "decimal" }) };
  for (const [key, type] of Object.entries(MORE)) {
    inputs[key] = h("input", { type, value: before[key] ?? "", min: type === "number" ? "0" : null, autocomplete: "off", list: LISTS[key] ? `list-${key}` : null });
  }
  let addresses = [];

  function redraw() {
    addresses.forEach((address) => URL.revokeObjectURL(address));
    addresses = photos.map((taken) => URL.createObjectURL(taken));
    strip.replaceChildren(...addresses.map((address, number) => h("li", {}, h("img", { src: address, alt: t("answer.shown") }),
      round("small", "close", t("teach.drop", { n: number + 1 }), () => { photos.splice(number, 1); redraw(); }))));
    add.disabled = photos.length >= MAX_PHOTOS;
  }

  async function takePhoto() {
    app.frozen.hide();
    const wrong = await app.camera.start(pref("camera"));
    if (wrong) app.toast(t(`trouble.${wrong}`)); // what was typed stays
    if (!app.camera.running) return;
    photos.push(await app.camera.photo(SIDE, 0.9));
    beep("good");
    redraw();
  }

  async function save(details) {
    if (!photos.length) return app.toast(t("teach.nophoto"));
    const press = content.querySelector('[type="submit"]');
    if (press) press.disabled = true;
    document.body.dataset.busy = "yes";
    try {
      showDone(await api.ask("POST", "products", { body: api.form(details, photos) }));
    } catch (error) {
      app.failed(error);
    } finally {
      if (press) press.disabled = false;
      delete document.body.dataset.busy;
    }
    return undefined;
  }

  function newProductForm() {
    const lists = Object.entries(LISTS).map(([key, list]) => h("datalist", { id: `list-${key}` }, (app.facets[list] ?? []).map((value) => h("option", { value }))));
    return h("form", { onsubmit: (event) => {
      event.preventDefault();
      const details = Object.fromEntries(Object.entries(inputs).map(([key, input]) => [key, input.value.trim()]));
      if (details.price !== "") details.currency = app.facets.currency ?? "";
      save({ ...details, sku: details.sku || newSku() });
    } },
    field(t("teach.name"), inputs.name), field(t("teach.price", { currency: app.facets.currency ?? "" }).replace(/[（(][)）]/, ""), inputs.price),
    h("details", {}, h("summary", {}, t("teach.more")), h("div", { class: "fields" }, Object.keys(MORE).map((key) => field(t(LABELS[key]), inputs[key])))),
    lists, h("button", { type: "submit", class: "button primary wide big" }, icon("teach"), h("span", {}, t("teach.save"))));
  }

  /** Offer the products that are here, the likely ones first, so that nobody teaches one twice. */
  function knownProducts() {
    const list = h("ul", { class: "tiles" });
    const show = (matches) => list.replaceChildren(...matches.map((match) => productTile(match, () => save({ sku: match.sku }))));
    if (sku) show([{ sku, name }]);
    if (sku) return [list];
    const { form, input } = searchField(app, "", (text) => text && api.get("search", { text, k: FOUND }), (found) => show(found ? found.matches : answer?.matches ?? []));
    show(answer?.matches ?? []);
    return [h("p", { class: "lead" }, t("teach.which")), form, list,
      button("wide", "plus", t("teach.new"), () => { inputs.name.value = input.value.trim(); content.replaceChildren(newProductForm()); inputs.name.focus(); })];
  }

  function showDone({ product, like, flaws }) {
    beep("good");
    app.say(t("teach.done", { name: product.name }));
    const undo = () => api.post("undo", {}).then(() => { app.toast(t("product.undone")); app.go("find", {}, true); }, (error) => app.failed(error));
    const title = h("h1", { tabindex: "-1" }, t("teach.done", { name: product.name }));
    element.replaceChildren(h("div", { class: "answer-body" }, h("div", { class: "verdict match" }, h("span", { class: "verdict-sign" }, icon("check")),
      h("div", {}, title, h("p", {}, t("teach.done.help")))),
    flaws?.includes("blurred") && h("p", { class: "note" }, icon("bulb"), t("flaw.blurred")),
    like && h("p", { class: "note" }, icon("bulb"), t("teach.like", { name: like.name })),
    h("div", { class: "row" }, button("", "undo", t("product.undo"), undo), like && button("", "camera", t("teach.photo"), () => app.go("teach", { sku: product.sku, name: product.name }, true)))),
    h("div", { class: "answer-foot" }, button("primary wide big", "camera", t("teach.try"), () => app.go("find", {}, true))));
    title.focus();
  }

  const closed = !app.health.can_teach;
  element.append(h("div", { class: "answer-body" }, h("h1", {}, t("teach.title")), closed ? h("p", { class: "lead" }, t("teach.readonly")) : [
    h("div", { class: "shots" }, strip, add), h("p", { class: "quiet" }, t("teach.help")), content]));
  content.replaceChildren(...knownProducts());
  redraw();
  return {
    element, layout: closed ? "page" : "split",
    async enter() {
      app.frozen.hide();
      if (!closed && !photo) await openCamera(app, element, () => app.refresh());
      else if (!closed && (await app.camera.allowed()) === "granted") app.camera.start();
      app.camera.lost = () => { if (element.isConnected) app.toast(t("trouble.lost")); };
    },
    leave() { addresses.forEach((address) => URL.revokeObjectURL(address)); },
    found: (match) => save({ sku: match.sku }), // its barcode was scanned
  };
}
