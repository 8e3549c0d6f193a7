// Let managers read the log, carry what was taught to builds and other devices, and give PINs; as `manager_routes.py`.

import { describeChange } from "./changes.js";
import { exportOverlay, importOverlay } from "./overlay_export.js";
import { onlyFile } from "./request.js";

/** @type {Record<string, import("./routes.js").Handler>} */
export const MANAGER_ROUTES = {
  "GET log": async ({ taught: { overlay } }) => ({
    events: (await overlay.events()).map((event) => ({ ...event, changes: describeChange(event.detail.before ?? null, event.detail.after ?? null) })),
  }),
  "GET taught.zip": async ({ taught: { overlay } }, { who }) => {
    const { file, products } = await exportOverlay(overlay);
    await overlay.record("export", { products }, who);
    return file;
  },
  "POST taught": async (shop, request) => {
    const products = await importOverlay(shop.taught.overlay, onlyFile(request), request.who);
    await shop.refresh();
    return { products };
  },
  "GET people": async ({ access }) => ({ people: await access.people() }),
  "POST people": ({ access }, { json }) => access.add(String(json?.name ?? ""), String(json?.role ?? ""), String(json?.pin ?? "")),
  "DELETE people/*": ({ access }, { params: [name] }) => access.remove(name),
};
