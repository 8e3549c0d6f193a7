// Hold the decoder of JPEGs to what Python decodes; `test_jpeg.py` starts this with node.
// WASM is the compiled decoder; CASES the folder of the files, and of cases.json with what Python made of them.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";

import { decodeJpeg } from "../../edgesearch/browser/static/jpeg.js";
import { readMarkers } from "../../edgesearch/browser/static/jpeg_markers.js";
import { readOrientation, turnUpright } from "../../edgesearch/browser/static/orientation.js";
import { reduce } from "../../edgesearch/browser/static/pictures.js";

const { WASM, CASES } = process.env;
const code = new WebAssembly.Module(readFileSync(WASM));
const read = (name) => new Uint8Array(readFileSync(join(CASES, `${name}.jpg`)));

for (const { name, side, shape, sha256, refused } of JSON.parse(readFileSync(join(CASES, "cases.json"), "utf8"))) {
  test(`${name}, at least ${side} px`, async () => {
    const file = read(name);
    if (refused) {
      await assert.rejects(decodeJpeg(code, file, side), { kind: "ImageError" });
      return;
    }
    const { exif, xmp } = readMarkers(file);
    const { width, height, pixels } = turnUpright(reduce(await decodeJpeg(code, file, side), side), readOrientation(exif, xmp));
    assert.deepEqual([height, width], shape);
    assert.equal(createHash("sha256").update(pixels).digest("hex"), sha256);
  });
}

test("any damage gives pixels or one sentence", async () => {
  const file = read("420");
  for (let at = 2; at < file.length; at += Math.ceil(file.length / 60)) {
    const damaged = file.slice();
    damaged[at] ^= 0x5a;
    await decodeJpeg(code, damaged, 320).catch((error) => assert.equal(error.kind, "ImageError", error.stack));
  }
});

test("a picture with more scans than any camera writes is refused", async () => {
  const file = read("progressive");
  const scan = file.findLastIndex((value, at) => value === 0xda && file[at - 1] === 0xff) - 1;
  const [head, last] = [file.subarray(0, scan), file.subarray(scan, file.length - 2)];
  const many = new Uint8Array(head.length + 3000 * last.length);
  many.set(head);
  for (let n = 0; n < 3000; n++) many.set(last, head.length + n * last.length);
  await assert.rejects(decodeJpeg(code, many, 320), { kind: "ImageError", message: /scans/ });
});

test("a file that only says that it is huge is refused", async () => {
  const file = read("420").slice();
  const frame = file.findIndex((value, at) => value === 0xc0 && file[at - 1] === 0xff);
  file.set([0x7f, 0xff, 0x7f, 0xff], frame + 4);
  await assert.rejects(decodeJpeg(code, file, 320), { kind: "ImageError", message: /save it smaller/ });
});
