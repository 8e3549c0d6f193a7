// The page: which view is shown, what they share, and what happens around them.

import * as api from "./api.js";
import { Camera, fromFile } from "./camera.js";
import { Covers } from "./cover.js";
import { h } from "./dom.js";
import { feel } from "./feel.js";
import { LANGUAGES, choose, speak, t } from "./i18n.js";
import { Idle } from "./idle.js";
import { onPower } from "./power.js";
import { dress, pref, prefer } from "./prefs.js";
import { bar } from "./bar.js";
import { linked, listen } from "./around.js";
import { Stage } from "./stage.js";
import { answer } from "./answer.js";
import { count } from "./count.js";
import { find } from "./find.js";
import { menu } from "./menu.js";
import { product } from "./product.js";
import { staff } from "./staff.js";
import { teach } from "./teach.js";
import { words } from "./words.js";

const VIEWS = { find, answer, words, product, count, teach, staff, menu };
const $ = (id) => document.getElementById(id);

class App {
  constructor() {
    this.camera = new Camera($("video"), $("finder"));
    this.stage = new Stage($("frozen"));
    this.health = {};
    this.me = { role: "customer", needs_pin: false };
    this.facets = {};
    this.filter = ""; // a where expression that the camera honours too
    this.asked = { text: "", filter: {} }; // what stands on the page of words
    this.answered = null; // {answer, photo} as last found
    this.saving = false; // the battery is low
    this.shown = null;
    this.covers = new Covers(this);
  }

  get isStaff() {
    return !this.me.needs_pin || ["staff", "manager"].includes(this.me.role);
  }

  /** Show a view; params: what it is told; replace: do not go back to the one that is shown now. */
  go(name, params = {}, replace = false) {
    const link = `#${name}${params.sku ? `/${encodeURIComponent(params.sku)}` : ""}`;
    const { pathname, search } = location;
    history[replace ? "replaceState" : "pushState"]({ name, params: kept(params), depth: (history.state?.depth ?? 0) + !replace }, "",
      pathname + search + link);
    this.show(name, params);
  }

  /** Back to where one came from. */
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
    if (!view) return this.go("find", {}, true); // it has nothing to show, after a reload for instance
    this.shown = { name: wanted, params, view };
    document.body.dataset.view = wanted;
    this.layout(view.layout);
    bar(this, wanted);
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

  /** full: the camera everywhere; split: beside or above what is shown; page: no camera. */
  layout(layout) {
    document.body.dataset.layout = layout;
  }

  /** The same view again: another language, other rights. */
  refresh() {
    if (this.shown) this.show(this.shown.name, this.shown.params);
  }

  get name() {
    return this.health.catalogue?.name || t("app.name");
  }

  async speak(code, remember = true) {
    if (remember) prefer("lang", code);
    await speak(code);
    this.refresh();
  }

  /** Tell a screen reader. */
  say(text) {
    $("live").textContent = "";
    requestAnimationFrame(() => { $("live").textContent = text; });
  }

  /** A short message; act: {words, run} offers to do something about it. */
  toast(text, act = null, ms = 5000) {
    const shown = h("div", { class: "toast" }, h("p", {}, text),
      act && h("button", { type: "button", class: "plain-button", onclick: () => { shown.remove(); act.run(); } }, act.words));
    $("toasts").replaceChildren(shown);
    setTimeout(() => shown.remove(), act ? ms * 2 : ms);
  }

  /** What went wrong, in words for people; what the server says besides to those who can do something about it. */
  failed(error) {
    if (error instanceof api.GoneError || error.name === "AbortError") return; // a cover says so
    feel("bad");
    if (!(error instanceof api.ApiError)) console.error(error);
    if (error.status === 401 || error.status === 403) return this.needStaff(t("staff.need"));
    const words = { busy: "trouble.busy", ImageError: "trouble.photo" }[error.kind];
    this.toast(words ? t(words) : error instanceof api.ApiError && this.isStaff
      ? t("trouble.told", { message: error.message }) : t("trouble.odd"));
  }

  /** Staff log in, and come back to where they were. */
  needStaff(why = "") {
    this.go("staff", { why, then: { name: this.shown?.name, params: this.shown?.params } });
  }

  /** Search one photo with all the server can, freeze it on the screen, and show the answer. */
  async look(photo, { quietly = false, replace = false } = {}) {
    await this.stage.freeze(photo);
    const busy = setTimeout(() => { document.body.dataset.busy = "yes"; }, 120);
    try {
      const found = await api.search(photo, { k: 6, where: this.filter });
      if (quietly && found.decision === "unknown") return found;
      this.answered = { answer: found, photo };
      feel({ match: "good", ambiguous: "ask", unknown: "ask" }[found.decision]);
      this.go("answer", {}, replace);
      return found;
    } finally {
      clearTimeout(busy);
      delete document.body.dataset.busy;
      if (this.shown?.name !== "answer") this.stage.thaw();
    }
  }

  /** A photo from the gallery, dropped, or pasted. */
  async given(file) {
    this.covers.close("attract");
    try {
      await this.look(await fromFile(file));
    } catch (error) {
      this.failed(error);
    }
  }

  /** What a scanner typed. */
  async scanned(code) {
    this.covers.close("attract");
    if (this.shown?.view.scanned) return this.shown.view.scanned(code);
    try {
      const { matches } = await api.get("search", { where: api.is("barcode", code), k: 1 });
      feel("good");
      return this.go("product", { sku: matches[0].sku, match: matches[0] });
    } catch (error) {
      if (error.kind === "QueryError") return this.toast(t("trouble.nocode", { code }));
      return this.failed(error);
    }
  }

  /** As it was when the shop opened: for the next person at a kiosk. */
  async anew() {
    if (this.me.needs_pin && this.isStaff) await api.post("logout", {}).catch(() => {});
    this.asked = { text: "", filter: {} };
    this.filter = "";
    this.answered = null;
    await this.meet().catch(() => {});
    if (pref("kiosk")) await speak(choose(pref("lang")));
    this.go("find", {}, true);
  }

  /** Ask the server who we are and what it has; raises where there is no catalogue. */
  async meet() {
    [this.health, this.me] = await Promise.all([api.get("health"), api.get("me")]);
    for (const code of this.health.languages ?? []) LANGUAGES[code] ??= new Intl.DisplayNames([code], { type: "language" }).of(code);
    this.facets = this.health.catalogue ? await api.get("facets").catch(() => ({})) : {};
    return Boolean(this.health.catalogue?.products);
  }
}

/** What a browser keeps of params: what can be read back after a reload. */
const kept = (params) => JSON.parse(JSON.stringify(params, (key, value) => (value instanceof Blob ? undefined : value)));

const app = new App();

async function begin() {
  dress();
  listen(app);
  const words = speak(choose(pref("lang")));
  const there = app.meet().catch((error) => error); // at the same time
  await words;
  const met = await there;
  if (!history.state) history.replaceState({ ...linked(), depth: 0 }, "");
  new Idle(app).begin();
  const { state } = history;
  if (app.me.role === null) app.show("staff", { why: t("staff.need"), then: state }); // here everybody logs in
  else app.show(state.name, state.params);
  if (met !== true && !(met instanceof api.GoneError)) app.covers.noCatalogue();
  else if (pref("kiosk") && met === true) app.covers.attract();
  onPower((low) => {
    app.saving = low;
    if (low) app.toast(t("trouble.saving"), null, 8000);
  });
  if (met === true) navigator.serviceWorker?.register("sw.js").catch(() => {}); // not over plain http: then it is no app
  document.body.dataset.ready = "yes";
}

begin().catch((error) => {
  console.error(error);
  document.getElementById("starting").textContent = "This page could not start. Reload it. 页面无法启动，请刷新。";
});
