// Run the engine beside the page, so that the page stays responsive while a photo is searched.

import { EdgeSearchError, imageError } from "./errors.js";
import { Engine } from "./engine.js";
import { checkSize } from "./pictures.js";

const RUNTIME = new URL("runtime/", import.meta.url).href;

/** @type {Engine | null} */
let engine = null;

/** @type {Record<string, (options: any) => Promise<any>>} */
const METHODS = {
  async open({ file, trusted }) {
    engine = await Engine.open(file, trusted, await loadParts());
    const { name, sequence, counts } = engine.bundle.manifest;
    return { name, sequence, counts, signer: engine.bundle.signer };
  },

  async search({ photo, k, fast }) {
    const { embedding, ...answer } = await opened().search(await decode(photo), { k, fast });
    return answer;
  },

  async picture({ row }) {
    return opened().catalogue.picture(row);
  },
};

function opened() {
  if (!engine) throw new EdgeSearchError("RequestError", "No bundle is open; open one first.");
  return engine;
}

async function loadParts() {
  const [ort, { default: initialize }, response] = await Promise.all([
    import(`${RUNTIME}ort.wasm.min.mjs`), import(`${RUNTIME}index.mjs`), fetch(new URL("engine.wasm", import.meta.url)),
  ]);
  /** @type {any} */ (globalThis).sqlite3ApiConfig = { warn: () => {} }; // that it cannot keep files, which nobody asks of it
  ort.env.wasm.wasmPaths = RUNTIME;
  ort.env.wasm.numThreads = 1;
  const sqlite3 = await initialize({ print: () => {}, printErr: () => {} });
  return { ort, sqlite3, engine: await response.arrayBuffer() };
}

/** Decode a photo upright, with transparent parts white. @param {Blob} photo */
async function decode(photo) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(photo, { imageOrientation: "from-image" });
  } catch {
    throw imageError("This file is not a picture that the browser can read, or it is damaged; take or copy it again.");
  }
  const { width, height } = bitmap;
  checkSize(width, height);
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true }));
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const head = new Uint8Array(await photo.slice(0, 2).arrayBuffer());
  return { width, height, data: context.getImageData(0, 0, width, height).data, isJpeg: head[0] === 0xff && head[1] === 0xd8 };
}

/** @type {Promise<void>} */
let before = Promise.resolve(); // one request at a time: the network runs one at a time

addEventListener("message", ({ data: { id, method, options } }) => {
  before = before.then(async () => {
    try {
      postMessage({ id, result: await METHODS[method](options) });
    } catch (error) {
      const kind = error instanceof EdgeSearchError ? error.kind : "Error";
      postMessage({ id, error: { kind, message: error instanceof Error ? error.message : String(error) } });
    }
  });
});
