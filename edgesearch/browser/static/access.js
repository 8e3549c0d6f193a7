// People with PINs on this device, and who is logged in; see `access.py`, `sessions.py` and `wrong_pins.py`.
//
// A PIN keeps an honest person from the wrong button. Whoever holds the device can read and change what its browser keeps.

import { EdgeSearchError, missingError } from "./errors.js";
import { hasControl } from "./product_details.js";

export const ROLES = /** @type {const} */ (["customer", "staff", "manager"]); // each includes the rights of those before it
const SESSION_MS = 900_000; // since its last use
const MAX_HOLDERS = 50;
const MAX_NAME = 100; // characters
const PIN = /^\d{6,12}$/;
const ITERATIONS = 600_000; // half a second on a handheld
const DAY_MS = 86_400_000;
const FREE_TRIES = 5; // wrong PINs before everybody has to wait
const [FIRST_WAIT_S, MAX_WAIT_S] = [60, 900];

/**
 * @typedef {typeof ROLES[number]} Role
 * @typedef {{name: string, role: Role}} Visitor name: "" for a customer, and where nobody has a PIN
 * @typedef {{name: string, role: Role, hash: string}} Holder
 * @typedef {{holders: Holder[], salt: string, wrong: number[]}} Stored wrong: times of wrong PINs in ms
 */

const deviceError = (/** @type {string} */ message) => new EdgeSearchError("DeviceError", message);

export class Access {
  /** @type {(Visitor & {until: number}) | null} */
  #session = null;

  /** @param {import("./device_storage.js").Storage} storage @param {() => number} clock returns ms @param {number} iterations of the hash */
  constructor(storage, clock = Date.now, iterations = ITERATIONS) {
    this.storage = storage;
    this.clock = clock;
    this.iterations = iterations;
  }

  /** Return who acts, as the server does; everybody is a manager as long as nobody has a PIN. @returns {Promise<Visitor & {needs_pin: boolean}>} */
  async me() {
    const { holders } = await this.#read();
    if (!holders.length) return { role: "manager", name: "", needs_pin: false };
    const session = this.#session;
    const known = session && session.until > this.clock() && holders.some(({ name, role }) => name === session.name && role === session.role);
    if (!session || !known) return { role: "customer", name: "", needs_pin: true };
    session.until = this.clock() + SESSION_MS;
    return { role: session.role, name: session.name, needs_pin: true };
  }

  /** Throw if who acts lacks a role; return who it is. @param {Role} role */
  async require(role) {
    const visitor = await this.me();
    if (ROLES.indexOf(visitor.role) >= ROLES.indexOf(role)) return visitor;
    throw new EdgeSearchError("UnauthorizedError", `The role ${visitor.role} does not allow this; log in as ${role}.`);
  }

  /** Begin a session. @param {string} pin */
  async logIn(pin) {
    const stored = await this.#read();
    if (!stored.holders.length) throw deviceError("No PIN is set up; at this device everything is allowed without one.");
    const hash = await this.#hash(pin, stored.salt);
    const { holder, wait, left } = await this.#change((now) => {
      const waiting = waitOf(now.wrong, this.clock());
      if (waiting) return { holder: null, wait: waiting, left: 0 };
      const found = now.holders.find((one) => one.hash === hash) ?? null;
      now.wrong = found ? [] : [...now.wrong, this.clock()];
      return { holder: found, wait: waitOf(now.wrong, this.clock()), left: Math.max(0, FREE_TRIES - now.wrong.length) };
    });
    if (!holder) {
      const message = wait ? `Too many wrong PINs; try again in ${Math.ceil(wait)} seconds.` : `Nobody has that PIN; ${left} more tries are left.`;
      throw Object.assign(new EdgeSearchError("RefusedError", message), { afterS: Math.ceil(wait) });
    }
    this.#session = { name: holder.name, role: holder.role, until: this.clock() + SESSION_MS };
    return { role: holder.role, name: holder.name, expires_s: SESSION_MS / 1000 };
  }

  logOut() {
    this.#session = null;
  }

  /** Return names and roles of the people with a PIN. */
  async people() {
    return (await this.#read()).holders.map(({ name, role }) => ({ name, role }));
  }

  /** Give somebody a PIN. @param {string} name @param {string} role @param {string} pin */
  async add(name, role, pin) {
    if (!name.trim() || hasControl(name) || name.length > MAX_NAME) throw deviceError(`'${name.slice(0, MAX_NAME)}': not a name; give up to ${MAX_NAME} characters.`);
    const given = ROLES.find((one) => one === role);
    if (!given || given === "customer") throw deviceError(`${name}: ${role} is not a role; expected staff or manager.`);
    if (!PIN.test(pin) || new Set(pin).size < 3) throw deviceError(`${name}: not a PIN; expected 6 to 12 digits, at least three of them different.`);
    const { salt } = await this.#change((stored) => stored);
    const hash = await this.#hash(pin, salt);
    await this.#change((stored) => {
      const { holders } = stored;
      if (holders.some((one) => one.hash === hash)) throw deviceError(`${name}: somebody else has that PIN; choose another.`);
      if (holders.some((one) => one.name === name)) throw deviceError(`${name}: the name is taken; choose another.`);
      if (!holders.length && given !== "manager") throw deviceError(`${name}: the first PIN is a manager's, who gives the others.`);
      if (holders.length >= MAX_HOLDERS) throw deviceError(`${holders.length} people have a PIN; remove one first.`);
      holders.push({ name, role: given, hash });
    });
  }

  /** Take somebody's PIN. @param {string} name */
  remove(name) {
    return this.#change((stored) => {
      const left = stored.holders.filter((one) => one.name !== name);
      if (left.length === stored.holders.length) throw missingError(`${name}: has no PIN here; check the name.`);
      if (left.length && !left.some(({ role }) => role === "manager")) throw deviceError(`${name}: is the last manager; remove the others first.`);
      stored.holders = left;
    });
  }

  /** @returns {Promise<Stored>} */
  async #read() {
    return await this.storage.read(readStored) ?? { holders: [], salt: "", wrong: [] };
  }

  /** Change what is stored in one transaction. @template T @param {(stored: Stored) => T} work @returns {Promise<T>} */
  #change(work) {
    return this.storage.write(async (transaction) => {
      const salt = toHex(crypto.getRandomValues(new Uint8Array(16)));
      const stored = await readStored(transaction) ?? { holders: [], salt, wrong: [] };
      const result = work(stored);
      await transaction.put("setting", { name: "people", ...stored });
      return result;
    });
  }

  /** @param {string} pin @param {string} salt */
  async #hash(pin, salt) {
    const bytes = (/** @type {string} */ text) => /** @type {BufferSource} */ (new TextEncoder().encode(text));
    const key = await crypto.subtle.importKey("raw", bytes(pin), "PBKDF2", false, ["deriveBits"]);
    return toHex(new Uint8Array(await crypto.subtle.deriveBits({ name: "PBKDF2", hash: "SHA-256", salt: bytes(salt), iterations: this.iterations }, key, 256)));
  }
}

/** @param {import("./device_storage.js").Transaction} transaction @returns {Promise<Stored | null>} */
async function readStored(transaction) {
  const { name: _, ...stored } = await transaction.get("setting", "people") ?? {};
  return "holders" in stored ? /** @type {any} */ (stored) : null;
}

/** Return the seconds to wait after wrong PINs of the last day. @param {number[]} wrong @param {number} now */
function waitOf(wrong, now) {
  const counted = wrong.filter((time) => time > now - DAY_MS);
  if (counted.length < FREE_TRIES) return 0;
  const wait = Math.min(MAX_WAIT_S, FIRST_WAIT_S * 2 ** Math.min(10, counted.length - FREE_TRIES));
  return Math.min(wait, Math.max(0, wait - (now - counted[counted.length - 1]) / 1000)); // also after the clock was set back
}

/** @param {Uint8Array} bytes */
const toHex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
