// Let managers read the log, carry what was taught to builds and other devices, and give PINs; as `manager_routes.py`.

import { describeChange } from "./changes.js";
import { exportLearned } from "./learned_export.js";
import { exportOverlay, importOverlay } from "./overlay_export.js";
import { onlyFile } from "./request.js";
import { spaceOf } from "./taught.js";

/** @type {Record<string, import("./routes.js").Handler>} */
export const MANAGER_ROUTES = {
  "GET log": async ({ taught: { overlay } }) => ({
    events: (await overlay.events()).map((event) => ({ ...event, changes: describeChange(event.detail.before ?? null, event.detail.after ?? null) })),
  }),
  "GET taught.zip": async (shop, { who }) => {
    const { overlay, learned } = shop.taught;
    const files = shop.isOpen ? await exportLearned(learned, await spaceOf(shop.engine.bundle.manifest.hashes)) : [];
    const { file, products } = await exportOverlay(overlay, files);
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
