// Hold what the browser makes of enrolments, edits, removals and exports to what Python makes of them; `test_taught.py`
// starts this with node. ENGINE is the folder of the engine, WASM its compiled C. EXPORTED is a zip that Python wrote,
// and WRITTEN the one to write.

import assert from "node:assert/strict";
import { openAsBlob, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import test from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { draw } from "./drawing.mjs";
import { memoryStorage } from "./memory_storage.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const { ENGINE = join(here, "../../edgesearch/browser/static"), WASM = join(ENGINE, "engine.wasm"), EXPORTED, WRITTEN } = process.env;
const load = (name) => import(pathToFileURL(join(ENGINE, name)).href);
const [{ Native }, pictures, changes, details, storages, overlays, exports, stable, packed, zips, { spaceOf }, rules, { LearnedPictures }] = await Promise.all(
  ["native.js", "pictures.js", "changes.js", "product_details.js", "device_storage.js", "overlay.js", "overlay_export.js", "stable_features.js", "packed_features.js", "zip_file.js", "taught.js", "learning_rules.js", "learned_pictures.js"].map(load));
const vectors = JSON.parse(readFileSync(join(here, "taught_vectors.json"), "utf8"));
const native = await Native.load(readFileSync(WASM));

const JPEG = new TextEncoder().encode("a picture");
const OTHER = new TextEncoder().encode("another picture");
const decode = (text) => new Uint8Array(Buffer.from(text, "base64"));
const floats = (text) => new Float32Array(decode(text).buffer);

function begin() {
  const storage = memoryStorage(storages);
  return { storage, overlay: new overlays.Overlay(storage) };
}

const picture = async (content, reference = null) => ({ name: await overlays.nameOf(content), content, reference });
const enrol = (given) => (before) => changes.enrolChange("N1", before, null, given);

test("changes say and show what they do in Python", () => {
  for (const { base, others, steps } of vectors.changes) {
    let change = null;
    for (const { what, details: given, pictures: names, error, change: after, says, shown, missing } of steps) {
      const before = change;
      const act = () => {
        const checked = details.checkDetails("J1", given);
        if (what === "remove") return changes.removeChange("J1", before, base);
        return (what === "enrol" ? changes.enrolChange : changes.editChange)("J1", before, base, checked);
      };
      if (error) {
        assert.throws(act, { kind: "CatalogError", message: error });
        continue;
      }
      change = act();
      change = { ...change, pictures: { ...change.pictures, ...Object.fromEntries(names.map((name) => [name, steps.findIndex((one) => one.pictures === names)])) } };
      assert.ok(changes.isSame(change, after), JSON.stringify([change, after]));
      assert.deepEqual(changes.describeChange(before, change), says);
      assert.deepEqual([base, ...others].map((one) => changes.applyChange(change, "J1", one)), shown);
      assert.deepEqual(Object.fromEntries(changes.missingPictures(change, ["shelf/50.jpg", "60.webp"])), missing);
    }
  }
});

test("views for stable features look the same", () => {
  const whole = draw([333, 250]);
  const grey = pictures.toGrey(whole, [0, 0, 250, 333], 72);
  for (const { view, shape, pixels, affine } of vectors.warped) {
    const { warped, affine: found } = stable.warpView(grey, view);
    assert.deepEqual([warped.height, warped.width], shape);
    const differences = decode(pixels).map((value, i) => Math.abs(value - warped.pixels[i]));
    assert.ok(Math.max(...differences) <= 2, `${view}: ${Math.max(...differences)}`); // Pillow may resize the height first
    found.forEach((value, i) => assert.ok(Math.abs(value - affine[i]) < 1e-9));
  }
});

test("a taught picture keeps the features that it keeps in Python", () => {
  const { size, places } = vectors.stable;
  const found = stable.extractStableFeatures(native, draw(size));
  const expected = new Set(places.map(String));
  const same = Array.from({ length: found.count }, (_, i) => [0, 1].map((j) => Number(found.keypoints[4 * i + j].toFixed(3)))).filter((place) => expected.has(String(place)));
  assert.equal(found.count, places.length);
  assert.ok(same.length >= 0.95 * places.length, `${same.length} of ${places.length}`);
});

test("references have the same bytes", async () => {
  const [model, preprocessing, local] = vectors.space.hashes;
  assert.equal((await spaceOf({ model, preprocessing, local })).space, vectors.space.space);
  const { embedding, reference } = vectors.references;
  const read = packed.readReference(decode(reference), floats(embedding).length);
  assert.deepEqual(read.embedding, floats(embedding));
  assert.deepEqual(packed.writeReference(read.embedding, read.features), decode(reference));
  for (const bytes of [0, 31, 33, 100]) assert.throws(() => packed.readReference(decode(reference).subarray(0, bytes), 8), { kind: "DeviceError" }, `${bytes} bytes`);
});

test("the rules of learning judge as in Python", () => {
  for (const { vectors: rows, products, groups, rival, supported, other, usual, nothing, dropped } of vectors.learning) {
    const [first, ...known] = rows.map((row) => Float32Array.from(row));
    const near = known.map((row, i) => ({ product: products[i + 1], cosine: rules.cosineOf(row, first), group: groups[i + 1] }));
    const found = rules.findRival(products[0], groups[0], near);
    assert.equal(found?.product, rival?.[0]);
    if (rival) assert.ok(Math.abs(found.cosine - rival[1]) < 1e-6);
    assert.equal(rules.isSupported(products[0], groups[0], near), supported);
    assert.ok(Math.abs(rules.nearestOther(products[0], near) - other) < 1e-6);
    assert.equal(rules.isUsual(Math.max(...near.map(({ cosine }) => cosine)), known), usual);
    assert.equal(rules.addsNothing(first, known), nothing);
    const all = [first, ...known];
    assert.deepEqual(rules.chooseDropped(all.slice(0, 8), all.slice(8), groups.slice(0, 8), 4), dropped);
  }
});

test("learned pictures are stored with their line of the log, and deleted for good", async () => {
  const { storage, overlay } = begin();
  const learned = new LearnedPictures(storage);
  const one = { number: 0, sku: "P1", time: "2026-11-30T08:00:00+00:00", source: "choice", code: "", who: "Ada", device: "d", trust: 0.7, state: "used", why: "", like: "", against: 0, name: "n", size_bytes: 0 };
  await assert.rejects(learned.add(one, JPEG, "space", OTHER, [], []), { kind: "DeviceError", message: /switched off/ });
  assert.equal((await learned.changeSettings({ on: true }, "")).on, true);
  for (let rows = 0; rows < 5; rows++) {
    storage.left = rows;
    await assert.rejects(learned.add(one, JPEG, "space", OTHER, [], []), /no space left/);
    storage.left = Infinity;
    assert.deepEqual(await learned.all(), []);
  }
  const first = await learned.add(one, JPEG, "space", OTHER, [], []);
  const waiting = await learned.add({ ...one, state: "waiting", why: "no other day agrees yet" }, null, "space", OTHER, [], []);
  assert.deepEqual([first.number, first.size_bytes, waiting.number], [1, JPEG.length + OTHER.length, 2]);
  assert.deepEqual([await learned.picture(1), await learned.picture(2)], [JPEG, null]);
  const third = await learned.add(one, JPEG, "space", OTHER, [1], [2]);
  assert.deepEqual((await learned.all()).map(({ number, state }) => [number, state]), [[2, "used"], [3, "used"]]);
  assert.deepEqual([...(await learned.references("space", [1, 2, 3])).keys()], [2, 3]);
  assert.equal((await learned.delete([2, third.number, 9], "Ada")).length, 2);
  assert.equal(storage.tables.learned_part.size, 0);
  assert.equal((await learned.add(one, JPEG, "space", OTHER, [], [])).number, 4, "no number comes twice");
  assert.deepEqual((await overlay.events()).map(({ what }) => what), ["learning", "learn", "learn", "learn", "forget", "learn"]);
});

test("each change is undone, the last one first", async () => {
  const { overlay } = begin();
  await overlay.change([{ what: "enrol", sku: "N1", revise: enrol({ name: "Plum jam" }), pictures: [await picture(JPEG)] }], "Ada", "space");
  await overlay.change([{ what: "edit", sku: "N1", revise: (before) => changes.editChange("N1", before, null, { price: 2.5 }) }], "Bo", "space");
  assert.equal((await overlay.snapshot()).changes.get("N1").details.price, 2.5);
  const { what, sku, who, detail } = await overlay.undo("Ada");
  assert.deepEqual([what, sku, who, detail.undone, detail.by], ["undo", "N1", "Ada", "edit", "Bo"]);
  assert.equal((await overlay.snapshot()).changes.get("N1").details.price, undefined);
  assert.equal((await overlay.undo("")).detail.undone, "enrol");
  assert.equal((await overlay.snapshot()).changes.size, 0);
  await assert.rejects(overlay.undo(""), { kind: "DeviceError" });
  assert.deepEqual((await overlay.events()).map((event) => event.what), ["enrol", "edit", "undo", "undo"]);
  assert.equal(await overlay.version(), 4);
});

test("a change that changes nothing is not in the log", async () => {
  const { overlay } = begin();
  const again = { what: "enrol", sku: "N1", revise: enrol({ name: "Plum jam" }), pictures: [await picture(JPEG)] };
  for (let i = 0; i < 2; i++) await overlay.change([again], "", "space");
  assert.equal((await overlay.events()).length, 1);
  assert.equal(Object.keys((await overlay.snapshot()).changes.get("N1").pictures).length, 1);
});

test("on a full device a change happens completely or not at all", async () => {
  for (let rows = 0; rows < 6; rows++) {
    const { storage, overlay } = begin();
    storage.left = rows;
    const taught = [await picture(JPEG, JPEG), await picture(OTHER, OTHER)];
    const done = overlay.change([{ what: "enrol", sku: "N1", revise: enrol({ name: "Plum jam" }), pictures: taught }], "", "space");
    await assert.rejects(done, { kind: "DeviceError", message: /no space left.*nothing was changed/ });
    storage.left = Infinity;
    assert.deepEqual([(await overlay.snapshot()).changes.size, await overlay.version()], [0, 0]);
    await assert.rejects(overlay.picture(1), { kind: "DeviceError" });
  }
});

test("storage that the browser denies is named", () => {
  for (const name of ["SecurityError", "VersionError", "UnknownError"]) {
    const { kind, message } = storages.storageError(new DOMException("no", name));
    assert.equal(kind, "DeviceError");
    assert.match(message, /^[^.]+\.$|^.*\)/);
  }
});

test("what one device exports another imports, completely or not at all", async () => {
  const [{ overlay: first }, { storage, overlay: second }] = [begin(), begin()];
  await first.change([
    { what: "enrol", sku: "N1", revise: enrol({ name: "Plum jam", price: 2.5 }), pictures: [await picture(JPEG), await picture(OTHER)] },
    { what: "remove", sku: "P1", revise: () => ({ ...changes.NO_CHANGE, removed: true }) },
  ], "Ada", "space");
  const { file: zip } = await exports.exportOverlay(first);
  storage.left = 3;
  await assert.rejects(exports.importOverlay(second, zip, "Bo"), /no space left/);
  assert.equal((await second.snapshot()).changes.size, 0);
  storage.left = Infinity;
  await second.change([{ what: "enrol", sku: "N1", revise: enrol({ name: "Jam", brand: "Acme" }), pictures: [await picture(JPEG)] }], "", "space");
  assert.equal(await exports.importOverlay(second, zip, "Bo"), 2);
  const { changes: now } = await second.snapshot();
  assert.deepEqual(changes.applyChange(now.get("N1"), "N1", null), details.productOf("N1", { name: "Plum jam", price: 2.5, brand: "Acme" }));
  assert.equal(Object.keys(now.get("N1").pictures).length, 2);
  assert.deepEqual(await second.picture(now.get("N1").pictures[await overlays.nameOf(OTHER)]), OTHER);
  assert.ok(now.get("P1").removed);
  assert.equal(await exports.importOverlay(second, zip, "Bo"), 0, "again");
});

test("a damaged export changes nothing", async () => {
  const [{ overlay: first }, { overlay: second }] = [begin(), begin()];
  await first.change([{ what: "enrol", sku: "N1", revise: enrol({ name: "Plum jam" }), pictures: [await picture(JPEG)] }], "", "space");
  const whole = new Uint8Array(await (await exports.exportOverlay(first)).file.arrayBuffer());
  const others = [new Uint8Array(0), whole.subarray(0, 100), whole.subarray(0, whole.length - 10), ...Array.from({ length: whole.length }, (_, i) => whole.map((byte, at) => (at === i ? byte ^ 1 : byte)))];
  for (const content of others) {
    await exports.importOverlay(second, new Blob([content]), "").then(
      async (changed) => {
        assert.ok(changed >= 0);
        while (await second.version()) { try { await second.undo(""); } catch { break; } }
      },
      (error) => assert.equal(error.kind, "CatalogError", String(error.stack)));
    assert.equal((await second.snapshot()).changes.size, 0);
  }
  const forged = (table) => zips.writeZip([{ name: "taught/taught.json", content: new TextEncoder().encode(JSON.stringify(table)) }]);
  const fine = { sku: "N1", own: true, removed: false, details: { name: "Jam" }, was: {}, pictures: [] };
  for (const table of [null, 7, { format: 2, changes: [] }, { format: 1 }, ...[
    { sku: 7 }, { own: 1 }, { details: null }, { details: {} }, { details: { name: ["x"] } }, { was: { name: {} } }, { pictures: ["../../secret"] }, { pictures: ["0123456789abcdef"] },
  ].map((wrong) => ({ format: 1, changes: [{ ...fine, ...wrong }] }))]) {
    await assert.rejects(exports.importOverlay(second, forged(table), ""), { kind: "CatalogError" }, JSON.stringify(table));
  }
  assert.equal(await exports.importOverlay(second, forged({ format: 1, changes: [fine] }), ""), 1);
});

test("Python's export is imported, and written again for Python", { skip: !EXPORTED && "EXPORTED names no zip" }, async () => {
  const { overlay } = begin();
  await exports.importOverlay(overlay, await openAsBlob(EXPORTED), "");
  writeFileSync(WRITTEN, new Uint8Array(await (await exports.exportOverlay(overlay)).file.arrayBuffer()));
});
