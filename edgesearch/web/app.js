// The page: it shows one view at a time and holds what the views share.

import * as api from "./api.js";
import { Camera, fromFile } from "./camera.js";
import { Covers } from "./cover.js";
import { h } from "./dom.js";
import { beep } from "./beep.js";
import { addLanguages, chooseLanguage, loadLanguage, t, wordsFile } from "./i18n.js";
import { Idle } from "./idle.js";
import { applyTheme, pref, setPref } from "./prefs.js";
import { drawToolbar } from "./toolbar.js";
import { listen, placeToasts, readAddress } from "./events.js";
import { FrozenPhoto } from "./frozen.js";
import { answer } from "./answer.js";
import { count } from "./count.js";
import { device } from "./device.js";
import { find } from "./find.js";
import { keep } from "./host.js";
import { learned } from "./learned.js";
import { menu } from "./menu.js";
import { product } from "./product.js";
import { shoot } from "./shoot.js";
import { staff } from "./staff.js";
import { teach } from "./teach.js";
import { textSearch } from "./text_search.js";

const VIEWS = { find, answer, words: textSearch, product, count, teach, shoot, learned, staff, device, menu };
const $ = (id) => document.getElementById(id);

class App {
  constructor() {
    this.camera = new Camera($("video"), $("finder"));
    this.frozen = new FrozenPhoto($("frozen"));
    this.health = {};
    this.me = { role: "customer", needs_pin: false };
    this.facets = {};
    this.filter = ""; // a where expression that also applies to camera searches
    this.asked = { text: "", filter: {} }; // the state of the text search
    this.answered = null; // the last {answer, photo, isHandsFree: no button was pressed}
    this.saving = false; // the battery is low
    this.shown = null;
    this.covers = new Covers(this);
  }

  get isStaff() {
    return !this.me.needs_pin || ["staff", "manager"].includes(this.me.role);
  }

  /** Open a view with its params; replace: drop the current view from the history. */
  go(name, params = {}, replace = false) {
    const link = `#${name}${params.sku ? `/${encodeURIComponent(params.sku)}` : ""}`;
    const { pathname, search } = location;
    history[replace ? "replaceState" : "pushState"]({ name, params: serializable(params), depth: (history.state?.depth ?? 0) + !replace }, "",
      pathname + search + link);
    this.show(name, params);
  }

  /** Return to the previous view. */
  back() {
    if (history.state?.depth > 0) history.back();
    else this.go("find", {}, true);
  }

  show(name, params = {}) {
    const wanted = VIEWS[name] ? name : "find";
    this.shown?.view.leave?.();
    this.shown = null;
    document.querySelectorAll("dialog[open]").forEach((open) => open.close());
    const view = VIEWS[wanted](this, params);
    if (!view) return this.go("find", {}, true); // for instance, an answer view after a reload
    this.shown = { name: wanted, params, view };
    document.body.dataset.view = wanted;
    this.layout(view.layout);
    drawToolbar(this, wanted);
    $("view").replaceChildren(view.element);
    $("view").scrollTop = 0;
    const heading = view.element.querySelector("h1");
    document.title = heading?.textContent ? `${heading.textContent} · ${this.name}` : this.name;
    if (heading && !view.element.querySelector("[autofocus]")) {
      heading.tabIndex = -1;
      heading.focus({ preventScroll: true });
    } else view.element.querySelector("[autofocus]")?.focus();
    view.enter?.();
    return undefined;
  }

  /** full: the camera fills the page; split: camera beside or above the view; page: no camera. */
  layout(layout) {
    document.body.dataset.layout = layout;
  }

  /** Draw the view again, for instance in another language. */
  refresh() {
    if (this.shown) this.show(this.shown.name, this.shown.params);
  }

  get name() {
    return this.health.catalogue?.name || t("app.name");
  }

  async setLanguage(code, remember = true) {
    try {
      await loadLanguage(code);
    } catch (error) {
      return this.failed(error);
    }
    if (remember) setPref("lang", code);
    return this.refresh();
  }

  /** Announce a text to screen readers. */
  say(text) {
    $("live").textContent = "";
    requestAnimationFrame(() => { $("live").textContent = text; });
  }

  /** Show a short message, which a tap removes; act: {words, run} adds a button. */
  toast(text, act = null, ms = 5000) {
    const shown = h("div", { class: "toast", onclick: () => shown.remove() }, h("p", {}, text),
      act && h("button", { type: "button", class: "plain-button", onclick: act.run }, act.words));
    $("toasts").replaceChildren(shown);
    placeToasts();
    setTimeout(() => shown.remove(), act ? ms * 2 : ms);
  }

  /** Report an error; staff also see the message of the server. */
  failed(error) {
    if (error instanceof api.GoneError || error.name === "AbortError") return; // a cover screen reports it
    beep("bad");
    if (!(error instanceof api.ApiError)) console.error(error);
    if (error.status === 401 || error.status === 403) return this.needStaff(t("staff.need"));
    const words = { busy: "trouble.busy", ImageError: "trouble.photo", FlawedPhotoError: "flaw.empty" }[error.kind];
    this.toast(words ? t(words) : error instanceof api.ApiError && this.isStaff
      ? t("trouble.message", { message: error.message }) : t("trouble.odd"));
  }

  /** Return a function that reports the errors of an asynchronous one. */
  careful = (act) => async (...given) => act(...given).catch((error) => this.failed(error));

  /** Ask for a log-in, then return to this view. */
  needStaff(why = "") {
    this.go("staff", { why, then: { name: this.shown?.name, params: this.shown?.params } });
  }

  /** Freeze a photo on the screen, search it with full accuracy, and show the answer. */
  async searchPhoto(photo, { wanted = null, replace = false } = {}) {
    if (!wanted) await this.frozen.show(photo);
    const busy = setTimeout(() => { document.body.dataset.busy = "yes"; }, 120);
    try {
      const found = await api.search(photo, { k: 6, where: this.filter });
      if (wanted && !wanted(found)) return found;
      this.answered = { answer: found, photo, isHandsFree: Boolean(wanted) };
      beep({ match: "good", ambiguous: "ask", unknown: "ask" }[found.decision]);
      this.go("answer", {}, replace);
      return found;
    } finally {
      clearTimeout(busy);
      delete document.body.dataset.busy;
      if (this.shown?.name !== "answer") this.frozen.hide();
    }
  }

  /** Search a photo that was chosen, dropped or pasted. */
  async searchFile(file) {
    this.covers.close("attract");
    try {
      await this.searchPhoto(await fromFile(file));
    } catch (error) {
      this.failed(error);
    }
  }

  /** Handle a barcode from a scanner. */
  async scanned(code) {
    this.covers.close("attract");
    if (this.shown?.view.scanned) return this.shown.view.scanned(code);
    try {
      const { matches: [match] } = await api.get("search", { where: api.is("barcode", code), k: 1 });
      if (match && this.shown?.view.found) return this.shown.view.found(match);
      beep(match ? "good" : "bad");
      return match ? this.go("product", { sku: match.sku, match }) : this.toast(t("trouble.nocode", { code }));
    } catch (error) {
      if (error.kind !== "QueryError") return this.failed(error);
      beep("bad");
      return this.toast(t("trouble.nocode", { code })); // no product has any barcode
    }
  }

  /** Return to the initial state, for the next person at a kiosk. */
  async reset() {
    if (this.me.needs_pin && this.isStaff) await api.post("logout", {}).catch(() => {});
    this.asked = { text: "", filter: {} };
    this.filter = "";
    this.answered = null;
    await this.connect().catch(() => {});
    if (pref("kiosk")) await chooseLanguage(pref("lang"));
    this.go("find", {}, true);
  }

  /** Ask the server for its state and our role; return whether it has products. */
  async connect() {
    [this.health, this.me] = await Promise.all([api.get("health"), api.get("me")]);
    addLanguages(this.health.languages ?? []);
    this.facets = this.health.catalogue ? await api.get("facets").catch(() => ({})) : {};
    return Boolean(this.health.catalogue?.products);
  }
}

/** Return the params that the history can keep over a reload: all but photos. */
const serializable = (params) => JSON.parse(JSON.stringify(params, (key, value) => (value instanceof Blob ? undefined : value)));

const app = new App();

async function begin() {
  applyTheme();
  const connecting = app.connect().catch((error) => error); // runs while the language loads
  await waitForWords();
  listen(app); // its events need words
  const connected = await connecting;
  if (!history.state) history.replaceState({ ...readAddress(), depth: 0 }, "");
  new Idle(app).begin();
  const { state } = history;
  if (app.me.role === null) app.show("staff", { why: t("staff.need"), then: state }); // everybody must log in here
  else app.show(state.name, state.params);
  if (connected instanceof api.GoneError) app.covers.gone();
  else if (connected !== true) app.covers.noCatalogue(connected || null);
  else if (pref("kiosk") && connected === true) app.covers.attract();
  keep(wordsFile()).then((words) => words && app.toast(t(words), null, 8000), () => {}); // the page works without
  document.body.dataset.ready = "yes";
}

async function waitForWords() {
  try {
    await chooseLanguage(pref("lang"));
  } catch {
    $("starting").textContent = "The search is not running. This page continues when it is back.";
    await new Promise((resolve) => setTimeout(resolve, 2000));
    await waitForWords();
  }
}

begin().catch((error) => {
  console.error(error);
  $("starting").textContent = "This page could not start. Reload it.";
});
