// What the page may ask: the paths of the JSON API, as `edgesearch/server` has them.

import { COUNT_ROUTES } from "./count_routes.js";
import { describeError, missingError } from "./errors.js";
import { onlyFile } from "./request.js";
import { SETTLE_ROUTES, SWITCH_ROUTES, USE_ROUTES } from "./learn_routes.js";
import { LOGIN_ROUTES } from "./login_routes.js";
import { MANAGER_ROUTES } from "./manager_routes.js";
import { SEARCH_ROUTES } from "./search_routes.js";
import { TEACH_ROUTES } from "./teach_routes.js";

/**
 * @typedef {import("./shop.js").Shop} Shop
 * @typedef {import("./request.js").Request} Request
 * @typedef {(shop: Shop, request: Request) => unknown} Handler returns, or promises, an object, a Blob or null
 */

/** @type {Record<string, {role: import("./access.js").Role, handler: Handler}>} */
const ROUTES = {
  ...allow("customer", { "GET health": health, ...SEARCH_ROUTES, ...LOGIN_ROUTES, ...USE_ROUTES }),
  ...allow("staff", { ...TEACH_ROUTES, ...COUNT_ROUTES, ...SETTLE_ROUTES }),
  ...allow("manager", { "POST install": (shop, request) => shop.install(onlyFile(request)), ...MANAGER_ROUTES, ...SWITCH_ROUTES }),
};

/** Return routes with the role that they require. @param {import("./access.js").Role} role @param {Record<string, Handler>} routes */
function allow(role, routes) {
  return Object.fromEntries(Object.entries(routes).map(([route, handler]) => [route, { role, handler }]));
}

/**
 * Answer a request, as a server would.
 * @param {Shop} shop
 * @param {{method: string, path: string} & Omit<Request, "params" | "who">} request
 */
export async function answer(shop, { method, path, ...given }) {
  try {
    const { role, handler, params } = findRoute(method, path);
    const who = role === "customer" ? "" : (await shop.access.require(role)).name;
    if (method !== "GET") await shop.refresh(); // those run while a search does
    const content = await handler(shop, { ...given, params, who }) ?? null;
    return { status: content === null ? 204 : 200, content };
  } catch (error) {
    return describeError(error);
  }
}

/** @param {string} method @param {string} path @returns {{role: import("./access.js").Role, handler: Handler, params: string[]}} */
function findRoute(method, path) {
  const parts = path.split("/");
  for (const [route, found] of Object.entries(ROUTES)) {
    const [own, pattern] = route.split(" ");
    const wanted = pattern.split("/");
    if (own !== method || wanted.length !== parts.length || !wanted.every((part, i) => part === "*" || part === parts[i])) continue;
    return { ...found, params: parts.filter((_, i) => wanted[i] === "*").map(decodeURIComponent) };
  }
  throw missingError(`${method} ${path}: is not possible in a browser without a server.`);
}

/** @param {Shop} shop */
async function health(shop) {
  const { site, problem } = shop;
  const { name, sequence } = shop.isOpen ? shop.engine.bundle.manifest : { name: "", sequence: 0 };
  const { count, hidden } = shop.isOpen ? shop.engine.catalogue : { count: 0, hidden: new Set() };
  const catalogue = shop.isOpen ? { name, sequence, products: count - hidden.size } : null;
  return {
    status: "ok", version: site.version, languages: site.languages, catalogue, problem: problem?.message ?? "", can_open: !site.bundle,
    can_teach: shop.isOpen && shop.canKeep, can_count: shop.isOpen && shop.canKeep, can_share: shop.canKeep, can_explain: false,
    can_learn: shop.isOpen && shop.canKeep, learns: await shop.learner.pictures.settings().then(({ on }) => on, () => false), can_read_barcodes: true,
  };
}
