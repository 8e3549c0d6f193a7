// What the benchmark `web` runs in a page of a site: the page's own engine, and the engine's modules.
async () => {
  const { send } = await import("./host.js");
  const blobOf = (base64) => new Blob([Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))]);
  let direct;
  const openDirectly = async () => {
    const { Shop } = await import("./shop.js");
    const shop = new Shop();
    await shop.begin();
    return shop.engine;
  };
  globalThis.bench = {
    /** Return the milliseconds from the navigation until the engine answers. */
    async start() {
      const { content } = await send("GET", "health");
      if (!content?.catalogue) throw new Error(content?.problem || "no catalogue is open");
      return performance.now();
    },

    /** Ask as the page does; return the milliseconds from the photo's file to its answer. */
    async ask(base64, fast) {
      const body = new FormData();
      body.append("photo", blobOf(base64));
      const before = performance.now();
      const { error } = await send("POST", "search", { query: { k: 5, fast }, body });
      if (error) throw new Error(error.message);
      return performance.now() - before;
    },

    /** Return what the engine finds, with the embedding. */
    async observe(base64) {
      direct ??= await openDirectly();
      const { read } = await import("./search_routes.js");
      const observed = await direct.observe(await read(direct, blobOf(base64)), { k: 5 });
      const { decision, matches } = direct.answer([observed], { k: 5 });
      return { decision, sku: matches[0]?.sku, embedding: [...observed.embedding] };
    },
  };
}
