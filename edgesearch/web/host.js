// The host that answers the page: the server, at relative addresses. A site without a server has a module of its own here.

const TIMEOUT_MS = 15000;
export const SENT_SIDE = 1280; // px of a chosen photo at most: the network is slower than the browser

function address(path, query) {
  const given = Object.entries(query ?? {}).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return `v1/${path}${given.length ? `?${new URLSearchParams(given)}` : ""}`;
}

/**
 * Send a request; body: a Blob or a form, json: an object. Return {status, content} or {status, error: {kind, message}, afterS};
 * content: an object, a Blob or null. Throw if the host does not respond.
 */
export async function send(method, path, { query, body, json, signal } = {}) {
  const headers = { Accept: "application/json" };
  if (json !== undefined) headers["Content-Type"] = "application/json";
  else if (body instanceof Blob) headers["Content-Type"] = body.type || "application/octet-stream";
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  const response = await fetch(address(path, query), {
    method, headers, body: json === undefined ? body : JSON.stringify(json), credentials: "same-origin",
    cache: "no-store", signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
  });
  const { status } = response;
  if (!response.ok) {
    const { error: { kind = `HTTP ${status}`, message = response.statusText } = {} } = await response.json().catch(() => ({}));
    return { status, error: { kind, message }, afterS: Number(response.headers.get("Retry-After")) || 0 };
  }
  const isJson = (response.headers.get("Content-Type") ?? "").startsWith("application/json");
  return { status, content: isJson ? await response.json() : status === 204 ? null : await response.blob() };
}

/** Show a picture of the API; its element gets an "error" event if there is none. */
export function show(image, picture) {
  image.src = picture;
}

/** Let the page start without its host from now on; `words`: the file of the language in use. */
export async function keep(words) {
  await navigator.serviceWorker?.register("sw.js"); // fails over plain http
  await (await caches.open("edgesearch-shell")).add(words); // the first visit reads it before the service worker runs
}
