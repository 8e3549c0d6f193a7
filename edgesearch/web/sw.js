// Serve the files of the page from the server, and from a cache while the server does not respond.
// Searches and answers are never cached; of the languages only those that were used, and English.

const CACHE = "edgesearch-shell";
const SHELL = [
  "./", "style.css", "views.css", "app.js", "answer.js", "api.js", "beep.js", "camera.js", "count.js", "count_pages.js", "cover.js", "device.js", "dom.js", "events.js", "find.js", "frozen.js",
  "host.js", "i18n.js", "idle.js", "learned.js", "lens.js", "live.js", "menu.js", "power.js", "prefs.js", "product.js", "search_field.js", "scene.js", "shoot.js", "staff.js", "teach.js", "text_search.js", "toolbar.js", "wedge.js",
  "i18n/en.json", "manifest.webmanifest", "icons/icon.svg", "icons/icon-192.png", "icons/icon-512.png",
];
const TIMEOUT_MS = 3000;

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(SHELL)).then(() => self.skipWaiting()));
});
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const address = new URL(request.url);
  const path = address.pathname.slice(new URL(self.registration.scope).pathname.length);
  if (request.method !== "GET" || address.origin !== self.location.origin || /^(v1|metrics)\b/.test(path)) return;
  event.respondWith(shell(request));
});

async function shell(request) {
  const cache = await caches.open(CACHE);
  try {
    const response = await fetch(request, { cache: "no-cache", signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (response.ok) await cache.put(request.mode === "navigate" ? "./" : request, response.clone());
    return response;
  } catch (error) {
    const known = await cache.match(request.mode === "navigate" ? "./" : request, { ignoreSearch: true });
    if (known) return known;
    throw error;
  }
}
