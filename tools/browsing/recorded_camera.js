// A camera in a trembling hand, and a clock that stops while the server works: runs in the page before its own code.
//
// Seconds do not pass by themselves: `recorded.play(ms)` lets them pass, timer by timer, and waits for the server in between, so that
// what is measured does not depend on how busy the machine is. An answer arrives after as many milliseconds as `delays` says.
// given: {size, scenes: [{picture, from, until}], tremor: [[x, y], ...], perMs, exposures, exposureMs, changeMs, delays}; times in ms.

(given) => {
  const pictures = new Map();
  const log = [];
  const running = new Set(); // what the browser is doing for the page in real time
  const timers = new Map();
  const real = { setTimeout: window.setTimeout.bind(window), fetch: window.fetch.bind(window) };
  let now = 0;
  let named = 0;

  const track = (promise) => {
    running.add(promise);
    return promise.finally(() => running.delete(promise));
  };
  const note = (kind, more = {}) => log.push({ at: now, kind, ...more });

  // The clock
  performance.now = () => now;
  window.setTimeout = (run, ms = 0, ...rest) => {
    timers.set(++named, { at: now + Math.max(0, ms), run: () => run(...rest) });
    return named;
  };
  window.setInterval = (run, ms) => {
    const name = ++named;
    const again = () => { timers.set(name, { at: now + ms, run: () => { again(); run(); } }); };
    again();
    return name;
  };
  window.clearTimeout = window.clearInterval = (name) => timers.delete(name);
  window.requestAnimationFrame = (run) => window.setTimeout(() => run(now), 16);
  AbortSignal.timeout = () => new AbortController().signal;

  async function settle() {
    for (let turns = 0; turns < 3; turns++) {
      await new Promise((resolve) => real.setTimeout(resolve, 0));
      if (running.size) turns = 0;
    }
  }

  async function play(ms) {
    const end = now + ms;
    for (;;) {
      await settle();
      let next = null;
      for (const [name, { at }] of timers) if (at <= end && (next === null || at < timers.get(next).at)) next = name;
      if (next === null) break;
      const { at, run } = timers.get(next);
      timers.delete(next);
      now = Math.max(now, at);
      run();
    }
    now = end;
    return log;
  }

  // The server: its answers arrive late, but not later than it is told
  window.fetch = async (resource, options) => {
    const path = String(resource);
    const delay = Object.entries(given.delays).find(([start]) => path.startsWith(start))?.[1];
    if (!delay) return track(real.fetch(resource, options));
    const start = now;
    const [response, body] = await track(real.fetch(resource, options).then(async (got) => [got, await got.json()]));
    await new Promise((resolve) => window.setTimeout(resolve, Math.max(0, start + delay - now)));
    if (options?.signal?.aborted) throw options.signal.reason;
    const { decision = "", matches = [] } = body;
    if (path.startsWith("v1/search")) note("searched", { start, decision, skus: matches.map(({ sku }) => sku) });
    return new Response(JSON.stringify(body), { status: response.status, headers: { "Content-Type": "application/json" } });
  };
  const toBlob = HTMLCanvasElement.prototype.toBlob;
  HTMLCanvasElement.prototype.toBlob = function (take, ...rest) {
    track(new Promise((resolve) => { toBlob.call(this, (blob) => { take(blob); resolve(); }, ...rest); }));
  };
  const begin = HTMLMediaElement.prototype.play;
  HTMLMediaElement.prototype.play = function () {
    return track(begin.call(this));
  };

  // The camera
  const [width, height] = given.size;
  const still = Object.assign(document.createElement("canvas"), { width, height });
  navigator.mediaDevices.getUserMedia = async () => {
    still.getContext("2d").fillRect(0, 0, width, height);
    return still.captureStream(1);
  };

  /** Return what is in front of the camera at a time: [picture, x, y] once, or twice while one picture replaces another. */
  function seen(at) {
    const step = given.tremor[Math.round(Math.max(0, at) * given.perMs) % given.tremor.length];
    const index = given.scenes.findLastIndex(({ from }) => from <= at);
    const { picture, from } = given.scenes[Math.max(0, index)];
    const [x, y] = step;
    const gone = (at - from) / given.changeMs;
    if (index < 1 || gone >= 1) return [[picture, x, y]];
    return [[given.scenes[index - 1].picture, x + gone * width, y], [picture, x + (gone - 1) * width, y]];
  }

  const draw = CanvasRenderingContext2D.prototype.drawImage;
  CanvasRenderingContext2D.prototype.drawImage = function (image, ...place) {
    if (!(image instanceof HTMLVideoElement)) return draw.call(this, image, ...place);
    const [left, top, ...size] = place;
    for (let part = 0; part < given.exposures; part++) {
      this.globalAlpha = 1 / (part + 1); // the mean of all exposures
      for (const [picture, x, y] of seen(now - (part / given.exposures) * given.exposureMs)) {
        const shown = pictures.get(picture);
        if (shown) draw.call(this, shown, left + x + (shown.width - width) / 2, top + y + (shown.height - height) / 2, ...size);
      }
    }
    this.globalAlpha = 1;
    return undefined;
  };

  // What the person sees
  new MutationObserver((changes) => {
    const verdict = changes.some(({ addedNodes }) => [...addedNodes].some((node) => node.querySelector?.(".verdict"))) && document.querySelector(".verdict");
    if (verdict) note("shown", { words: verdict.querySelector("h1").textContent });
    if (changes.some(({ target, attributeName, oldValue }) => attributeName === "class" && target.matches(".answer.faded") && !oldValue.includes("faded"))) note("faded");
  }).observe(document, { childList: true, subtree: true, attributes: true, attributeFilter: ["class"], attributeOldValue: true });

  window.recorded = {
    play,
    /** Load what the camera will show; name: as in `scenes`; data: the address of a picture. */
    async load(name, data) {
      const picture = Object.assign(new Image(), { src: data });
      await picture.decode();
      pictures.set(name, picture);
    },
  };
}
