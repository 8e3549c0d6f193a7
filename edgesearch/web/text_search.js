// Search by words and filters; above the results stands how the words were understood.

import * as api from "./api.js";
import { button, h, icon } from "./dom.js";
import { money, t } from "./i18n.js";
import { pref } from "./prefs.js";
import { colourName, picture, productTile } from "./product.js";
import { searchField } from "./search_field.js";

const MAX_RESULTS = 24;
const LIKELY = 0.5; // share of the votes of a category whose products are shown before anything is asked
const CHOICES = { category: ["product.category", "categories"], brand: ["product.brand", "brands"], colour: ["words.colour", "colours"] };

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
      facets[list].map((value) => h("option", { value, selected: asked.filter[name] === value }, name === "colour" ? colourName(value) : value)))));
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

/** Return the conditions of a where expression as words: "colour=red or name~red" is Red. */
function describe(filter, currency) {
  const words = [...filter.matchAll(/(not )?(\w+)\s*(<=|>=|!=|=|~|<|>|\bin\b)\s*("(?:[^"\\]|\\.)*"|\([^)]*\)|[^\s()]+)/g)].map(([, not, column, operator, quoted]) => {
    const value = quoted.replace(/["()]/g, "");
    if (column === "stock") return t(operator === ">" ? "alike.stock" : "product.out");
    if (column === "price") return t(operator.startsWith("<") ? "words.price" : "words.least", { price: money(Number(value), currency) });
    return not || operator === "!=" ? t("words.not", { what: colourName(value) }) : colourName(value);
  });
  const order = /order by price( desc)?/.exec(filter);
  if (order) words.push(t(order[1] ? "words.dearest" : "words.cheapest"));
  return words.filter((word, number) => words.findIndex((other) => other.toLowerCase() === word.toLowerCase()) === number);
}

const quote = (words) => words.map((word) => `“${word}”`).join(", ");

/** Return phrases on what was understood, read otherwise and ignored; unfinished words need none. */
function understanding({ where: filter = "", ignored = [], corrected = {} } = {}, currency = null) {
  const meant = describe(filter, currency);
  const read = Object.entries(corrected).filter(([word, others]) => !others.some((other) => other.startsWith(word)));
  return [meant.length && `${t("words.understood")}: ${meant.join(", ")}`,
    ...read.map(([word, others]) => t("words.corrected", { read: quote(others), word: quote([word]) })),
    ignored.length && t("words.ignored", { what: quote(ignored) })].filter(Boolean);
}

export function textSearch(app, { lost = false } = {}) {
  const { asked } = app;
  const results = h("div", { class: "results" });
  const chosen = h("div", { class: "filters", role: "group", "aria-label": t("words.filters") });
  const number = h("span");
  const box = h("details", { class: "filter-box", open: !pref("kiosk") && matchMedia("(min-width: 48rem)").matches }, h("summary", {}, icon("filter"), h("span", {}, t("words.filters")), number), chosen);
  const tail = h("div", { class: "row" });
  const { category: guess } = (lost && app.lost?.answer?.guesses) || {};
  const { form, run } = searchField(app, asked.text, async (text) => {
    const filter = where(asked.filter);
    asked.text = text;
    const find = (query) => api.get("search", { k: MAX_RESULTS, ...query });
    if (!text && !filter) return guess?.share >= LIKELY ? find({ where: api.is("category", guess.value) }) : null;
    if (!text || !filter) return find({ text, where: filter });
    const { understood } = await find({ text, k: 1 }); // beside a filter, the server takes a text as plain words
    const [condition, order = ""] = understood.where.split(/ ?(?=order by )/);
    const both = [condition && `(${condition})`, filter].filter(Boolean).join(" and ");
    return { ...await find({ text: understood.words, where: `${both} ${order}` }), understood };
  }, show);
  const element = h("section", { class: "page words" },
    h("h1", {}, t(lost ? "words.lost" : "words.title")), lost && h("p", { class: "lead" }, t("words.lost.help")), form, box, tail, results);

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

  function showNothing(sentences) {
    results.replaceChildren(h("p", { class: "lead" }, t("words.none")), ...sentences.map((sentence) => h("p", { class: "quiet" }, sentence)));
    app.say(t("words.none"));
  }

  function show(answer) {
    if (!answer) return showCategories();
    const { matches, understood, found: n, message } = answer;
    if (!matches.length) return showNothing(message ? [app.isStaff && message].filter(Boolean) : reasons(answer));
    const found = t("words.found", { n });
    const told = asked.text ? understanding(understood, app.facets.currency) : [];
    results.replaceChildren(told.length ? h("p", { class: "understood" }, told.join(" · ")) : "",
      h("p", { class: "quiet" }, found, matches.length < n ? ` · ${t("words.most", { n: matches.length })}` : ""),
      h("ul", { class: "tiles grid" }, matches.map((match) => productTile(match, () => app.go("product", { sku: match.sku, match })))));
    return app.say([...told, found].join(". "));
  }

  /** Offer the categories while no query is given. */
  function showCategories() {
    const kinds = app.facets.categories ?? [];
    results.replaceChildren(kinds.length ? h("section", {}, h("h2", {}, t("words.browse")), h("ul", { class: "tiles grid kinds" }, kinds.map((kind, place) =>
      h("li", {}, h("button", { type: "button", class: "tile", onclick: () => { asked.filter = { category: kind }; redraw(); run(); } },
        picture(app.facets.examples?.[place] ?? {}), h("span", { class: "tile-name" }, kind)))))) : "");
  }

  redraw();
  return { element, layout: "page", enter: run };
}
