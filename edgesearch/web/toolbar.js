// The toolbar: back, name of the shop, the person logged in, the languages, the menu.

import { dialog, h, icon, round } from "./dom.js";
import { LANGUAGES, currentLanguage, t } from "./i18n.js";

function logo() {
  const drawing = icon("mark");
  drawing.setAttribute("class", "mark");
  drawing.setAttribute("viewBox", "0 0 512 512");
  return h("span", { class: "mark-button" }, drawing);
}

function showLanguages(app) {
  dialog(t("menu.language"), t("close"), h("ul", { class: "acts" }, Object.entries(LANGUAGES).map(([code, name]) => {
    const isCurrent = code === currentLanguage();
    return h("li", {}, h("button", { type: "button", class: "act", lang: code, "aria-current": isCurrent && "true", onclick: () => app.setLanguage(code) },
      h("span", {}, name), isCurrent && icon("check")));
  })));
}

/** Draw the toolbar of a view. */
export function drawToolbar(app, view) {
  const isStaff = app.me.needs_pin && app.isStaff;
  const parts = [
    view === "find" ? logo() : round("plain", "back", t("bar.back"), () => app.back()),
    h("p", { class: "bar-name" }, app.name),
    isStaff && h("p", { class: "badge" }, icon("person"), app.me.name || t("staff.title")),
    round("plain", "globe", t("menu.language"), () => showLanguages(app)),
    view !== "menu" && round("plain", "menu", t("bar.menu"), () => app.go("menu")),
  ];
  document.getElementById("stage").setAttribute("aria-label", t("menu.camera"));
  document.getElementById("skip").textContent = t("app.skip");
  document.getElementById("bar").replaceChildren(...parts.filter(Boolean));
}
