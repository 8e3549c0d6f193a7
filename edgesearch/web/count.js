// Counting with one thumb: press, hear the beep, tap how many; a doubtful photo asks at once or waits.

import * as api from "./api.js";
import { button, dropFocus, h, icon } from "./dom.js";
import { beep } from "./beep.js";
import { address, countList, pieces, review, totals } from "./count_pages.js";
import { openCamera } from "./find.js";
import { number, t } from "./i18n.js";
import { pictureAt, picturePath } from "./product.js";
import { logInFirst } from "./staff.js";

const SIDE = 1024;
const PAUSE_MS = 600; // after a tap on the stepper, until the number is sent

/** Ask for the name of a count, or offer existing ones. */
function chooseCount(app) {
  const input = h("input", { type: "text", pattern: "[\\p{L}\\p{N}][\\p{L}\\p{N}_ .\\-]*", maxlength: "64", required: true, autocomplete: "off", placeholder: "aisle-4" });
  const existing = h("div");
  const begin = (name) => app.go("count", { name }, true);
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

/** name: of the count; page: "list" or "review", otherwise the camera; photo: the only one to review. */
export function count(app, { name = null, page = null, photo = null }) {
  if (!app.health.can_count) return null;
  if (!app.isStaff) return logInFirst(app, "count");
  if (!name) return chooseCount(app);
  return page === "list" ? countList(app, name) : page === "review" ? review(app, name, photo) : shootAndCount(app, name);
}

function shootAndCount(app, name) {
  let seen = null; // the entry that was counted last; the stepper sets its pieces, otherwise those of the next photo
  let busy = false;
  let timer = 0;
  const message = h("div", { class: "count-message", role: "status" });
  const total = h("p", { class: "count-total" });
  const many = pieces(1, () => { clearTimeout(timer); if (seen) timer = setTimeout(() => run(() => {}), PAUSE_MS); });
  const press = h("button", { type: "button", class: "button primary count-press", onclick: () => shoot() }, icon("camera"), h("span", {}, t("count.press")));
  const open = (params) => run(() => app.go("count", { name, ...params }));
  const panel = h("div", { class: "count-panel" }, h("h1", { class: "quiet-visually" }, `${t("count.title")}: ${name}`), total, message,
    h("div", { class: "count-controls" }, many.element, press,
      h("div", { class: "row even" }, button("", "undo", t("product.undo"), undo), button("", "list", t("count.list"), () => open({ page: "list" })))));
  const element = h("section", { class: "count", onclick: dropFocus }, panel);
  const say = (words, ...more) => message.replaceChildren(h("p", { class: "lead" }, words), ...more.filter(Boolean));

  /** Send the pieces that were tapped in, then act, once at a time. */
  async function run(act) {
    if (busy) return;
    busy = true;
    clearTimeout(timer);
    press.classList.add("working");
    try {
      if (seen && seen.times !== many.value) await sendPieces();
      await act();
    } catch (error) {
      if (act === takeBack && error.kind === "CountError") app.toast(t("count.nothing"));
      else app.failed(error);
    } finally {
      busy = false;
      press.classList.remove("working");
    }
  }

  async function sendPieces() {
    const sent = many.value;
    const state = await api.post(address(name, "/correct"), { photo: seen.id, times: sent });
    const now = many.value;
    show(state, true);
    if (now !== sent) many.value = now; // tapped meanwhile; it is sent next
  }

  /** Count the product in the viewfinder, or the one whose barcode was scanned. */
  const shoot = (scanned = null) => run(async () => {
    if (!scanned && !app.camera.running) return;
    const times = seen ? 1 : many.value;
    show(scanned ? await api.post(address(name, "/products"), { sku: scanned.sku, times })
      : await api.ask("POST", address(name, "/photos"), { body: await app.camera.photo(SIDE, 0.9), query: { times } }));
  });

  function undo() {
    if (seen) many.value = seen.times; // what was tapped and not sent is undone by that
    run(takeBack);
  }

  async function takeBack() {
    const state = await api.post(address(name, "/undo"), {});
    const { id, name: product, status, candidates = [] } = state.seen;
    beep("good");
    if (status === "counted") return show(state, true);
    showTotals(state);
    return say(t("product.undone"), h("p", {}, product || candidates[0]?.[1] || ""), status === "aside" && h("div", { class: "row" }, button("", "ask", t("count.which"), () => open({ page: "review", photo: id })),
      button("", "erase", t("count.drop"), () => run(async () => { showTotals(await api.post(address(name, "/correct"), { photo: id, sku: "-" })); say(t("count.ready")); }))));
  }

  /** Show the totals; nothing counts as seen after them. */
  function showTotals({ counts: rows, waiting }) {
    seen = null;
    many.value = 1;
    total.replaceChildren(h("b", {}, name), ["", ...totals(rows), ...(waiting.length ? [t("count.waiting", { n: waiting.length })] : [])].join(" · "));
  }

  function show(state, quietly = false) {
    showTotals(state);
    if (state.seen.status === "aside") {
      beep("ask");
      return app.go("count", { name, page: "review", photo: state.seen.id });
    }
    if (state.seen.status !== "counted") {
      beep("ask");
      return say(t("count.bad"));
    }
    if (!quietly) beep("good");
    ({ seen } = state);
    many.value = seen.times;
    const n = state.counts.find((row) => row.sku === seen.sku)?.count ?? seen.times;
    const before = n - seen.times;
    message.replaceChildren(h("div", { class: "counted" }, pictureAt(picturePath(seen)),
      h("div", {}, h("p", { class: "counted-name" }, seen.name), h("p", { class: "quiet" }, icon("check"),
        state.new === false ? t("count.same") : [t("count.counted"), before > 0 && t("count.before", { n: before })].filter(Boolean).join(" · "))),
      h("p", { class: "counted-n", "aria-label": t("count.total", { n }) }, number(n))));
    return undefined;
  }

  return {
    element, layout: "split", trigger: () => shoot(), found: (match) => shoot(match),
    enter() {
      app.frozen.hide();
      say(t("count.ready"));
      const { settled } = app;
      app.settled = null;
      if (settled?.name === name) show(settled, true);
      else api.post("counts", { name }).then(showTotals).catch((error) => app.failed(error));
      const again = () => app.refresh();
      openCamera(app, element, again);
    },
    leave() {
      clearTimeout(timer);
      if (seen && seen.times !== many.value) api.post(address(name, "/correct"), { photo: seen.id, times: many.value }).catch((error) => app.failed(error));
    },
    wake: () => app.refresh(),
  };
}
