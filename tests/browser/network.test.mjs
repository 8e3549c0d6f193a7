// Networks compute what onnxruntime computes in Python; `test_network.py` starts this with node.
// WASM is the engine, MODEL a model folder, EXPECTED what Python makes of the drawn pictures, GRAPHS of small networks.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import test from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";

const { WASM, MODEL, EXPECTED, GRAPHS } = process.env;
const here = dirname(fileURLToPath(import.meta.url));
const load = (name) => import(pathToFileURL(join(here, "../../edgesearch/browser/static", name)).href);
const [{ Native }, { Embedder }, { Network }] = await Promise.all(["native.js", "embedder.js", "network.js"].map(load));
const native = await Native.load(readFileSync(WASM));
const { exact, pictures } = JSON.parse(readFileSync(EXPECTED, "utf8"));
const floats = (base64) => new Float32Array(new Uint8Array(Buffer.from(base64, "base64")).buffer);

/** Stand in for a bundle with the model, or with another network. */
const bundleOf = (network) => ({
  has: () => false,
  member: async (path) => new Uint8Array((path.endsWith(".onnx") && network) || readFileSync(join(MODEL, path.replace("model/", "")))),
});

test("embeddings are those of Python", async () => {
  const embedder = await Embedder.open(native, bundleOf());
  for (const { size: [height, width], rgb, fast, whole } of pictures) {
    const picture = { width, height, pixels: new Uint8Array(Buffer.from(rgb, "base64")) };
    for (const expected of [fast, whole]) {
      const { embedding } = embedder.embed(picture, expected === fast);
      const cosine = embedding.reduce((sum, x, d) => sum + x * expected[d], 0);
      assert.ok(cosine > (exact ? 1 - 1e-6 : 0.99), `cosine ${cosine}`);
    }
  }
});

test("a network that is cut off is refused in one sentence", async () => {
  const content = readFileSync(join(MODEL, "model.int8.onnx"));
  for (const bytes of [0, 5, 3000, content.length - 7]) {
    await assert.rejects(Embedder.open(native, bundleOf(content.subarray(0, bytes))), { kind: "ModelError", message: /cannot run here \(.+\); build the bundle again/ }, `${bytes} bytes`);
  }
});

test("an operator that is not known is named", async () => {
  const content = readFileSync(join(MODEL, "model.int8.onnx"));
  const changed = Buffer.from(content.toString("latin1").replace("ReduceL2", "ReduceL9"), "latin1");
  await assert.rejects(Embedder.open(native, bundleOf(changed)), { kind: "ModelError", message: /it has the operator ReduceL9/ });
});

const { graphs } = GRAPHS ? JSON.parse(readFileSync(GRAPHS, "utf8")) : { graphs: [] };
for (const { name, model, side, input, outputs } of graphs) {
  test(`${name} equals onnxruntime's`, { skip: !exact && "its sums of floats have another order here" }, () => {
    const network = new Network(native, new Uint8Array(Buffer.from(model, "base64")), side);
    for (let run = 0; run < 2; run++) {
      network.run(floats(input)).forEach(({ shape, numbers }, i) => {
        const expected = floats(outputs[i].numbers);
        assert.deepEqual(shape, outputs[i].shape);
        const [channels, count] = [shape[0], numbers.length / shape[0]];
        numbers.forEach((found, n) => {
          const known = shape.length === 3 ? expected[(n % channels) * count + Math.floor(n / channels)] : expected[n];
          assert.ok(outputs[i].exact ? found === known : Math.abs(found - known) <= 1e-5 * Math.max(1, Math.abs(known)), `${outputs[i].name} ${n}: ${found}, onnxruntime says ${known}`);
        });
      });
    }
  });
}
