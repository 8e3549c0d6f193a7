// Keep every file of the site on the device, checked by its hash, and serve the page from there alone.
// A new version is loaded beside the old one, and replaces it when the last page that uses the old one closes.

const VERSION = ""; // `edgesearch web` puts the hash of files.json here
const PREFIX = "edgesearch-site-";
const CACHE = PREFIX + VERSION;
const PART_BYTES = 1 << 20; // of a file that are in memory at once, as `site.py` hashes them

self.addEventListener("install", (event) => event.waitUntil(fill()));
self.addEventListener("activate", (event) => event.waitUntil(clean().then(() => self.clients.claim())));
self.addEventListener("fetch", (event) => {
  if (event.request.method === "GET" && event.request.url.startsWith(self.registration.scope)) event.respondWith(serve(event.request));
});

async function fill() {
  const listed = await (await fetch("files.json", { cache: "no-store" })).json();
  const cache = await caches.open(CACHE);
  try {
    for (const [path, hash] of Object.entries(listed)) {
      const response = await known(path, hash) ?? await fetch(path, { cache: "no-cache" });
      if (response.ok) await cache.put(path, response);
      if (!await isKept(cache, path, hash)) throw new Error(`${path} is not the file that belongs to this version`);
    }
  } catch (error) {
    await caches.delete(CACHE); // no space for half a version
    throw error;
  }
}

/** Return a file that an earlier version kept, if it is the same. */
async function known(path, hash) {
  for (const name of await caches.keys()) {
    if (!name.startsWith(PREFIX)) continue;
    const cache = await caches.open(name);
    if (await isKept(cache, path, hash)) return cache.match(path);
  }
  return undefined;
}

/** Return whether a cache has a file with this hash: of the file, or of the hashes of its parts if it is larger than one. */
async function isKept(cache, path, hash) {
  const file = await (await cache.match(path))?.blob();
  if (!file) return false;
  const parts = [];
  for (let at = 0; at < Math.max(1, file.size); at += PART_BYTES) parts.push(await sha256(file.slice(at, at + PART_BYTES)));
  return toHex(parts.length > 1 ? await sha256(new Blob(parts)) : parts[0]) === hash;
}

async function clean() {
  for (const name of await caches.keys()) if (name.startsWith(PREFIX) && name !== CACHE) await caches.delete(name);
}

/** @type {Promise<Cache> | null} */
let opened = null; // for all files of a start

async function serve(request) {
  const cache = await (opened ??= caches.open(CACHE));
  const path = request.mode === "navigate" ? "index.html" : request;
  return await cache.match(path, { ignoreSearch: true }) ?? new Response("", { status: 404 });
}

/** @param {Blob} part */
const sha256 = async (part) => crypto.subtle.digest("SHA-256", await part.arrayBuffer());

const toHex = (hash) => Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, "0")).join("");
