// Hold the engine of the browser to what Python answers; `test_engine.py` starts this with node.
// ENGINE is the folder of the engine, WASM its compiled C. SHOP is a bundle, and SHOP_ANSWERS what Python found in it.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { openAsBlob, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import test from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";

import { draw } from "./drawing.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const { ENGINE = join(here, "../../edgesearch/browser/static"), WASM = join(ENGINE, "engine.wasm"), SHOP, SHOP_ANSWERS } = process.env;
const load = (name) => import(pathToFileURL(join(ENGINE, name)).href);
const [{ Native }, pictures, crops, { Calibration }, { Bundle }, { CompactIndex }, { LocalIndex }, features] = await Promise.all(
  ["native.js", "pictures.js", "crops.js", "decision.js", "bundle.js", "compact_index.js", "local_index.js", "local_features.js"].map(load));
const vectors = JSON.parse(readFileSync(join(here, "vectors.json"), "utf8"));
const native = await Native.load(readFileSync(WASM));

const sha256 = (numbers) => createHash("sha256").update(new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength)).digest("hex");
const close = (found, expected, tolerance, what) => assert.ok(Math.abs(found - expected) <= tolerance, `${what}: ${found}, Python says ${expected}`);
const crop = ([left, top, side]) => ({ left, top, side });

test("decisions and probabilities", () => {
  for (const { calibration, evidence, probabilities, decision } of vectors.decisions) {
    const read = Calibration.read(calibration);
    const found = read.probabilities(evidence.map(([nearest, mean, printed, count]) => ({ nearest, mean, printed, pictures: count })));
    found.forEach((probability, i) => close(probability, probabilities[i], 1e-12, "probability"));
    assert.equal(read.decide(found), decision);
  }
});

test("crops", () => {
  for (const { size: [height, width], response, whole, near, object, clipped } of vectors.crops) {
    const picture = { width, height };
    const found = { whole: crops.wholeCrop(picture), near: crops.centreCrop(picture) };
    found.object = crops.objectCrop(found.whole, Float32Array.from(response), 7, 7);
    for (const [name, expected] of Object.entries({ whole, near, object })) {
      for (const [key, value] of Object.entries(crop(expected))) close(found[name][key], value, 1e-9, `${name} of ${width}x${height}`);
    }
    assert.deepEqual(crops.clip(found.object, picture, 0.2), clipped);
  }
});

test("squares have the same bits", () => {
  for (const { size, side, squares, sha256: expected } of vectors.squares) {
    const cut = pictures.cropSquares(native, draw(size), squares.map(crop), { crop: side, scale: 1 / 128, offset: -1 });
    assert.equal(sha256(cut), expected, `${size}`);
  }
});

test("grey pictures have the same bits", () => {
  for (const { size: [height, width], side, shape, sha256: expected } of vectors.grey) {
    const grey = pictures.toGrey(draw([height, width]), [0, 0, width, height], side);
    assert.deepEqual([grey.height, grey.width], shape);
    assert.equal(sha256(grey.pixels), expected, `${width}x${height}`);
  }
});

test("averages of blocks have the same bits", () => {
  for (const { size, factor, sha256: expected } of vectors.averages) assert.equal(sha256(pictures.averageBlocks(draw(size), factor).pixels), expected, `${size} by ${factor}`);
});

test("a picture that is too small is refused", () => {
  assert.throws(() => pictures.reduceToRgb({ width: 5, height: 500, data: new Uint8Array(4 * 5 * 500) }, 320), { kind: "ImageError" });
});

const inShop = { skip: !SHOP && "SHOP names no bundle" };
const answers = SHOP_ANSWERS ? JSON.parse(readFileSync(SHOP_ANSWERS, "utf8")) : null;

test("the index finds the same rows", inShop, async () => {
  const index = await CompactIndex.open(native, await Bundle.open(await openAsBlob(SHOP)));
  for (const { query, rows, scores } of answers.index) {
    const found = index.search(Float32Array.from(query), rows.length);
    assert.deepEqual(found.rows, rows);
    found.scores.forEach((score, i) => close(score, scores[i], 1e-6, "score"));
  }
  for (const { row, vector } of answers.vectors) index.readVector(row).forEach((x, d) => close(x, vector[d], 1e-6, "vector"));
});

test("local features agree with the same pictures", inShop, async () => {
  const local = await LocalIndex.open(native, await Bundle.open(await openAsBlob(SHOP)));
  for (const { size: [height, width], rgb, crop: square, features: count, candidates, evidence } of answers.local) {
    const picture = { width, height, pixels: new Uint8Array(Buffer.from(rgb, "base64")) };
    const photo = features.extractFeatures(native, picture, crop(square));
    close(photo.count, count, 0.01 * count, "features");
    assert.equal(local.findCandidates(photo, candidates.length)[0], candidates[0]);
    (await local.verify(photo, evidence.map(({ row }) => row))).forEach((found, i) => {
      close(found.points, evidence[i].points, Math.max(2, 0.05 * evidence[i].points), `points of row ${i}`);
      close(found.weight, evidence[i].weight, Math.max(1, 0.05 * evidence[i].weight), `weight of row ${i}`);
      assert.equal(found.mirrored, evidence[i].mirrored);
    });
  }
});

test("every flipped byte of a bundle is found", inShop, async () => {
  const content = readFileSync(SHOP);
  const { locations, manifest } = await Bundle.open(new Blob([content]));
  for (const [name, { start, stop }] of Object.entries(locations)) {
    const damaged = Buffer.from(content);
    damaged[Math.floor((start + stop) / 2)] ^= 1;
    const read = async () => {
      const bundle = await Bundle.open(new Blob([damaged]));
      for (const member of Object.keys(manifest.files)) await bundle.range(member, 0, manifest.files[member].size);
      await bundle.member(name);
    };
    await assert.rejects(read, (error) => ["BundleError", "SignatureError"].includes(error.kind), name);
  }
});

test("a bundle that is cut off is refused", inShop, async () => {
  const content = readFileSync(SHOP);
  for (const bytes of [0, 10, 29, 2000, content.length >> 1]) {
    await assert.rejects(Bundle.open(new Blob([content.subarray(0, bytes)])), { kind: "BundleError" }, `${bytes} bytes`);
  }
});

test("signatures are checked", inShop, async () => {
  const [shop, foreign] = answers.keys;
  const { signer } = await Bundle.open(await openAsBlob(answers.signed), [shop]);
  assert.equal(signer, shop);
  await assert.rejects(Bundle.open(await openAsBlob(answers.signed), [foreign]), { kind: "SignatureError" });
  await assert.rejects(Bundle.open(await openAsBlob(SHOP), [shop]), { kind: "SignatureError" }, "unsigned");
  const forged = Buffer.from(readFileSync(answers.signed));
  const at = forged.indexOf("edgesearch signature 1: ") + 100;
  forged[at] = forged[at] === 0x30 ? 0x31 : 0x30;
  await assert.rejects(Bundle.open(new Blob([forged]), [shop]), (error) => ["BundleError", "SignatureError"].includes(error.kind));
});
