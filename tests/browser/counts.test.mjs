// Hold counts in the browser to what Python makes of the same photos and corrections; `test_counts.py` starts this with node.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import test from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { memoryStorage } from "./memory_storage.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const { ENGINE = join(here, "../../edgesearch/browser/static") } = process.env;
const load = (name) => import(pathToFileURL(join(ENGINE, name)).href);
const [{ Counts, PhotoCount, entryOf }, { formatStock }, storages] = await Promise.all(["photo_count.js", "stock_list.js", "device_storage.js"].map(load));
const { products, answers, steps } = JSON.parse(readFileSync(join(here, "count_vectors.json"), "utf8"));

const find = (sku) => products[sku] ?? null;
const bytes = (text) => new TextEncoder().encode(text);
const idOf = (photo) => `p${createHash("sha256").update(photo).digest("hex").slice(0, 16)}`;

function begin(name = "aisle 4") {
  let last = 0;
  const storage = memoryStorage(storages);
  return { storage, count: new PhotoCount(storage, name, () => `h${(++last).toString(16).padStart(16, "0")}`) };
}

const addPhoto = (count, photo, times = 1) => count.addPhoto({ id: idOf(photo), photo, times, ...entryOf(answers[photo]) }, bytes(photo));

const ACTIONS = {
  photo: async (count, { photo, times }) => (await addPhoto(count, photo, times)).entry,
  correct: (count, { photo, sku, times }) => count.correct(idOf(photo), sku, times, find),
  product: async (count, { sku, times }) => count.addProduct(sku, times, find),
  total: (count, { sku, total }) => count.setTotal(sku, total, find),
  undo: (count) => count.undo(),
};

test("each step gives the totals, the waiting photos and the list that it gives in Python", async () => {
  const { storage, count } = begin();
  for (const [number, { what, given, seen, error, counts, waiting, stock }] of steps.entries()) {
    if (error) await assert.rejects(ACTIONS[what](count, given), (found) => found.kind === "CountError" && found.message.endsWith(`: ${error}`), `step ${number}`);
    else assert.deepEqual(await ACTIONS[what](count, given), seen, `step ${number}`);
    for (const reader of [count, new PhotoCount(storage, "aisle 4")]) { // the second reads it anew, as after a reload
      const described = await reader.describe();
      assert.deepEqual(described, { name: "aisle 4", counts, waiting }, `step ${number}`);
      assert.equal(formatStock(await reader.counted(), find), stock, `step ${number}`);
    }
  }
});

test("a photo is kept while it waits, and shown again by an undo", async () => {
  const { count } = begin();
  await addPhoto(count, "one");
  await assert.rejects(count.waitingPhoto(idOf("one")), { kind: "MissingError" });
  await count.undo();
  assert.deepEqual(await count.waitingPhoto(idOf("one")), bytes("one"));
  await count.correct(idOf("one"), "P1", null, find);
  await assert.rejects(count.waitingPhoto(idOf("one")), { kind: "MissingError" });
  await count.correct(idOf("one"), "", null, find);
  assert.deepEqual(await count.waitingPhoto(idOf("one")), bytes("one"));
});

test("two tabs count into one list", async () => {
  const { storage, count } = begin();
  const other = new PhotoCount(storage, "aisle 4");
  const [first, second] = await Promise.all([addPhoto(count, "one", 2), addPhoto(other, "one", 3), addPhoto(other, "two", 2)]);
  assert.deepEqual([first.isNew, second.isNew, second.entry.times], [true, false, 2], "the same photo is counted once");
  assert.deepEqual((await count.describe()).counts.map(({ sku, count: n }) => [sku, n]), [["P2", 2], ["P1", 2]]);
});

test("on a full device nothing is counted, and what was counted stays", async () => {
  const { storage, count } = begin();
  await addPhoto(count, "one");
  for (const rows of [0, 1]) {
    storage.left = rows;
    await assert.rejects(addPhoto(count, "three"), { kind: "DeviceError" });
    storage.left = Infinity;
    const { counts, waiting } = await count.describe();
    assert.deepEqual([counts.length, waiting.length], [1, 0]);
  }
  assert.ok((await addPhoto(count, "three")).isNew);
});

test("counts have names", async () => {
  const counts = new Counts(memoryStorage(storages));
  for (const name of ["", " x", "x ", "../x", "x/y", "_x", "x".repeat(65), "x."]) await assert.rejects(counts.begin(name), { kind: "CountError" }, name);
  await assert.rejects(counts.find("aisle 4"), { kind: "MissingError" });
  for (const name of ["aisle 4", "Gang 2", "通道 4", "aisle 4"]) await counts.begin(name);
  assert.deepEqual(await counts.names(), ["Gang 2", "aisle 4", "通道 4"]);
  assert.equal(await counts.find("aisle 4"), await counts.begin("aisle 4"));
});
