// The toolbar: back, name of the shop, the person logged in, the other language, the menu.

import { h, icon, round } from "./dom.js";
import { LANGUAGES, currentLanguage, t } from "./i18n.js";

function logo() {
  const drawing = icon("mark");
  drawing.setAttribute("class", "mark");
  drawing.setAttribute("viewBox", "0 0 512 512");
  return h("span", { class: "mark-button" }, drawing);
}

/** Draw the toolbar of a view. */
export function drawToolbar(app, view) {
  const others = Object.keys(LANGUAGES).filter((code) => code !== currentLanguage());
  const isStaff = app.me.needs_pin && app.isStaff;
  const parts = [
    view === "find" ? logo() : round("plain", "back", t("bar.back"), () => app.back()),
    h("p", { class: "bar-name" }, app.name),
    isStaff && h("p", { class: "badge" }, icon("person"), app.me.name || t("staff.title")),
    others.length === 1 && h("button", { type: "button", class: "plain-button language", lang: others[0], onclick: () => app.setLanguage(others[0]) }, LANGUAGES[others[0]]),
    view !== "menu" && round("plain", "menu", t("bar.menu"), () => app.go("menu")),
  ];
  document.getElementById("stage").setAttribute("aria-label", t("menu.camera"));
  document.getElementById("skip").textContent = t("app.skip");
  document.getElementById("bar").replaceChildren(...parts.filter(Boolean));
}
