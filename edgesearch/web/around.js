// What happens around the page: addresses, files that are dropped, scanners that type, a server that comes and goes.

import * as api from "./api.js";
import { t } from "./i18n.js";
import { onScan } from "./wedge.js";

/** What the address says is wanted. */
export function linked() {
  const [name, sku] = location.hash.slice(1).split("/");
  try {
    return { name: name || "find", params: sku ? { sku: decodeURIComponent(sku) } : {} };
  } catch {
    return { name: "find", params: {} }; // not an address of ours
  }
}

/** Tell the app of all of it. */
export function listen(app) {
  addEventListener("popstate", ({ state }) => {
    const { name, params } = state ?? linked();
    app.show(name, params);
  });
  const take = (files) => { if (files?.[0]?.type.startsWith("image/")) app.given(files[0]); };
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => { event.preventDefault(); take(event.dataTransfer?.files); });
  addEventListener("paste", (event) => take(event.clipboardData?.files));
  addEventListener("beforeinstallprompt", (event) => { event.preventDefault(); app.install = event; });
  api.on("gone", () => app.covers.gone());
  api.on("back", () => app.covers.back());
  api.on("busy", () => app.toast(t("trouble.busy")));
  api.on("login", () => { if (app.me.needs_pin) app.me = { ...app.me, role: "customer" }; });
  onScan((code) => app.scanned(code));
}
