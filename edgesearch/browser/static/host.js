// The host of a page without a server: the engine in its worker. The page of `serve` has a module of this name, too.

export const SENT_SIDE = Infinity; // a chosen photo stays as it is
const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
/** @type {Map<number, {resolve: (answer: any) => void, reject: (error: Error) => void}>} */
const waiting = new Map();
let last = 0;
/** @type {{status: number, error: {kind: string, message: string}} | null} */
let broken = null;

worker.addEventListener("message", ({ data: { id, ...answer } }) => {
  waiting.get(id)?.resolve(answer);
  waiting.delete(id);
});
worker.addEventListener("error", (event) => {
  event.preventDefault();
  const message = `The search cannot start (${event.message || "its files are missing"}); use a newer browser, or make the site again.`;
  broken = { status: 500, error: { kind: "BrowserError", message } };
  for (const { resolve } of waiting.values()) resolve(broken);
  waiting.clear();
});

/**
 * Send a request; body: a Blob or a form, json: an object.
 * @param {string} method
 * @param {string} path
 * @param {{query?: Record<string, any>, body?: Blob | FormData, json?: unknown, signal?: AbortSignal}} options
 * @returns {Promise<{status: number, content?: any, error?: {kind: string, message: string}, afterS?: number}>}
 */
export function send(method, path, { query = {}, body, json, signal } = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const entries = body instanceof FormData ? [...body] : [];
  const request = {
    method, path, json, query: Object.fromEntries(given.map(([name, value]) => [name, String(value)])),
    form: Object.fromEntries(entries.filter(([, value]) => typeof value === "string")),
    photos: body instanceof Blob ? [body] : entries.map(([, value]) => value).filter((value) => value instanceof Blob),
  };
  return new Promise((resolve, reject) => {
    if (broken) return resolve(broken);
    if (signal?.aborted) return reject(signal.reason);
    const id = ++last;
    waiting.set(id, { resolve, reject });
    signal?.addEventListener("abort", () => { waiting.delete(id); reject(signal.reason); }, { once: true });
    return worker.postMessage({ id, request });
  });
}

/** Show a picture of the API; its element gets an "error" event if there is none. @param {HTMLImageElement} image @param {string} picture */
export async function show(image, picture) {
  const { pathname, searchParams } = new URL(picture, document.baseURI);
  const { content } = await send("GET", pathname.slice(pathname.indexOf("/v1/") + "/v1/".length), { query: Object.fromEntries(searchParams) });
  if (!(content instanceof Blob)) return image.dispatchEvent(new Event("error"));
  image.src = URL.createObjectURL(content);
  image.addEventListener("load", () => URL.revokeObjectURL(image.src), { once: true });
  return true;
}

/** Let the page start without a network from now on; return the key of what to say about that, or null. */
export async function keep() {
  const registration = await navigator.serviceWorker?.register("sw.js").catch(() => null); // keeps all languages
  const isNew = registration?.installing && !registration.active;
  if (registration?.installing) await ended(registration.installing);
  if (!registration?.waiting && !registration?.active) return "site.unkept";
  await navigator.storage?.persist?.(); // so that a full device does not drop the site
  return isNew ? "site.kept" : null;
}

/** Wait until a service worker has loaded all files, or failed. @param {ServiceWorker} worker */
function ended(worker) {
  return new Promise((resolve) => worker.addEventListener("statechange", resolve, { once: true }));
}
