// The network embeds pictures to the same vectors as in Python; `test_network.py` starts this with node.
// RUNTIME is the folder of the libraries, MODEL a model folder, and EXPECTED what Python makes of the drawn pictures.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import test from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";

const { WASM, RUNTIME, MODEL, EXPECTED } = process.env;
const here = dirname(fileURLToPath(import.meta.url));
const load = (name) => import(pathToFileURL(join(here, "../../edgesearch/browser/static", name)).href);
const [{ Native }, { Embedder }, { cutFloatConvolutions }] = await Promise.all(["native.js", "embedder.js", "onnx_graph.js"].map(load));
const native = await Native.load(readFileSync(WASM));
const ort = await import(pathToFileURL(join(RUNTIME, "ort.wasm.min.mjs")).href);
ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmPaths = `${pathToFileURL(RUNTIME).href}/`;
const { exact, pictures } = JSON.parse(readFileSync(EXPECTED, "utf8"));

/** Stand in for a bundle with the model. */
const bundle = { has: () => false, member: async (path) => new Uint8Array(readFileSync(join(MODEL, path.replace("model/", "")))) };

test("embeddings are those of Python", async () => {
  const embedder = await Embedder.open(native, ort, bundle);
  assert.ok(embedder.first, "the model begins with convolutions in float");
  for (const { size: [height, width], rgb, fast, whole } of pictures) {
    const picture = { width, height, pixels: new Uint8Array(Buffer.from(rgb, "base64")) };
    for (const expected of [fast, whole]) {
      const { embedding } = await embedder.embed(picture, expected === fast);
      const cosine = embedding.reduce((sum, x, d) => sum + x * expected[d], 0);
      assert.ok(cosine > (exact ? 1 - 1e-6 : 0.99), `cosine ${cosine}`);
    }
  }
});

test("a network that is cut off is refused in one sentence", async () => {
  const content = readFileSync(join(MODEL, "model.int8.onnx"));
  for (const bytes of [0, 5, 3000, content.length - 7]) {
    const cut = { ...bundle, member: async (path) => (path.endsWith(".onnx") ? new Uint8Array(content.subarray(0, bytes)) : bundle.member(path)) };
    await assert.rejects(Embedder.open(native, ort, cut), { kind: "ModelError" }, `${bytes} bytes`);
  }
});

test("a network without convolutions in float is left whole", () => {
  assert.equal(cutFloatConvolutions(new Uint8Array(0)), null);
});
