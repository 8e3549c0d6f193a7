// The menu: the views, and the settings of the page.

import { openBundle } from "./cover.js";
import { button, h, icon } from "./dom.js";
import { LANGUAGES, currentLanguage, t } from "./i18n.js";
import { pref, setPref } from "./prefs.js";

const KIOSK_S = 60;

export function menu(app) {
  const act = (drawing, words, name, forStaff = false) => h("li", {}, h("button", { type: "button", class: "act", onclick: () =>
    (forStaff && !app.isStaff ? app.go("staff", { why: t("staff.need"), then: { name, params: {} } }) : app.go(name)) },
  icon(drawing), h("span", {}, words), forStaff && !app.isStaff && icon("lock")));
  const choice = (label, name, values, chosen, onPick) => h("fieldset", { class: "choices-row" }, h("legend", {}, label), h("div", { class: "chips" },
    values.map(([value, words, lang]) => h("label", { class: "chip", lang }, h("input", { type: "radio", name, value, checked: value === chosen,
      onchange: () => onPick(value) }), h("span", {}, words)))));
  const toggle = (label, help, checked, onPick) => h("label", { class: "toggle" }, h("input", { type: "checkbox", role: "switch", checked, onchange: (event) => onPick(event.target.checked) }),
    h("span", {}, label, help && h("small", { class: "quiet" }, help)));
  const cameras = h("div");
  const { catalogue, version } = app.health;
  const element = h("section", { class: "page menu" }, h("h1", {}, t("bar.menu")),
    h("ul", { class: "acts" }, act("camera", t("menu.find"), "find"), act("search", t("words.title"), "words"), app.health.can_count && act("count", t("menu.count"), "count", true),
      app.health.can_teach && act("teach", t("menu.teach"), "teach", true), app.health.can_capture && act("photo", t("menu.shoot"), "shoot", true),
      app.health.can_learn && act("list", t("learned.title"), "learned", true), app.me.needs_pin && act("person", t("staff.title"), "staff"), app.health.can_share && act("box", t("device.title"), "device", true)),
    h("h2", {}, t("menu.how")),
    choice(t("menu.language"), "lang", Object.entries(LANGUAGES).map(([code, name]) => [code, name, code]), currentLanguage(), (code) => app.setLanguage(code)),
    choice(t("menu.theme"), "theme", ["auto", "dark", "bright"].map((one) => [one, t(`menu.theme.${one}`)]), pref("theme"), (one) => setPref("theme", one)),
    choice(t("menu.text"), "text", ["normal", "large", "huge"].map((one) => [one, t(`menu.text.${one}`)]), pref("text"), (one) => setPref("text", one)),
    toggle(t("menu.sound"), "", pref("sound"), (on) => setPref("sound", on)),
    cameras,
    app.isStaff && toggle(t("menu.kiosk"), t("menu.kiosk.help"), pref("kiosk") > 0, (on) => setPref("kiosk", on ? KIOSK_S : 0)),
    app.health.can_open && openBundle(app),
    app.install && button("", "install", t("menu.install"), () => app.install.prompt()),
    h("footer", { class: "quiet" }, catalogue && h("p", {}, t("menu.about", { name: app.name, n: catalogue.products })), version && h("p", {}, t("menu.version", { version }))));
  return {
    element, layout: "page",
    async enter() {
      const found = await app.camera.list().catch(() => []);
      if (found.length < 2 || !element.isConnected) return;
      const all = [["", t("menu.camera.auto")], ...found.map((one, number) => [one.deviceId, one.label || `${t("menu.camera")} ${number + 1}`])];
      cameras.replaceChildren(choice(t("menu.camera"), "camera", all, pref("camera") ?? "", (id) => { setPref("camera", id || null); app.camera.stop(); }));
    },
  };
}
