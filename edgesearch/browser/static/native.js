// The C of edgesearch as WebAssembly: memory for arrays, and calls with their addresses.

import { EdgeSearchError, memoryError } from "./errors.js";

/**
 * @typedef {Int8Array | Uint8Array | Int16Array | Uint16Array | Int32Array | Uint32Array | Float32Array | Float64Array} Numbers
 * @typedef {new (buffer: ArrayBuffer, offset: number, length: number) => any} NumbersType
 */

const refusal = (/** @type {unknown} */ error) => new EdgeSearchError("BrowserError",
  `This browser cannot run the search (${error instanceof Error ? error.message : error}); use a newer one, of 2021 or later.`);

/** Memory for one call, released after it. */
class Scope {
  /** @param {Native} native */
  constructor(native) {
    this.native = native;
    /** @type {number[]} */
    this.taken = [];
  }

  /** Return the address of new memory. @param {number} bytes */
  take(bytes) {
    const address = this.native.take(bytes);
    this.taken.push(address);
    return address;
  }

  /** Copy numbers into new memory and return its address. @param {Numbers} numbers */
  put(numbers) {
    const address = this.take(numbers.byteLength);
    this.native.write(address, numbers);
    return address;
  }
}

export class Native {
  /** @param {WebAssembly.Instance} instance */
  constructor(instance) {
    this.call = /** @type {any} */ (instance.exports);
    this.call._initialize();
    this.call.start();
  }

  /**
   * Compile the engine that is the fastest here: the first one needs a fused multiply-add.
   * @param {(name: string) => Promise<BufferSource>} read returns the content of a file of the site
   */
  static async compile(read) {
    const relaxed = await WebAssembly.compile(await read("engine_relaxed.wasm")).catch(() => null);
    if (relaxed && (await Native.load(relaxed)).call.fuses()) return relaxed;
    return WebAssembly.compile(await read("engine.wasm")).catch((error) => { throw refusal(error); });
  }

  /** Start the engine. @param {BufferSource | WebAssembly.Module} code */
  static async load(code) {
    try {
      const started = code instanceof WebAssembly.Module ? await WebAssembly.instantiate(code, {}) : (await WebAssembly.instantiate(code, {})).instance;
      return new Native(started);
    } catch (error) {
      throw refusal(error);
    }
  }

  /** Return the address of new memory, which stays until it is released. @param {number} bytes */
  take(bytes) {
    const address = this.call.allocate(Math.max(bytes, 1));
    if (!address) throw memoryError();
    return address;
  }

  /** @param {number} address @param {Numbers} numbers */
  write(address, numbers) {
    new Uint8Array(this.call.memory.buffer, address, numbers.byteLength)
      .set(new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength));
  }

  /** Copy numbers into memory that stays, and return its address. @param {Numbers} numbers */
  keep(numbers) {
    const address = this.take(numbers.byteLength);
    this.write(address, numbers);
    return address;
  }

  /**
   * Copy numbers out of memory.
   * @template {Numbers} T
   * @param {{new (buffer: ArrayBuffer, offset: number, length: number): T}} Type
   * @param {number} address
   * @param {number} length
   * @returns {T}
   */
  read(Type, address, length) {
    return /** @type {T} */ (new Type(this.call.memory.buffer, address, length).slice());
  }

  /**
   * Run `work` with memory that is released after it.
   * @template T
   * @param {(scope: Scope) => T} work
   * @returns {T}
   */
  scoped(work) {
    const scope = new Scope(this);
    try {
      return work(scope);
    } finally {
      for (const address of scope.taken) this.call.release(address);
    }
  }
}
