// Counting with one thumb: press, hear the beep; a doubtful photo asks at once or waits.

import * as api from "./api.js";
import { button, h, icon, onTriggerKey, round } from "./dom.js";
import { beep } from "./beep.js";
import { openCamera } from "./find.js";
import { t } from "./i18n.js";
import { setPref } from "./prefs.js";
import { pictureUrl } from "./product.js";
import { logInFirst } from "./staff.js";

const SIDE = 1024;
const MAX_TIMES = 999;
const address = (name, rest = "") => `counts/${encodeURIComponent(name)}${rest}`;

/** Ask for the name of a count, or offer existing ones. */
function chooseCount(app) {
  const input = h("input", { type: "text", pattern: "[\\p{L}\\p{N}][\\p{L}\\p{N}_ .\\-]*", maxlength: "64", required: true, autocomplete: "off", placeholder: "aisle-4" });
  const existing = h("div");
  const begin = (name) => { setPref("count", name); app.go("count", { name }, true); };
  const submit = (event) => { event.preventDefault(); begin(input.value.trim()); };
  input.addEventListener("invalid", () => input.setCustomValidity(input.validity.patternMismatch ? t("count.badname") : ""));
  input.addEventListener("input", () => input.setCustomValidity(""));
  const element = h("section", { class: "page narrow" }, h("h1", {}, t("count.where")), h("form", { class: "begin", onsubmit: submit },
    h("label", { class: "field" }, h("span", {}, t("count.name")), input),
    h("button", { type: "submit", class: "button primary big" }, icon("count"), h("span", {}, t("count.begin")))), existing);
  return {
    element, layout: "page",
    async enter() {
      const listed = await api.get("counts").catch((error) => app.failed(error));
      const names = listed?.names ?? [];
      if (names.length) existing.replaceChildren(h("h2", {}, t("count.goon")), h("ul", { class: "acts" }, names.map((name) =>
        h("li", {}, h("button", { type: "button", class: "act", onclick: () => begin(name) }, icon("list"), h("span", {}, name))))));
    },
  };
}

export function count(app, { name = null }) {
  if (!app.isStaff) return logInFirst(app, "count");
  if (!name) return chooseCount(app);
  let times = 1;
  let busy = false;
  const message = h("div", { class: "count-message", role: "status" }, h("p", { class: "lead" }, t("count.ready")));
  const total = h("p", { class: "count-total" });
  const many = h("output", { class: "times" }, t("count.times.n", { n: 1 }));
  const press = h("button", { type: "button", class: "button primary count-press", onclick: () => shoot() }, icon("camera"), h("span", {}, t("count.press")));
  const step = (by) => { times = Math.max(1, Math.min(MAX_TIMES, times + by)); many.textContent = t("count.times.n", { n: times }); };
  const panel = h("div", { class: "count-panel" }, h("h1", { class: "quiet-visually" }, `${t("count.title")}: ${name}`), total, message,
    h("div", { class: "count-controls" },
      h("div", { class: "stepper", role: "group", "aria-label": t("count.times") }, round("", "minus", t("count.fewer"), () => step(-1)), many, round("", "plus", t("count.more"), () => step(1))),
      press, h("div", { class: "row even" }, button("", "undo", t("count.undo"), undo), button("", "list", t("count.list"), list))));
  // Drop the focus after a tap, so that a hardware trigger key counts and does not press that button again.
  const element = h("section", { class: "count", onclick: (event) => { if (event.detail) document.activeElement.blur(); } }, panel);

  function showTotals(state) {
    const { counts: rows, waiting } = state;
    const pieces = rows.reduce((sum, row) => sum + row.count, 0);
    const waits = waiting.length;
    total.replaceChildren(h("b", {}, name), ` · ${t("count.pieces", { n: pieces })} · ${t("count.kinds", { n: rows.length })}`, waits ? ` · ${t("count.waiting", { n: waits })}` : "");
    return rows;
  }

  /** Count the product in the viewfinder, or the one whose barcode was scanned. */
  async function shoot(scanned = null) {
    if (busy || (!scanned && !app.camera.running)) return;
    busy = true;
    press.classList.add("working");
    try {
      show(scanned ? await api.post(address(name, "/products"), { sku: scanned.sku, times })
        : await api.ask("POST", address(name, "/photos"), { body: await app.camera.photo(SIDE, 0.9), query: { times } }));
      times = 1;
      step(0);
    } catch (error) {
      app.failed(error);
    } finally {
      busy = false;
      press.classList.remove("working");
    }
  }

  function show(state) {
    const { seen } = state;
    const rows = showTotals(state);
    if (seen.status === "counted") {
      beep("good");
      const n = rows.find((row) => row.sku === seen.sku)?.count ?? 1;
      message.replaceChildren(h("div", { class: "counted" }, h("img", { src: pictureUrl(seen), alt: "" }),
        h("div", {}, h("p", { class: "counted-name" }, seen.name), h("p", { class: "quiet" }, icon("check"), state.new === false ? t("count.same") : t("count.counted"))),
        h("p", { class: "counted-n", "aria-label": t("count.total", { n }) }, String(n))));
      return;
    }
    beep("ask");
    if (seen.status === "bad") message.replaceChildren(h("p", { class: "lead" }, t("count.bad")));
    else ask(seen);
  }

  /** Ask which candidate a doubtful photo shows; skipping lets it wait. */
  function ask(seen) {
    const correct = (sku) => api.post(address(name, "/correct"), { photo: seen.id, sku }).then(show).catch((error) => app.failed(error));
    message.replaceChildren(h("p", { class: "lead" }, t("count.which")), h("ul", { class: "count-choices" }, (seen.candidates ?? []).map(([sku, words]) => {
      return h("li", {}, h("button", { type: "button", class: "act", onclick: () => correct(sku) }, h("img", { src: pictureUrl({ sku }), alt: "" }), h("span", {}, words)));
    }), h("li", {}, h("button", { type: "button", class: "act", onclick: () => message.replaceChildren(h("p", { class: "lead" }, t("count.ready"))) }, icon("next"), h("span", {}, t("count.skip"))))));
  }

  async function undo() {
    try {
      const state = await api.post(address(name, "/undo"), {});
      beep("good");
      showTotals(state);
      message.replaceChildren(h("p", { class: "lead" }, t("count.undone")));
    } catch (error) {
      if (error.kind === "CountError") app.toast(t("count.nothing"));
      else app.failed(error);
    }
  }

  async function list() {
    const state = await api.get(address(name)).catch((error) => app.failed(error));
    if (!state) return;
    const rows = showTotals(state);
    const waits = state.waiting.length > 0 && button("", "ask", t("count.waiting", { n: state.waiting.length }), () => ask(state.waiting[0]));
    const csv = h("a", { class: "button", href: `v1/${address(name, "/stock.csv")}`, download: `${name}.csv` }, icon("install"), h("span", {}, t("count.csv")));
    message.replaceChildren(h("div", { class: "count-list" }, rows.length ? h("ul", { class: "rows" }, rows.map((row) =>
      h("li", {}, h("span", {}, row.name), h("b", {}, String(row.count))))) : h("p", { class: "lead" }, t("count.empty")),
    h("div", { class: "row" }, waits, csv, button("", "close", t("count.end"), () => { setPref("count", null); app.go("count", {}, true); }))));
  }

  const keys = onTriggerKey(() => shoot());
  return {
    element, layout: "split", found: (match) => shoot(match),
    enter() {
      app.frozen.hide();
      document.addEventListener("keydown", keys);
      api.post("counts", { name }).then(showTotals).catch((error) => app.failed(error));
      const again = () => app.refresh();
      openCamera(app, element, again, again);
    },
    leave() {
      document.removeEventListener("keydown", keys);
    },
    wake: () => app.refresh(),
  };
}
