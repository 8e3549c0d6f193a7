// The server, at relative addresses: what it says, and what is wrong when it says nothing.

/** The server answered with an error; kind: as it names it, "busy" where it has too much to do. */
export class ApiError extends Error {
  constructor(status, kind, message, afterS = 0) {
    super(message);
    Object.assign(this, { status, kind, afterS });
  }
}

/** The server does not answer. */
export class GoneError extends Error {}

const TIMEOUT_MS = 15000;
const MOST_WAIT_S = 5;
const listeners = { gone: () => {}, back: () => {}, busy: () => {}, login: () => {} };

/** Be told: gone, back, busy, login (a session ended). */
export const on = (name, listener) => { listeners[name] = listener; };

function address(path, query) {
  const asked = Object.entries(query ?? {}).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return `v1/${path}${asked.length ? `?${new URLSearchParams(asked)}` : ""}`;
}

async function once(method, path, { query, body, json, signal } = {}) {
  const headers = { Accept: "application/json" };
  if (json !== undefined) headers["Content-Type"] = "application/json";
  else if (body instanceof Blob) headers["Content-Type"] = body.type || "application/octet-stream";
  const patience = AbortSignal.timeout(TIMEOUT_MS);
  let response;
  try {
    response = await fetch(address(path, query), {
      method, headers, body: json === undefined ? body : JSON.stringify(json), credentials: "same-origin",
      cache: "no-store", signal: signal ? AbortSignal.any([signal, patience]) : patience,
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
  throw await refused(response);
}

async function refused(response) {
  const told = await response.json().catch(() => ({}));
  const { kind = `HTTP ${response.status}`, message = response.statusText } = told.error ?? {};
  const afterS = Number(response.headers.get("Retry-After")) || 0;
  return new ApiError(response.status, response.status === 429 ? "busy" : kind, message, afterS);
}

/** How long to wait before asking a busy server again. */
export const waitMs = (error) => 1000 * Math.min(MOST_WAIT_S, error.afterS || 1);

/** Ask; where the server is busy wait as it says, and ask again, `patience` times. */
export async function ask(method, path, given = {}, patience = 3) {
  for (;;) {
    try {
      return await once(method, path, given);
    } catch (error) {
      if (error.status === 401 || (error.status === 403 && method !== "GET")) listeners.login();
      if (error.kind !== "busy" || patience-- <= 0) throw error;
      listeners.busy();
      await new Promise((resolve) => setTimeout(resolve, waitMs(error)));
    }
  }
}

export const get = (path, query) => ask("GET", path, { query });
export const post = (path, json, query) => ask("POST", path, { json, query });

/** Search a photo, all the server can. */
export const search = (photo, query, signal) => ask("POST", "search", { body: photo, query, signal });

/** One frame of a stream; a busy server is not asked again, the next frame is. */
export const frame = (photo, query, signal) => ask("POST", "frames", { body: photo, query, signal }, 0);

/** Photos and details as a form. */
export function form(details, photos) {
  const made = new FormData();
  for (const [name, value] of Object.entries(details)) {
    if (value !== "" && value !== null && value !== undefined) made.append(name, value);
  }
  photos.forEach((photo, number) => made.append("photo", photo, `photo-${number + 1}.jpg`));
  return made;
}

/** A condition for `where`, its value quoted. */
export const is = (column, value) => `${column}="${String(value).replace(/["\\]/g, "\\$&")}"`;
