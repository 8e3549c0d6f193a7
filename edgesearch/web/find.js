// The customer's view: the camera, one sentence, three things to press.

import { button, h, icon } from "./dom.js";
import { t } from "./i18n.js";
import { pref } from "./prefs.js";
import { calm } from "./cover.js";
import { Watcher } from "./watch.js";

const LOOK_SIDE = 1024; // px of a photo that decides
const TROUBLE = { denied: "lock", missing: "plug", taken: "camera", insecure: "lock", ask: "camera" };

/** A button that opens the gallery, or the files; no permission is asked. */
export function upload(app, kind, words) {
  const input = h("input", { type: "file", accept: "image/*", class: "quiet-visually", "aria-label": words, tabindex: "-1",
    onchange: () => { if (input.files[0]) app.given(input.files[0]); input.value = ""; } });
  return [button(kind, "photo", words, () => input.click()), input];
}

/** Open the camera into a view; where it cannot be, show what to do instead. Returns whether it runs. */
export async function opened(app, element, again) {
  const { camera } = app;
  const needs = camera.running ? "granted" : await camera.allowed();
  const wrong = needs === "prompt" && !pref("kiosk") && !opened.agreed && navigator.mediaDevices ? "ask" : await camera.start(pref("camera"));
  if (!element.isConnected) return false;
  if (!wrong) {
    opened.agreed = true;
    return true;
  }
  app.layout("page");
  const retry = button("primary", TROUBLE[wrong], t(wrong === "ask" ? "trouble.ask.do" : "trouble.retry"), () => { opened.agreed = true; again(); });
  element.replaceChildren(calm(TROUBLE[wrong], wrong, {}, wrong !== "insecure" && retry,
    upload(app, wrong === "insecure" ? "primary" : "", t("trouble.upload")), button("", "search", t("trouble.words"), () => app.go("words"))));
  element.querySelector("h1").tabIndex = -1;
  element.querySelector("h1").focus({ preventScroll: true });
  camera.addEventListener("devices", () => { if (element.isConnected && wrong === "missing") again(); }, { once: true });
  return false;
}
opened.agreed = false;

export function find(app) {
  const hint = h("p", { class: "hint" }, t("find.hint"));
  const element = h("section", { class: "find" }, h("h1", { class: "quiet-visually" }, t("find.title")), h("div", { class: "dock" },
    h("div", { class: "hints" }, hint, app.filter && unfilter(app)),
    h("div", { class: "presses" },
      upload(app, "press", t("find.upload")),
      h("button", { type: "button", class: "shutter", "aria-label": t("find.press"), onclick: () => look(false) }, h("i")),
      button("press", "search", t("find.words"), () => app.go("words")))));

  let looking = false;
  let asked = false; // by hand, also while the camera starts or a search is under way
  let at = 0;
  async function look(quietly) {
    asked ||= !quietly;
    if (looking) return;
    if (!app.camera.running) return tell(t("app.starting"), "looking");
    looking = true;
    const loudly = asked;
    asked = false;
    tell(t("find.looking"), "looking");
    try {
      watcher.decide();
      const found = await app.look(await app.camera.photo(LOOK_SIDE), { quietly: !loudly });
      if (found.decision === "unknown") tell(advice(found), "");
    } catch (error) {
      app.failed(error);
    } finally {
      looking = false;
    }
    return asked && element.isConnected ? look(false) : undefined;
  }

  /** Change the sentence, not so often that it cannot be read. */
  function tell(words, state) {
    document.body.dataset.seen = state;
    if (hint.textContent === words || (performance.now() - at < 700 && state !== "looking")) return;
    at = performance.now();
    hint.textContent = words;
  }

  const watcher = new Watcher(app, (answer, still) => {
    if (looking) return;
    if (!answer) tell(t("find.hint"), "");
    else if (answer.decision === "match") tell(t("find.like", { name: answer.matches[0].name }), still ? "found" : "like");
    else if (answer.decision === "ambiguous") tell(t("find.still"), "like");
    else tell(still ? advice(answer) : t("find.hint"), "");
  }, () => look(true));

  const lost = () => app.refresh();
  return {
    element, layout: "full",
    async enter() {
      app.stage.thaw();
      if (!await opened(app, element, () => app.refresh())) return;
      app.camera.addEventListener("trouble", lost);
      app.watcher = watcher;
      watcher.start();
      if (asked) look(false);
    },
    leave() {
      app.camera.removeEventListener("trouble", lost);
      watcher.stop();
      app.watcher = null;
      delete document.body.dataset.seen;
    },
    wake: () => app.refresh(),
  };
}

/** What to do about a frame in which nothing was known. */
const advice = (answer) => (answer.flaw ? t(`flaw.${answer.flaw}`) : t("find.unknown"));

function unfilter(app) {
  const what = app.filter.replace(/^\w+="(.*)"$/, "$1");
  return h("button", { type: "button", class: "chip on", "aria-label": t("find.unfilter"),
    onclick: () => { app.filter = ""; app.asked.filter = {}; app.refresh(); } }, t("find.filter", { what }), icon("close"));
}
