// The customer's view: the camera, one sentence, three buttons.

import { button, dropFocus, h, icon } from "./dom.js";
import { t } from "./i18n.js";
import { pref } from "./prefs.js";
import { noticeScreen } from "./cover.js";
import { lensButtons } from "./lens.js";
import { LiveSearch, candidate } from "./live.js";
import { reasons } from "./text_search.js";

const PHOTO_SIDE = 1024; // px of a photo for the full search
const SAY_MS = 1200; // a sentence that stays so long is read out
const TROUBLE = { denied: "lock", missing: "plug", taken: "camera", insecure: "lock", ask: "camera" };

/** Return a button that opens the photo gallery or the files; it needs no permission. */
export function upload(app, kind, words) {
  const input = h("input", { type: "file", accept: "image/*", class: "quiet-visually", "aria-label": words, tabindex: "-1",
    onchange: () => { if (input.files[0]) app.searchFile(input.files[0]); input.value = ""; } });
  return [button(kind, "photo", words, () => input.click()), input];
}

/** Open the camera for a view, or show what to do if it cannot open. again(): tries again, also once the camera is taken away. Return whether it runs. */
export async function openCamera(app, element, again) {
  const { camera } = app;
  const needs = camera.running ? "granted" : await camera.allowed();
  const wrong = needs === "prompt" && !pref("kiosk") && !openCamera.agreed && navigator.mediaDevices ? "ask" : await camera.start(pref("camera"));
  if (!element.isConnected) return false;
  if (!wrong) {
    openCamera.agreed = true;
    camera.lost = () => { if (element.isConnected) again(); };
    return true;
  }
  app.layout("page");
  const retry = button("primary", TROUBLE[wrong], t(wrong === "ask" ? "trouble.ask.do" : "trouble.retry"), () => { openCamera.agreed = true; again(); });
  element.replaceChildren(noticeScreen(TROUBLE[wrong], wrong, {}, wrong !== "insecure" && retry,
    upload(app, wrong === "insecure" ? "primary" : "", t("trouble.upload")), button("", "search", t("words.title"), () => app.go("words"))));
  element.querySelector("h1").tabIndex = -1;
  element.querySelector("h1").focus({ preventScroll: true });
  camera.addEventListener("devices", () => { if (element.isConnected && wrong === "missing") again(); }, { once: true });
  return false;
}
openCamera.agreed = false;

export function find(app) {
  const hint = h("p", { class: "hint" }, t("find.hint"));
  const lens = h("div", { class: "lens" });
  const element = h("section", { class: "find", onclick: dropFocus }, h("h1", { class: "quiet-visually" }, t("find.title")), lens, h("div", { class: "dock" },
    h("div", { class: "hints" }, hint, app.filter && filterChip(app)),
    h("div", { class: "presses" },
      upload(app, "press", t("find.upload")),
      h("button", { type: "button", class: "shutter", "aria-label": t("find.press"), onclick: () => search(false) }, h("i")),
      button("press", "search", t("find.words"), () => app.go("words")))));

  let searching = false;
  let asked = false; // the shutter was pressed, perhaps during a search
  let changedAt = 0;
  let saying = 0;
  async function search(quietly) {
    asked ||= !quietly;
    if (searching) return;
    if (!app.camera.running) return showHint(t("app.starting"), "looking");
    searching = true;
    const pressed = asked;
    asked = false;
    showHint(t("find.looking"), "looking");
    let words = t("find.hint");
    try {
      live.markDecided();
      const wanted = pressed ? null : (found) => element.isConnected && live.decided && found.decision !== "unknown";
      const found = await app.searchPhoto(await app.camera.photo(PHOTO_SIDE), { wanted });
      live.unknown = found.decision === "unknown";
      if (live.unknown) words = advice(found);
    } catch (error) {
      app.failed(error);
    } finally {
      searching = false;
    }
    if (!element.isConnected) return undefined;
    changedAt = 0; // that it searched needs no more reading
    showHint(words, "");
    return asked ? search(false) : undefined;
  }

  /** Change the sentence, but slowly enough to be read. */
  function showHint(words, state) {
    document.body.dataset.seen = state;
    if (hint.textContent === words || (performance.now() - changedAt < 700 && state !== "looking")) return;
    changedAt = performance.now();
    hint.textContent = words;
    clearTimeout(saying);
    saying = setTimeout(() => app.say(words), SAY_MS);
  }

  const live = new LiveSearch(app, (answer, still) => {
    if (searching) return;
    const words = candidate(answer, still);
    if (words) showHint(words, still ? "found" : "like");
    else showHint(answer && still ? advice(answer) : t("find.hint"), "");
  }, () => search(true), () => showHint(t("find.hint"), ""));

  return {
    element, layout: "full", trigger: () => search(false),
    async enter() {
      app.frozen.hide();
      const again = () => app.refresh();
      if (!await openCamera(app, element, again)) return;
      lens.replaceChildren(...lensButtons(app.camera));
      app.live = live;
      live.start();
      if (asked) search(false);
    },
    leave() {
      clearTimeout(saying);
      live.stop();
      app.live = null;
      delete document.body.dataset.seen;
    },
    wake: () => app.refresh(),
  };
}

/** Return what to do about a frame without a known product. */
const advice = (answer) => reasons(answer)[0] ?? (answer.flaw ? t(`flaw.${answer.flaw}`) : t("find.unknown"));

function filterChip(app) {
  const what = app.filter.replace(/^\w+="(.*)"$/, "$1");
  return h("button", { type: "button", class: "chip on", "aria-label": t("find.unfilter"),
    onclick: () => { app.filter = ""; app.asked.filter = {}; app.refresh(); } }, t("find.filter", { what }), icon("close"));
}
