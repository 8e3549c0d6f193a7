// Events from outside the views: history, dropped files, barcode scanners, the battery, connection to the host.

import * as api from "./api.js";
import { t } from "./i18n.js";
import { onPower } from "./power.js";
import { onScan } from "./wedge.js";

const TRIGGER_KEYS = [" ", "Enter", "Camera"]; // what the triggers of handhelds send

/** Return the view and params that the address names. */
export function readAddress() {
  const [name, sku] = location.hash.slice(1).split("/");
  try {
    return { name: name || "find", params: sku ? { sku: decodeURIComponent(sku) } : {} };
  } catch {
    return { name: "find", params: {} }; // a malformed address
  }
}

/** Keep messages out of the half of the display in which a control has the focus. */
export function placeToasts() {
  const focused = document.activeElement;
  const { top, bottom } = focused.getBoundingClientRect();
  const isControl = focused.matches("a, button, input, select, summary");
  document.getElementById("toasts").dataset.at = isControl ? (Math.max(top, 0) + Math.min(bottom, innerHeight) < innerHeight ? "end" : "start") : "";
}

/** Let a handheld's trigger do what the view is for, unless a control has the focus. */
function pressTrigger(app, event) {
  const { trigger } = app.shown?.view ?? {};
  if (!trigger || app.covers.shown || event.repeat || !TRIGGER_KEYS.includes(event.key)) return;
  if (event.target.closest("button, input, a, dialog")) return;
  event.preventDefault();
  trigger();
}

/** Pass all these events to the app. */
export function listen(app) {
  addEventListener("keydown", (event) => pressTrigger(app, event));
  addEventListener("focusin", placeToasts);
  addEventListener("popstate", ({ state }) => {
    const { name, params } = state ?? readAddress();
    app.show(name, params);
  });
  const take = (files) => { if (files?.[0]?.type.startsWith("image/")) app.searchFile(files[0]); };
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => { event.preventDefault(); take(event.dataTransfer?.files); });
  addEventListener("paste", (event) => take(event.clipboardData?.files));
  addEventListener("beforeinstallprompt", (event) => { event.preventDefault(); app.install = event; });
  api.on("gone", () => app.covers.gone());
  api.on("back", () => app.covers.back());
  api.on("busy", () => app.toast(t("trouble.busy")));
  api.on("login", () => { if (app.me.needs_pin) app.me = { ...app.me, role: "customer" }; });
  onScan((code) => app.scanned(code));
  onPower((low) => {
    app.saving = low;
    if (low) app.toast(t("trouble.saving"), null, 8000);
  });
}
