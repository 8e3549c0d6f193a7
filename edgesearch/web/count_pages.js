// The pages of a count: the photos that wait, one at a time, and the list of what was counted.

import * as api from "./api.js";
import { button, dialog, h, icon, round } from "./dom.js";
import { beep } from "./beep.js";
import { number, t } from "./i18n.js";
import { picture, pictureAt, productTile } from "./product.js";
import { searchField } from "./search_field.js";

const MAX_TIMES = 99_999;
const FOUND = 8; // products of a search

/** Return the path of a count. */
export const address = (name, rest = "") => `counts/${encodeURIComponent(name)}${rest}`;

/** Return the sums of a count in words: pieces, products. */
export const totals = (rows) => [t("count.pieces", { n: rows.reduce((sum, row) => sum + row.count, 0) }), t("count.kinds", { n: rows.length })];

const find = (text) => text && api.get("search", { text, k: FOUND });

/** Return {element, value}: fewer, the number, more; a tap on the number opens a dialog to type it. */
export function pieces(start, onchange) {
  let value = start;
  const change = (to) => { draw(Math.max(1, Math.min(MAX_TIMES, to))); onchange(); };
  const shown = h("button", { type: "button", class: "times", onclick: () => askNumber(t("count.howmany"), value, 1, change) });
  const draw = (to) => { value = to; shown.textContent = t("count.times.n", { n: to }); };
  draw(start);
  return {
    element: h("div", { class: "stepper", role: "group", "aria-label": t("count.times") }, round("", "minus", t("count.fewer"), () => change(value - 1)), shown,
      round("", "plus", t("count.more"), () => change(value + 1))),
    get value() { return value; },
    set value(to) { draw(to); },
  };
}

/** Open a dialog that asks for a number of pieces. */
function askNumber(title, start, least, onsave) {
  const input = h("input", { type: "number", inputmode: "numeric", required: true, min: least, max: MAX_TIMES, step: "1", value: String(start), "aria-label": t("count.times"), autofocus: true });
  const step = (by) => { input.value = String(Math.max(least, Math.min(MAX_TIMES, Number(input.value) + by))); };
  const shown = dialog(title, t("close"), h("form", { onsubmit: (event) => { event.preventDefault(); shown.close(); onsave(Number(input.value)); } },
    h("div", { class: "stepper" }, round("", "minus", t("count.fewer"), () => step(-1)), input, round("", "plus", t("count.more"), () => step(1))),
    h("button", { type: "submit", class: "button primary wide" }, icon("check"), h("span", {}, t("save")))));
  input.select();
}

/** Show the photos that wait, each beside its candidates and a search; photo: the id of the only one to show. */
export function review(app, name, photo) {
  const element = h("section", { class: "answer" });
  let waiting = [];
  let at = 0;
  let settle = () => {};

  const show = () => {
    const entry = waiting[at];
    if (!entry) return app.back();
    const many = pieces(entry.times ?? 1, () => {});
    const tiles = h("ul", { class: "tiles" });
    const draw = (products) => tiles.replaceChildren(...products.map((match) => productTile(match, () => settle(match.sku))));
    const candidates = (entry.candidates ?? []).map(([sku, words]) => ({ sku, name: words }));
    const search = searchField(app, "", find, (answer) => {
      draw(answer?.matches ?? candidates);
      if (answer && !answer.matches.length) tiles.append(h("li", { class: "quiet" }, t("words.none")));
    });
    let sent = false;
    settle = async (sku) => {
      if (sent) return; // a second tap would settle the next photo
      sent = true;
      try {
        const state = await api.post(address(name, "/correct"), { photo: entry.id, sku, times: many.value });
        beep("good");
        if (photo && sku !== "-") app.settled = state;
        next();
      } catch (error) {
        sent = false;
        app.failed(error);
      }
    };
    draw(candidates);
    const shown = h("button", { type: "button", class: "picture", "aria-expanded": "false", "aria-label": t("answer.shown"), onclick: () => {
      shown.setAttribute("aria-expanded", String(asked.classList.toggle("large")));
    } }, pictureAt(`v1/${address(name, `/photos/${entry.id}`)}`, { onerror: (event) => event.target.replaceWith(icon("photo")) }));
    const title = h("h1", { tabindex: "-1" }, t("count.which"));
    const asked = h("div", { class: "asked" }, shown, h("div", { class: "facts" }, title,
      waiting.length > 1 && h("p", { class: "quiet" }, t("count.at", { at: at + 1, all: waiting.length })), many.element));
    element.replaceChildren(h("div", { class: "answer-body settling" }, asked, h("div", { class: "results" }, tiles, search.form)),
      h("div", { class: "answer-foot" }, button("", "erase", t("count.drop"), () => settle("-")), button("primary", "next", t("count.skip"), next)));
    document.getElementById("view").scrollTop = 0;
    title.focus({ preventScroll: true });
    return undefined;
  };
  const next = () => { at += 1; show(); };
  return {
    element, layout: "page", trigger: () => next(),
    found: (match) => settle(match.sku), // its barcode was scanned
    async enter() {
      app.frozen.hide();
      const state = await api.get(address(name)).catch((error) => app.failed(error));
      if (!state || !element.isConnected) return;
      waiting = photo ? state.waiting.filter(({ id }) => id === photo) : state.waiting;
      show();
    },
  };
}

/** List what was counted, with a search of all products; a tap on one sets its number. */
export function countList(app, name) {
  let rows = [];
  const total = h("p", { class: "count-total" });
  const list = h("ul", { class: "rows" });
  const foot = h("div", { class: "answer-foot" });
  const search = searchField(app, "", find, showFound);
  const row = ({ sku, name: words, count: n = 0 }) => h("li", {}, h("button", { type: "button", class: "act", onclick: () => askNumber(words, n, 0, (to) => save(sku, to)) },
    picture({ sku }), h("span", {}, words), h("b", {}, number(n))));
  const element = h("section", { class: "answer" }, h("div", { class: "answer-body" }, h("h1", {}, name), total, search.form, list), foot);

  const draw = (shown, words) => list.replaceChildren(...(shown.length ? shown.map(row) : [h("li", { class: "lead" }, words)]));

  /** Show the counted products with these words in their names, then others that the search found. */
  function showFound(answer) {
    if (!answer) return draw(rows, t("count.empty"));
    const typed = search.input.value.trim().toLocaleLowerCase();
    const own = rows.filter((one) => `${one.name} ${one.sku}`.toLocaleLowerCase().includes(typed));
    const counted = new Map(rows.map((one) => [one.sku, one]));
    const others = answer.matches.filter(({ sku }) => !own.some((one) => one.sku === sku)).map((match) => counted.get(match.sku) ?? match);
    return draw([...own, ...others], t("words.none"));
  }

  function show(state) {
    rows = state.counts;
    const waits = state.waiting.length;
    total.textContent = totals(rows).join(" · ");
    foot.replaceChildren(...[waits > 0 && button("primary", "ask", t("count.waiting", { n: waits }), () => app.go("count", { name, page: "review" })),
      button("", "install", t("count.csv"), () => api.save(address(name, "/stock.csv"), `${name}.csv`).catch((error) => app.failed(error))),
      button("", "check", t("count.end"), () => app.go("count", {}, true))].filter(Boolean));
    search.run();
  }

  async function save(sku, to) {
    try {
      show(await api.post(address(name, "/totals"), { sku, total: to }));
    } catch (error) {
      app.failed(error);
    }
  }

  return {
    element, layout: "page",
    found: (match) => askNumber(match.name, rows.find(({ sku }) => sku === match.sku)?.count ?? 0, 0, (to) => save(match.sku, to)),
    async enter() {
      app.frozen.hide();
      const state = await api.get(address(name)).catch((error) => app.failed(error));
      if (state && element.isConnected) show(state);
    },
  };
}
