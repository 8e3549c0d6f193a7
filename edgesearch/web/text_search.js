// Search by words and filters; the page shows how it understood the words, ready to edit.

import * as api from "./api.js";
import { button, h, icon } from "./dom.js";
import { money, t } from "./i18n.js";
import { productTile } from "./product.js";

const MAX_RESULTS = 24;
const CHOICES = { category: ["words.kind", "categories"], brand: ["words.brand", "brands"], colour: ["words.colour", "colours"] };

/** Return the filters as a where expression. */
function where(filter) {
  const parts = Object.keys(CHOICES).filter((name) => filter[name]).map((name) => api.is(name, filter[name]));
  if (filter.price !== undefined) parts.push(`price<=${filter.price}`);
  if (filter.stock) parts.push("stock>0");
  return parts.join(" and ");
}

/** Return a field for each filter; onChange: is called after each change. */
function filterFields(app, onChange) {
  const { asked, facets } = app;
  const set = (name, value) => {
    if (value === "" || value === false || value === undefined) delete asked.filter[name];
    else asked.filter[name] = value;
    onChange();
  };
  const choices = Object.entries(CHOICES).filter(([, [, list]]) => facets[list]?.length > 1).map(([name, [label, list]]) =>
    h("label", { class: "choice" }, h("span", {}, t(label)), h("select", { onchange: (event) => set(name, event.target.value) },
      h("option", { value: "" }, t("words.any")),
      facets[list].map((value) => h("option", { value, selected: asked.filter[name] === value }, value)))));
  const { low, high } = facets.price ?? {};
  if (high > low) {
    const most = Math.ceil(high);
    const words = (value) => (value >= most ? t("words.price.any") : t("words.price", { price: money(value, facets.currency) }));
    const value = asked.filter.price ?? most;
    const label = h("span", {}, words(value));
    const slide = h("input", { type: "range", min: Math.floor(low), max: most, step: most > 20 ? 1 : 0.5, value: String(value), "aria-valuetext": words(value),
      oninput: () => { label.textContent = words(Number(slide.value)); slide.setAttribute("aria-valuetext", label.textContent); },
      onchange: () => set("price", Number(slide.value) >= most ? undefined : Number(slide.value)) });
    choices.push(h("label", { class: "choice" }, label, slide));
  }
  if (facets.has_stock) {
    choices.push(h("label", { class: "choice check" }, h("input", { type: "checkbox", checked: Boolean(asked.filter.stock), onchange: (event) => set("stock", event.target.checked) }),
      h("span", {}, t("words.stock"))));
  }
  return choices;
}

/** Return a sentence for each condition of an empty answer: how many products are left without it. */
export const reasons = ({ emptied_by: conditions = [] }) => conditions.map(({ where: filter, words, others_leave: n }) =>
  t("words.without", { n, what: [filter.replace(/^\w+="?([^"]*)"?$/, "$1"), words].filter(Boolean).join(", ") }));

export function textSearch(app, { lost = false } = {}) {
  const { asked } = app;
  const input = h("input", { type: "search", id: "words", value: asked.text, placeholder: t("words.place"), enterkeyhint: "search", maxlength: "300", autocomplete: "off" });
  const results = h("div", { class: "results" });
  const chosen = h("div", { class: "filters", role: "group", "aria-label": t("words.filters") });
  const number = h("span");
  const box = h("details", { class: "filter-box", open: matchMedia("(min-width: 48rem)").matches }, h("summary", {}, icon("filter"), h("span", {}, t("words.filters")), number), chosen);
  const tail = h("div", { class: "row" });
  const element = h("section", { class: "page words" },
    h("h1", {}, t(lost ? "words.lost" : "words.title")), lost && h("p", { class: "lead" }, t("words.lost.help")),
    h("form", { class: "search", role: "search", onsubmit: (event) => { event.preventDefault(); run(); } },
      h("label", { class: "quiet-visually", htmlFor: "words" }, t("words.label")), input,
      h("button", { type: "submit", class: "round primary", "aria-label": t("words.go") }, icon("search"))),
    box, results, tail);

  function redraw() {
    chosen.replaceChildren(...filterFields(app, () => { app.filter = app.filter && where(asked.filter); drawTail(); run(); }));
    drawTail();
  }
  function drawTail() {
    const filtered = Object.keys(asked.filter).length;
    number.textContent = filtered ? `· ${filtered}` : "";
    tail.replaceChildren(...[
      filtered > 0 && button("", "close", t("words.clear"), () => { asked.filter = {}; app.filter = ""; redraw(); run(); }),
      filtered > 0 && button("", "camera", t("words.camera"), () => { app.filter = where(asked.filter); app.go("find"); }),
      lost && app.health.can_teach && button("quiet-button", "teach", t("words.staff"), () => (app.isStaff ? app.go("teach", app.lost)
        : app.go("staff", { why: t("staff.need"), then: { name: "teach", params: app.lost } }))),
    ].filter(Boolean));
  }

  let lastRun = 0;
  async function run() {
    const mine = ++lastRun;
    asked.text = input.value.trim();
    const filter = where(asked.filter);
    if (!asked.text && !filter) return showCategories();
    results.setAttribute("aria-busy", "true");
    try {
      const found = await api.get("search", { text: asked.text, where: filter, k: MAX_RESULTS });
      if (mine === lastRun) show(found);
    } catch (error) {
      if (mine !== lastRun) return undefined;
      if (error.kind !== "QueryError") return app.failed(error);
      showNothing(app.isStaff ? [error.message] : []);
    } finally {
      results.removeAttribute("aria-busy");
    }
    return undefined;
  }

  function showNothing(sentences) {
    results.replaceChildren(h("p", { class: "lead" }, t("words.none")), ...sentences.map((sentence) => h("p", { class: "quiet" }, sentence)));
    app.say(t("words.none"));
  }

  function show(answer) {
    const { matches, understood } = answer;
    if (!matches.length) return showNothing(reasons(answer));
    const found = t("words.found", { n: answer.found });
    results.replaceChildren(
      asked.text && understood?.where ? h("p", { class: "understood" }, `${t("words.understood")}: `, h("button", { type: "button", class: "chip on", onclick: () => editQuery(understood) },
        [understood.words, understood.where].filter(Boolean).join(" · "), icon("edit"))) : "",
      h("p", { class: "quiet" }, found, matches.length < answer.found ? ` · ${t("words.most", { n: matches.length })}` : ""),
      h("ul", { class: "tiles grid" }, matches.map((match) => productTile(match, () => app.go("product", { sku: match.sku, match })))));
    app.say(found);
    return undefined;
  }

  /** Put the filters that the words were understood as into the search field. */
  function editQuery(understood) {
    input.value = [understood.words, understood.where].filter(Boolean).join(" ");
    input.focus();
  }

  /** Offer the categories while no query is given. */
  function showCategories() {
    const kinds = app.facets.categories ?? [];
    results.replaceChildren(kinds.length ? h("section", {}, h("h2", {}, t("words.browse")), h("div", { class: "chips" }, kinds.map((kind) =>
      h("button", { type: "button", class: "chip", onclick: () => { asked.filter = { category: kind }; redraw(); run(); } }, kind)))) : "");
  }

  const guess = lost && app.lost?.answer?.guesses?.category?.value;
  if (guess && !asked.text && app.facets.categories?.includes(guess)) asked.filter = { category: guess };
  redraw();
  return { element, layout: "page", enter: run };
}
