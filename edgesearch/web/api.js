// Requests to the server, at relative addresses.

/** An error from the server; kind: its class, or "busy" for a 429. */
export class ApiError extends Error {
  constructor(status, kind, message, afterS = 0) {
    super(message);
    Object.assign(this, { status, kind, afterS });
  }
}

/** The server did not respond. */
export class GoneError extends Error {}

const TIMEOUT_MS = 15000;
const MAX_WAIT_S = 5;
const listeners = { gone: () => {}, back: () => {}, busy: () => {}, login: () => {} };

/** Set the listener of an event: gone, back, busy or login (a session ended). */
export const on = (name, listener) => { listeners[name] = listener; };

function address(path, query) {
  const given = Object.entries(query ?? {}).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return `v1/${path}${given.length ? `?${new URLSearchParams(given)}` : ""}`;
}

async function send(method, path, { query, body, json, signal } = {}) {
  const headers = { Accept: "application/json" };
  if (json !== undefined) headers["Content-Type"] = "application/json";
  else if (body instanceof Blob) headers["Content-Type"] = body.type || "application/octet-stream";
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  let response;
  try {
    response = await fetch(address(path, query), {
      method, headers, body: json === undefined ? body : JSON.stringify(json), credentials: "same-origin",
      cache: "no-store", signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    listeners.gone();
    throw new GoneError(String(error));
  }
  listeners.back();
  if (response.ok) {
    const type = response.headers.get("Content-Type") ?? "";
    return type.startsWith("application/json") ? response.json() : response.status === 204 ? null : response.blob();
  }
  throw await readError(response);
}

async function readError(response) {
  const body = await response.json().catch(() => ({}));
  const { kind = `HTTP ${response.status}`, message = response.statusText } = body.error ?? {};
  const afterS = Number(response.headers.get("Retry-After")) || 0;
  return new ApiError(response.status, response.status === 429 ? "busy" : kind, message, afterS);
}

/** Milliseconds to wait before retrying on a busy server. */
export const waitMs = (error) => 1000 * Math.min(MAX_WAIT_S, error.afterS || 1);

/** Send a request; while the server is busy wait as it says, and retry up to `retries` times. */
export async function ask(method, path, options = {}, retries = 3) {
  for (;;) {
    try {
      return await send(method, path, options);
    } catch (error) {
      if (error.status === 401 || (error.status === 403 && method !== "GET")) listeners.login();
      if (error.kind !== "busy" || retries-- <= 0) throw error;
      listeners.busy();
      await new Promise((resolve) => setTimeout(resolve, waitMs(error)));
    }
  }
}

export const get = (path, query) => ask("GET", path, { query });
export const post = (path, json, query) => ask("POST", path, { json, query });

/** Search a photo with full accuracy. */
export const search = (photo, query, signal) => ask("POST", "search", { body: photo, query, signal });

/** Send a frame of a stream; never retry, the next frame follows. */
export const frame = (photo, query, signal) => ask("POST", "frames", { body: photo, query, signal }, 0);

/** Return photos and details as a form. */
export function form(details, photos) {
  const data = new FormData();
  for (const [name, value] of Object.entries(details)) {
    if (value !== "" && value !== null && value !== undefined) data.append(name, value);
  }
  photos.forEach((photo, number) => data.append("photo", photo, `photo-${number + 1}.jpg`));
  return data;
}

/** Return a condition for `where`, its value quoted. */
export const is = (column, value) => `${column}="${String(value).replace(/["\\]/g, "\\$&")}"`;
