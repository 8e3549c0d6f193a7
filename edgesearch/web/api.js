// Requests to the host of the page: a server, or an engine in this browser.

import * as host from "./host.js";

/** An error from the host; kind: its class, or "busy" for a 429. */
export class ApiError extends Error {
  constructor(status, kind, message, afterS = 0) {
    super(message);
    Object.assign(this, { status, kind, afterS });
  }
}

/** The host did not respond. */
export class GoneError extends Error {}

const MAX_WAIT_S = 5;
const SAVING_MS = 60_000; // until a saved file is surely read
const listeners = { gone: () => {}, back: () => {}, busy: () => {}, login: () => {} };

/** Set the listener of an event: gone, back, busy or login (a session ended). */
export const on = (name, listener) => { listeners[name] = listener; };

async function send(method, path, options) {
  let answer;
  try {
    answer = await host.send(method, path, options);
  } catch (error) {
    if (options.signal?.aborted) throw error;
    listeners.gone();
    throw new GoneError(String(error));
  }
  listeners.back();
  const { status, content, error, afterS } = answer;
  if (error) throw new ApiError(status, status === 429 ? "busy" : error.kind, error.message, afterS);
  return content;
}

/** Milliseconds to wait before retrying on a busy host. */
export const waitMs = (error) => 1000 * Math.min(MAX_WAIT_S, error.afterS || 1);

/** Send a request; while the host is busy wait as it says, and retry up to `retries` times. */
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

/** Save what a path answers as a file. */
export async function save(path, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await get(path));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), SAVING_MS);
}

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
