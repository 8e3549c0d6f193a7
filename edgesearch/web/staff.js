// The log-in of staff: a PIN, on keys large enough for gloves.

import * as api from "./api.js";
import { button, h, icon, round } from "./dom.js";
import { beep } from "./beep.js";
import { t } from "./i18n.js";

const MAX_DIGITS = 12;

/** Lead to the log-in, and then to a view of staff. */
export function logInFirst(app, name, params = {}) {
  queueMicrotask(() => app.go("staff", { why: t("staff.need"), then: { name, params } }, true));
  return { element: h("section", {}), layout: "page" };
}

/** why: the reason for the log-in, one sentence; then: the view to open afterwards. */
export function staff(app, { why = "", then = null }) {
  let pin = "";
  const dots = h("output", { class: "dots" });
  const message = h("p", { class: "login-error", role: "alert" });
  const press = (digit) => { if (pin.length < MAX_DIGITS) pin += digit; show(); };
  function show() {
    dots.replaceChildren(...Array.from(pin, () => h("i")), h("span", { class: "quiet-visually" }, t("staff.digits", { n: pin.length })));
    message.textContent = "";
  }
  async function enter() {
    if (!pin) return;
    try {
      const { role, name } = await api.post("login", { pin });
      app.me = { ...app.me, role, name };
      app.toast(t("staff.hello", { name: name || role }));
      app.go(then?.name && then.name !== "staff" ? then.name : "menu", then?.params ?? {}, true);
    } catch (error) {
      pin = "";
      show();
      beep("bad");
      if (error instanceof api.GoneError) return;
      message.textContent = t(error.afterS ? "staff.locked" : "staff.wrong");
    }
  }
  const key = (digit) => h("button", { type: "button", class: "key", onclick: () => press(digit) }, digit);
  const typed = (event) => {
    if (/^\d$/.test(event.key)) press(event.key);
    else if (event.key === "Backspace") { pin = pin.slice(0, -1); show(); }
    else if (event.key === "Enter" && !event.target.closest("button")) enter();
  };
  const pad = h("div", { class: "pad" }, ["1", "2", "3", "4", "5", "6", "7", "8", "9"].map(key),
    round("key plain", "erase", t("staff.delete"), () => { pin = pin.slice(0, -1); show(); }), key("0"),
    round("key primary", "next", t("staff.in"), enter));
  const out = () => api.post("logout", {}).catch(() => {}).then(() => app.connect()).then(() => app.go("find", {}, true)).catch(() => {});
  const inside = app.me.needs_pin && app.isStaff;
  const element = h("section", { class: "page staff" }, h("h1", {}, t(inside ? "staff.title" : "staff.pin")),
    why && h("p", { class: "lead" }, icon("lock"), why),
    inside ? [h("p", { class: "lead" }, t("staff.hello", { name: app.me.name || app.me.role })), button("primary", "person", t("staff.out"), out)]
      : [dots, message, pad]);
  show();
  return {
    element, layout: "page",
    enter() { document.addEventListener("keydown", typed); },
    leave() { document.removeEventListener("keydown", typed); },
    scanned(code) { if (/^\d+$/.test(code)) { pin = code.slice(0, MAX_DIGITS); enter(); } }, // a badge with a barcode
  };
}
