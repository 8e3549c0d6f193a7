// A device without a server: carry what it was taught to builds and other devices, and give PINs.

import * as api from "./api.js";
import { button, field, h, icon, round } from "./dom.js";
import { t } from "./i18n.js";
import { logInFirst } from "./staff.js";

const ROLES = ["manager", "staff"];

const isManager = (app) => !app.me.needs_pin || app.me.role === "manager";

export function device(app) {
  if (!app.health.can_share) return null; // a server has commands for it
  if (!isManager(app)) return logInFirst(app, "device");
  const { careful } = app;

  const input = h("input", { type: "file", accept: ".zip", class: "quiet-visually", "aria-label": t("device.take"), tabindex: "-1", onchange: () => takeOver(input.files[0]) });
  const takeOver = careful(async (file) => {
    input.value = "";
    if (!file) return;
    const { products } = await api.ask("POST", "taught", { body: file });
    app.toast(t("device.taken", { n: products }));
  });

  const learns = h("input", { type: "checkbox", role: "switch", onchange: careful(async () => {
    app.health.learns = (await api.ask("PUT", "learning", { json: { on: learns.checked } })).on;
  }) });

  const list = h("ul", { class: "rows" });
  const name = h("input", { type: "text", required: true, maxlength: "100", autocomplete: "off" });
  const pin = h("input", { type: "password", required: true, inputmode: "numeric", pattern: "[0-9]{6,12}", maxlength: "12", autocomplete: "new-password" });
  const role = h("select", {}, ROLES.map((value) => h("option", { value }, t(`device.${value}`))));
  const show = careful(async () => {
    learns.checked = (await api.get("learning")).on;
    const { people } = await api.get("people");
    list.replaceChildren(...people.map((one) => h("li", { class: "row" }, icon("person"), h("span", {}, one.name), h("span", { class: "quiet" }, t(`device.${one.role}`)),
      round("plain", "erase", t("device.drop", { name: one.name }), careful(async () => {
        await api.ask("DELETE", `people/${encodeURIComponent(one.name)}`);
        await again();
      })))));
    role.value = people.length ? "staff" : "manager"; // the first one is a manager's
  });
  const again = async () => { app.me = await api.get("me"); await (isManager(app) ? show() : app.refresh()); };
  const give = careful(async () => {
    await api.post("people", { name: name.value.trim(), role: role.value, pin: pin.value });
    name.value = pin.value = "";
    await again();
  });

  const element = h("section", { class: "page narrow" }, h("h1", {}, t("device.title")),
    h("h2", {}, t("device.taught")), h("p", { class: "quiet" }, t("device.taught.help")),
    h("div", { class: "row" }, button("", "install", t("device.save"), careful(() => api.save("taught.zip", "taught.zip"))), button("", "next", t("device.take"), () => input.click()), input),
    h("label", { class: "toggle" }, learns, h("span", {}, t("device.learn"), h("small", { class: "quiet" }, t("device.learn.help")))),
    h("h2", {}, t("device.people")), h("p", { class: "quiet" }, t("device.people.help")), list,
    h("form", { onsubmit: (event) => { event.preventDefault(); give(); } }, field(t("device.name"), name), field(t("device.role"), role), field(t("device.pin"), pin),
      h("button", { type: "submit", class: "button primary" }, icon("check"), h("span", {}, t("device.give")))));
  return { element, layout: "page", enter: show };
}
