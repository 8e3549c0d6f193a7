// PINs in the browser; `test_counts.py` starts this with node.

import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import test from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { memoryStorage } from "./memory_storage.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const { ENGINE = join(here, "../../edgesearch/browser/static") } = process.env;
const load = (name) => import(pathToFileURL(join(ENGINE, name)).href);
const [{ Access }, storages] = await Promise.all(["access.js", "device_storage.js"].map(load));
const [BOSS, ADA] = ["482915", "739104"];

async function begin() {
  const storage = memoryStorage(storages);
  const open = () => new Access(storage, () => storage.now, 10);
  storage.now = 1_790_000_000_000;
  const access = open();
  await access.add("Boss", "manager", BOSS);
  await access.add("Ada", "staff", ADA);
  return { storage, access, open };
}

test("everybody is a manager until somebody has a PIN", async () => {
  const storage = memoryStorage(storages);
  const access = new Access(storage, Date.now, 10);
  storage.left = 0; // a full device can still be used
  assert.deepEqual(await access.me(), { role: "manager", name: "", needs_pin: false });
  await access.require("manager");
  await assert.rejects(access.logIn(BOSS), { kind: "DeviceError" });
  storage.left = Infinity;
  await assert.rejects(access.add("Ada", "staff", ADA), { kind: "DeviceError", message: /first PIN is a manager's/ });
  await access.add("Boss", "manager", BOSS);
  assert.deepEqual(await access.me(), { role: "customer", name: "", needs_pin: true });
  await assert.rejects(access.require("staff"), { kind: "UnauthorizedError" });
});

test("a role includes those below it", async () => {
  const { access } = await begin();
  await access.logIn(ADA);
  assert.equal((await access.require("staff")).name, "Ada");
  await assert.rejects(access.require("manager"), { kind: "UnauthorizedError" });
  await access.logIn(BOSS);
  assert.equal((await access.require("staff")).name, "Boss");
  access.logOut();
  assert.equal((await access.me()).role, "customer");
});

test("a session ends when it is not used, or when its PIN is taken", async () => {
  const { storage, access, open } = await begin();
  await access.logIn(ADA);
  storage.now += 800_000;
  assert.equal((await access.me()).role, "staff");
  storage.now += 800_000;
  assert.equal((await access.me()).role, "staff");
  storage.now += 901_000;
  assert.equal((await access.me()).role, "customer");
  await access.logIn(ADA);
  await open().remove("Ada"); // in another tab
  assert.equal((await access.me()).role, "customer");
});

test("after five wrong PINs everybody waits, also after a reload and a change of the clock", async () => {
  const { storage, access, open } = await begin();
  for (let left = 4; left >= 1; left--) await assert.rejects(access.logIn("111222"), { kind: "RefusedError", afterS: 0, message: new RegExp(`${left} more tries`) });
  await assert.rejects(access.logIn("111222"), { kind: "RefusedError", afterS: 60 });
  await assert.rejects(open().logIn(BOSS), { kind: "RefusedError", afterS: 60 });
  storage.now -= 3_600_000;
  await assert.rejects(open().logIn(BOSS), { kind: "RefusedError", afterS: 60 });
  storage.now += 3_600_000 + 61_000;
  await assert.rejects(access.logIn("111222"), { kind: "RefusedError", afterS: 120 });
  storage.now += 121_000;
  assert.equal((await access.logIn(BOSS)).role, "manager");
  await assert.rejects(access.logIn("111222"), { message: /4 more tries/ });
});

test("PINs and names that cannot be are refused", async () => {
  const { access } = await begin();
  for (const pin of ["", "12345", "1".repeat(13), "111122", "12345a", "１２３４５６"]) await assert.rejects(access.add("Bo", "staff", pin), { kind: "DeviceError" }, pin);
  for (const name of ["", " ", "Ada", "x\n", "x".repeat(101)]) await assert.rejects(access.add(name, "staff", "918273"), { kind: "DeviceError" }, name);
  for (const role of ["customer", "owner", ""]) await assert.rejects(access.add("Bo", role, "918273"), { kind: "DeviceError" }, role);
  await assert.rejects(access.add("Bo", "staff", ADA), { message: /somebody else has that PIN/ });
  await assert.rejects(access.remove("Bo"), { kind: "MissingError" });
  await assert.rejects(access.remove("Boss"), { message: /last manager/ });
  assert.deepEqual(await access.people(), [{ name: "Boss", role: "manager" }, { name: "Ada", role: "staff" }]);
});

test("no PIN is stored", async () => {
  const { storage } = await begin();
  const stored = JSON.stringify([...storage.tables.setting.values()]);
  assert.ok(!stored.includes(BOSS) && !stored.includes(ADA));
});
