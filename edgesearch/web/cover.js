// Screens that cover the whole page: the attract screen of a kiosk, and problems with instructions.

import * as api from "./api.js";
import { button, h, icon } from "./dom.js";
import { LANGUAGES, currentLanguage, t } from "./i18n.js";
import { pref } from "./prefs.js";
import { pictureAt } from "./product.js";
import { isChanged } from "./scene.js";

const RETRY_MS = [1000, 2000, 4000, 8000];
const PICTURES = 12;
const OPENING_MS = 60_000; // for which a message says that a bundle is being checked
const SETTLING_TICKS = 3; // of a camera that has just started

/** Return a screen with a drawing, the trouble, what to do, and buttons. */
export function noticeScreen(drawing, key, given, ...buttons) {
  return h("section", { class: "calm" }, h("div", { class: "calm-drawing" }, icon(drawing)),
    h("h1", {}, t(`trouble.${key}`)), h("p", { class: "lead" }, t(`trouble.${key}.help`, given)),
    buttons.length > 0 && h("div", { class: "calm-buttons" }, buttons));
}

/** Return a button that opens a bundle from a file, where the page has no server. */
export function openBundle(app) {
  const input = h("input", { type: "file", accept: ".edge", class: "quiet-visually", "aria-label": t("bundle.open"), tabindex: "-1",
    onchange: () => { if (input.files[0]) open(input.files[0]); } });
  const press = button("primary", "box", t("bundle.open"), () => input.click());
  const open = app.careful(async (file) => {
    app.toast(t("app.starting"), null, OPENING_MS);
    try {
      const { kept } = await api.ask("POST", "install", { body: file });
      app.toast(t(kept ? "bundle.opened" : "bundle.once"));
      await app.connect();
      app.covers.close("catalogue");
      app.go("find", {}, true);
    } finally {
      input.value = "";
    }
  });
  return [press, input];
}

export class Covers {
  constructor(app) {
    Object.assign(this, { app, shown: null, timer: 0, tries: 0 });
    this.element = document.getElementById("cover");
  }

  #open(name, ...content) {
    this.shown = name;
    this.element.replaceChildren(...content);
    this.element.hidden = false;
    this.element.dataset.cover = name;
    for (const id of ["stage", "bar", "view"]) document.getElementById(id).inert = true;
    const first = this.element.querySelector("h1");
    if (first) {
      first.id = "covers";
      first.tabIndex = -1;
      first.focus({ preventScroll: true });
    }
  }

  /** Remove a cover if it is shown. */
  close(name = this.shown) {
    if (!this.shown || this.shown !== name) return;
    clearTimeout(this.timer);
    this.shown = null;
    this.element.hidden = true;
    this.element.replaceChildren();
    for (const id of ["stage", "bar", "view"]) document.getElementById(id).inert = false;
  }

  /** The server does not respond: retry until it does. */
  gone() {
    if (this.shown === "gone") return;
    this.tries = 0;
    const screen = noticeScreen("cloud", "gone", {}, button("primary", "undo", t("trouble.retry"), () => this.#retry()));
    screen.append(h("p", { class: "quiet waiting" }, t("trouble.again")));
    this.#open("gone", screen);
    this.#retryLater();
  }

  /** The server responds again. */
  back() {
    if (this.shown !== "gone") return;
    this.close();
    this.app.connect().then((ready) => { if (ready) this.app.refresh(); else this.noCatalogue(); }).catch(() => {});
  }

  #retryLater() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#retry(), RETRY_MS[Math.min(this.tries++, RETRY_MS.length - 1)]);
  }

  async #retry() {
    try {
      await api.get("health");
    } catch {
      if (this.shown === "gone") this.#retryLater();
    }
  }

  /** There are no products: ask for a bundle where one can be opened, else check again every 5 s; error: why, if the host says so. */
  noCatalogue(error = null) {
    const { can_open: canOpen, problem = error?.message } = this.app.health;
    const again = () => (problem ? location.reload() : this.#checkCatalogue());
    const act = canOpen ? openBundle(this.app) : button("primary", "undo", t("trouble.retry"), again);
    const screen = noticeScreen("box", canOpen ? "bundle" : "catalogue", {}, act);
    if (problem) screen.querySelector(".lead").textContent = t("trouble.message", { message: problem });
    this.#open("catalogue", screen);
    clearTimeout(this.timer);
    if (!canOpen && !problem) this.timer = setTimeout(() => this.#checkCatalogue(), 5000);
  }

  async #checkCatalogue() {
    const ready = await this.app.connect().catch(() => false);
    if (this.shown !== "catalogue") return;
    if (!ready) return this.noCatalogue();
    this.close();
    this.app.refresh();
  }

  /** Switch the camera off until somebody returns. */
  rest() {
    this.app.camera.stop();
    this.#open("rest", noticeScreen("moon", "resting", {}, button("primary", "camera", t("trouble.resting.do"), () => {
      this.close("rest");
      this.app.refresh();
    })));
  }

  /** Show an idle kiosk's screen: pictures of products, one sentence, the languages; any touch begins. */
  async attract() {
    const begin = async (code) => {
      this.close("attract");
      if (code && code !== currentLanguage()) await this.app.setLanguage(code, false);
      else this.app.refresh();
    };
    const mosaic = h("div", { class: "mosaic", "aria-hidden": "true" });
    const screen = h("section", { class: "attract", onclick: (event) => { if (!event.target.closest("button")) begin(null); } },
      mosaic,
      h("div", { class: "attract-words" },
        h("p", { class: "attract-shop" }, this.app.name),
        h("h1", {}, t("attract.title")), h("p", { class: "lead" }, t("attract.help")),
        h("div", { class: "attract-languages" }, Object.entries(LANGUAGES).map(([code, name]) =>
          h("button", { type: "button", class: "button primary big", lang: code, onclick: () => begin(code) }, name))),
        h("p", { class: "quiet" }, t("attract.start"), " · ", t("attract.private"))));
    this.#open("attract", screen);
    this.#wakeOnMotion();
    for (const address of await this.#pictures()) {
      mosaic.append(pictureAt(address, { loading: "eager", decoding: "async" }));
    }
  }

  async #pictures() {
    const kinds = (this.app.facets.categories ?? []).slice(0, 6);
    const each = Math.max(2, Math.ceil(PICTURES / Math.max(1, kinds.length)));
    const found = await Promise.all(kinds.map((kind) =>
      api.get("search", { where: api.is("category", kind), k: each }).catch(() => ({ matches: [] }))));
    const rounds = Array.from({ length: each }, (_, number) => found.map(({ matches }) => matches[number]?.picture));
    return rounds.flat().filter(Boolean).slice(0, PICTURES);
  }

  /** Begin when somebody is in front of the camera: it shows another scene. */
  async #wakeOnMotion() {
    const { camera } = this.app;
    if (pref("kiosk") && (await camera.allowed()) === "granted") await camera.start(pref("camera"));
    let empty = null;
    let ticks = 0;
    const check = () => {
      if (this.shown !== "attract") return;
      const now = camera.running ? camera.scene() : null;
      if (now && empty && isChanged(empty, now)) {
        this.close("attract");
        this.app.refresh();
        return;
      }
      if (++ticks <= SETTLING_TICKS) empty = now;
      this.timer = setTimeout(check, 400);
    };
    check();
  }
}
