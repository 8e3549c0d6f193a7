// What the engine refuses, and in which words; `test_refusals.py` starts this with node.
// ENGINE is the folder of a site, SHOP a bundle, SIGNED the same signed by KEY, in hex.

import assert from "node:assert/strict";
import { openAsBlob, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { pathToFileURL } from "node:url";

const { ENGINE, SHOP, SIGNED, KEY } = process.env;
const load = (name) => import(pathToFileURL(join(ENGINE, name)).href);
const [{ Bundle, crc32 }, { Native }] = await Promise.all(["bundle.js", "native.js"].map(load));

/** Return the bundle with a text of its manifest replaced by one as long. */
async function withManifest(path, from, to) {
  const content = readFileSync(path);
  const { start, stop } = (await Bundle.open(new Blob([content]))).locations["manifest.json"];
  const manifest = content.subarray(start, stop);
  const changed = Buffer.from(manifest.toString().replace(from, to));
  assert.equal(changed.length, manifest.length);
  assert.notDeepEqual(changed, manifest);
  manifest.set(changed);
  content.writeUInt32LE(crc32(changed), 14);
  return new Blob([content]);
}

/** Run `work` as in a browser whose WebCrypto lacks Ed25519. */
async function withoutEd25519(work) {
  const { importKey } = crypto.subtle;
  let asked = 0;
  crypto.subtle.importKey = async () => {
    asked++;
    throw new DOMException("Unrecognized algorithm name", "NotSupportedError");
  };
  try {
    await work();
  } finally {
    crypto.subtle.importKey = importKey;
  }
  assert.ok(asked, "the browser is asked first");
}

test("a bundle of a newer format names both formats", async () => {
  const newer = await withManifest(SHOP, /"format": ?1/, (found) => found.replace("1", "2"));
  await assert.rejects(Bundle.open(newer), { kind: "BundleError", message: /format 2; this version reads 1, make the site again with a newer edgesearch\.$/ });
});

test("browsers without Ed25519 verify signatures by the library", async () => {
  await withoutEd25519(async () => {
    assert.equal((await Bundle.open(await openAsBlob(SIGNED), [KEY])).signer, KEY);
    const forged = await withManifest(SIGNED, /"sequence": ?1/, (found) => found.replace("1", "9"));
    await assert.rejects(Bundle.open(forged, [KEY]), { kind: "SignatureError", message: /does not match its manifest/ });
  });
});

test("a key that is no point of the curve verifies nothing, with the browser and with the library", async () => {
  const content = readFileSync(SIGNED);
  const at = content.indexOf("edgesearch signature 1: ") + "edgesearch signature 1: ".length;
  content.write("02".padEnd(64, "0"), at);
  const begin = content.lastIndexOf("PK\x03\x04", at, "latin1");
  const stop = content.indexOf("PK", at);
  const size = content.readUInt32LE(begin + 22);
  content.writeUInt32LE(crc32(content.subarray(stop - size, stop)), begin + 14);
  const open = () => assert.rejects(Bundle.open(new Blob([content])), { kind: "SignatureError", message: /does not match/ });
  await open();
  await withoutEd25519(open);
});

test("a browser without 128-bit vectors is told to be replaced", async () => {
  const { compile, instantiate } = WebAssembly;
  const refuse = async () => { throw new WebAssembly.CompileError("Wasm SIMD unsupported"); };
  Object.assign(WebAssembly, { compile: refuse, instantiate: refuse });
  const refusal = { kind: "BrowserError", message: /^This browser cannot run the search .*; use a newer one, of 2021 or later\.$/ };
  try {
    await assert.rejects(Native.load(new Uint8Array(8)), refusal);
    await assert.rejects(Native.compile(async () => new Uint8Array(8)), refusal);
  } finally {
    Object.assign(WebAssembly, { compile, instantiate });
  }
});

test("a browser without a fused multiply-add gets the engine that does without", async () => {
  const { compile } = WebAssembly;
  const asked = [];
  WebAssembly.compile = async (code) => {
    if (asked.length < 2) throw new WebAssembly.CompileError("invalid numeric opcode");
    return compile(code);
  };
  try {
    const engine = await Native.compile(async (name) => { asked.push(name); return readFileSync(join(ENGINE, name)); });
    assert.equal((await Native.load(engine)).call.weight_bytes(), 8);
  } finally {
    WebAssembly.compile = compile;
  }
  assert.deepEqual(asked, ["engine_relaxed.wasm", "engine.wasm"]);
});
