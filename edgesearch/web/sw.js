// The shell without a network: taken from the server while it answers, from the cache when it does not.
// What was asked and what was answered is never kept.

const CACHE = "edgesearch-shell";
const SHELL = [
  "./", "style.css", "views.css", "app.js", "answer.js", "api.js", "around.js", "bar.js", "camera.js", "count.js", "cover.js", "dom.js", "feel.js", "find.js",
  "i18n.js", "idle.js", "menu.js", "power.js", "prefs.js", "product.js", "staff.js", "stage.js", "teach.js", "watch.js", "wedge.js", "words.js",
  "i18n/en.json", "i18n/zh.json", "manifest.webmanifest", "icons/icon.svg", "icons/icon-192.png", "icons/icon-512.png",
];
const PATIENCE_MS = 3000;

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
    const response = await fetch(request, { cache: "no-cache", signal: AbortSignal.timeout(PATIENCE_MS) });
    if (response.ok) await cache.put(request.mode === "navigate" ? "./" : request, response.clone());
    return response;
  } catch (error) {
    const known = await cache.match(request.mode === "navigate" ? "./" : request, { ignoreSearch: true });
    if (known) return known;
    throw error;
  }
}
