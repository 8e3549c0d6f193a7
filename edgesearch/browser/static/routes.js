// What the page may ask: the paths of the JSON API, as `edgesearch/server` has them.

import { COUNT_ROUTES } from "./count_routes.js";
import { describeError, missingError } from "./errors.js";
import { onlyFile } from "./request.js";
import { SEARCH_ROUTES } from "./search_routes.js";
import { TEACH_ROUTES } from "./teach_routes.js";

/**
 * @typedef {import("./shop.js").Shop} Shop
 * @typedef {import("./request.js").Request} Request
 * @typedef {(shop: Shop, request: Request) => unknown} Handler returns, or promises, an object, a Blob or null
 */

/** @type {Record<string, Handler>} */
const ROUTES = {
  "GET health": health,
  "GET me": () => ({ role: "manager", name: "", needs_pin: false }), // whoever holds the device
  "POST install": (shop, request) => shop.install(onlyFile(request)),
  ...SEARCH_ROUTES,
  ...TEACH_ROUTES,
  ...COUNT_ROUTES,
};

/**
 * Answer a request, as a server would.
 * @param {Shop} shop
 * @param {{method: string, path: string} & Omit<Request, "params">} request
 */
export async function answer(shop, { method, path, ...given }) {
  try {
    const { handler, params } = findRoute(method, path);
    if (method !== "GET") await shop.refresh(); // those run while a search does
    const content = await handler(shop, { ...given, params }) ?? null;
    return { status: content === null ? 204 : 200, content };
  } catch (error) {
    return describeError(error);
  }
}

/** @param {string} method @param {string} path @returns {{handler: Handler, params: string[]}} */
function findRoute(method, path) {
  const parts = path.split("/");
  for (const [route, handler] of Object.entries(ROUTES)) {
    const [own, pattern] = route.split(" ");
    const wanted = pattern.split("/");
    if (own !== method || wanted.length !== parts.length || !wanted.every((part, i) => part === "*" || part === parts[i])) continue;
    return { handler, params: parts.filter((_, i) => wanted[i] === "*").map(decodeURIComponent) };
  }
  throw missingError(`${method} ${path}: is not possible in a browser without a server.`);
}

/** @type {Handler} */
function health(shop) {
  const { site, problem } = shop;
  const { name, sequence } = shop.isOpen ? shop.engine.bundle.manifest : { name: "", sequence: 0 };
  const catalogue = shop.isOpen ? { name, sequence, products: shop.engine.catalogue.count } : null;
  return {
    status: "ok", version: site.version, languages: site.languages, catalogue, problem: problem?.message ?? "", can_open: !site.bundle,
    can_teach: shop.isOpen && shop.canKeep, can_count: shop.isOpen && shop.canKeep, can_explain: false, learns: false, can_read_barcodes: false,
  };
}
