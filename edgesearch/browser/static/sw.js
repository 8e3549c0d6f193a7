// Keep every file of the site on the device, checked by its hash, and serve the page from there alone.
// A new version is loaded beside the old one, and replaces it when the last page that uses the old one closes.

const VERSION = ""; // `edgesearch web` puts the hash of files.json here
const PREFIX = "edgesearch-site-";
const CACHE = PREFIX + VERSION;

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
      if (!response.ok || await sha256(await response.clone().arrayBuffer()) !== hash) throw new Error(`${path} is not the file that belongs to this version`);
      await cache.put(path, response);
    }
  } catch (error) {
    await caches.delete(CACHE); // no space for half a version
    throw error;
  }
}

/** Return a file that an earlier version kept, if it is the same. */
async function known(path, hash) {
  for (const name of await caches.keys()) {
    const response = name.startsWith(PREFIX) ? await (await caches.open(name)).match(path) : undefined;
    if (response && await sha256(await response.clone().arrayBuffer()) === hash) return response;
  }
  return undefined;
}

async function clean() {
  for (const name of await caches.keys()) if (name.startsWith(PREFIX) && name !== CACHE) await caches.delete(name);
}

async function serve(request) {
  const cache = await caches.open(CACHE);
  const path = request.mode === "navigate" ? "index.html" : request;
  return await cache.match(path, { ignoreSearch: true }) ?? new Response("", { status: 404 });
}

async function sha256(content) {
  return Array.from(new Uint8Array(await crypto.subtle.digest("SHA-256", content)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
