// Read a bundle, a zip of stored members; no byte is used before its hash is checked. See `bundle_file.py`.

import { EdgeSearchError, bundleError } from "./errors.js";

const MANIFEST = "manifest.json";
const SIGNATURE = "manifest.sig";
const PIECES = "pieces.sha256";
const CONTEXT = "edgesearch manifest\n";
const FORMAT = 1;
const HEADER_BYTES = 30;
const MAX_GAP_BYTES = 1024;
const MAX_MANIFEST_BYTES = 16_000_000;
const WHOLE_UP_TO = 1 << 20; // bytes; larger members are verified piece by piece
const PIECE = 1 << 16;
const HASH_BYTES = 32;
const LOCAL = 0x04034b50;
const MEMBER_NAME = /^[a-z0-9_][a-z0-9_.]*(\/[a-z0-9_][a-z0-9_.]*)*$/;
const DAMAGED = "copy or build it again";
const ED25519 = new URL("runtime/ed25519.js", import.meta.url).href;

/**
 * @typedef {{start: number, stop: number}} Location
 * @typedef {{name: string, sequence: number, created: string, files: Record<string, {size: number, sha256: string}>,
 *   counts: Record<string, number>, calibration: any, hashes: Record<string, string>, delta?: unknown}} Manifest
 */

/** Return the SHA-256 of bytes in hex. @param {Uint8Array} bytes */
export async function sha256(bytes) {
  return hex(new Uint8Array(await crypto.subtle.digest("SHA-256", /** @type {BufferSource} */ (bytes))));
}

/** @param {Uint8Array} bytes */
const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

/** @param {string} text */
const fromHex = (text) => Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));

/** A verified bundle. */
export class Bundle {
  /**
   * @param {Blob} file
   * @param {Record<string, Location>} locations
   * @param {Manifest} manifest
   * @param {string} digest hash of the manifest
   * @param {string | null} signer hex key that signed it
   */
  constructor(file, locations, manifest, digest, signer) {
    this.file = file;
    this.locations = locations;
    this.manifest = manifest;
    this.digest = digest;
    this.signer = signer;
    /** @type {Map<string, Uint8Array>} */
    this.pieces = new Map();
  }

  /**
   * Open a bundle and check signature, manifest and sizes; each member is verified when it is read.
   * @param {Blob} file
   * @param {string[]} trusted hex keys, one of which must have signed it; without any, it may be unsigned
   */
  static async open(file, trusted = []) {
    const locations = await locateMembers(file);
    const content = await readRange(file, locations[MANIFEST]);
    const signature = locations[SIGNATURE] ? await readRange(file, locations[SIGNATURE]) : null;
    const signer = await checkSignature(content, signature, trusted);
    const manifest = parseManifest(content);
    checkMembers(locations, manifest);
    const bundle = new Bundle(file, locations, manifest, await sha256(content), signer);
    if (bundle.has(PIECES)) await bundle.#readPieces();
    return bundle;
  }

  /** Return whether the bundle has a member. @param {string} name */
  has(name) {
    return Object.hasOwn(this.manifest.files, name);
  }

  /** Return the verified content of a member. @param {string} name */
  async member(name) {
    if (!this.has(name)) throw bundleError(`The bundle has no ${name}; build it again.`);
    const content = await readRange(this.file, this.locations[name]);
    if (await sha256(content) !== this.manifest.files[name].sha256) {
      throw bundleError(`${name} is not what the bundle's manifest promises; copy the bundle again.`);
    }
    return content;
  }

  /**
   * Return a verified part of a member. Of a large member, only the pieces that hold the part are read.
   * @param {string} name
   * @param {number} start
   * @param {number} stop
   */
  async range(name, start, stop) {
    const hashes = this.pieces.get(name);
    if (!hashes) return (await this.#whole(name)).subarray(start, stop);
    const { start: begin, stop: end } = this.locations[name];
    if (stop <= start) return new Uint8Array(0);
    const first = Math.floor(start / PIECE);
    const last = Math.floor((stop - 1) / PIECE);
    const content = await readRange(this.file, { start: begin + first * PIECE, stop: Math.min(end, begin + (last + 1) * PIECE) });
    for (let piece = first; piece <= last; piece++) {
      const found = await sha256(content.subarray((piece - first) * PIECE, (piece - first + 1) * PIECE));
      if (found !== hex(hashes.subarray(piece * HASH_BYTES, (piece + 1) * HASH_BYTES))) {
        throw bundleError(`${name} is damaged; copy the bundle again.`);
      }
    }
    return content.subarray(start - first * PIECE, stop - first * PIECE);
  }

  /** @type {Map<string, Uint8Array>} */
  #small = new Map();

  /** Return a member without piece hashes, verified once. @param {string} name */
  async #whole(name) {
    const known = this.#small.get(name) ?? await this.member(name);
    this.#small.set(name, known);
    return known;
  }

  async #readPieces() {
    const table = await this.member(PIECES);
    let at = 0;
    for (const [name, { size }] of Object.entries(this.manifest.files).sort(([a], [b]) => (a < b ? -1 : 1))) {
      if (size <= WHOLE_UP_TO || name === PIECES) continue;
      const bytes = Math.ceil(size / PIECE) * HASH_BYTES;
      if (at + bytes > table.length) throw bundleError(`${PIECES} is too short; build the bundle again.`);
      this.pieces.set(name, table.subarray(at, at + bytes));
      at += bytes;
    }
  }
}

/** @param {Blob} file @param {Location} location */
async function readRange(file, { start, stop }) {
  const content = new Uint8Array(await file.slice(start, stop).arrayBuffer());
  if (content.length !== stop - start) throw bundleError(`The bundle is cut off; ${DAMAGED}.`);
  return content;
}

/**
 * Return where the content of each member lies: members follow each other from the beginning of the file.
 * @param {Blob} file
 */
async function locateMembers(file) {
  /** @type {Record<string, Location>} */
  const found = Object.create(null);
  for (let at = 0, number = 0; ; number++) {
    const head = new Uint8Array(await file.slice(at, at + HEADER_BYTES + 2 * MAX_GAP_BYTES).arrayBuffer());
    const view = new DataView(head.buffer);
    if (head.length < HEADER_BYTES || view.getUint32(0, true) !== LOCAL) {
      if (number && head.length >= 4 && view.getUint32(0, true) === 0x02014b50) return found; // the zip's directory
      throw bundleError(number ? `The bundle is cut off or damaged; ${DAMAGED}.` : "This file is not a bundle; give a .edge file.");
    }
    const [flags, method] = [view.getUint16(6, true), view.getUint16(8, true)];
    const [crc, stored, size] = [view.getUint32(14, true), view.getUint32(18, true), view.getUint32(22, true)];
    const [nameBytes, extraBytes] = [view.getUint16(26, true), view.getUint16(28, true)];
    const name = new TextDecoder().decode(head.subarray(HEADER_BYTES, HEADER_BYTES + nameBytes));
    const start = at + HEADER_BYTES + nameBytes + extraBytes;
    if (number === 0 && name !== MANIFEST) throw bundleError("This file is not a bundle: manifest.json is not its first member; give a .edge file.");
    if (flags || method || stored !== size || extraBytes > MAX_GAP_BYTES || name in found || !MEMBER_NAME.test(name) || start + size > file.size) {
      throw bundleError(`The bundle is damaged or cut off, or larger than 2 GB (at ${name.slice(0, 80)}); ${DAMAGED}.`);
    }
    found[name] = { start, stop: start + size };
    if (name === MANIFEST || name === SIGNATURE) {
      if (size > MAX_MANIFEST_BYTES || crc32(await readRange(file, found[name])) !== crc) throw bundleError(`${name} is damaged; ${DAMAGED}.`);
    }
    at = start + size;
  }
}

/** @param {Uint8Array} content */
function parseManifest(content) {
  try {
    const manifest = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(content));
    if (manifest.format !== FORMAT) {
      throw bundleError(`The bundle has format ${manifest.format}; this version reads ${FORMAT}, make the site again with a newer edgesearch.`);
    }
    if (manifest.delta) throw bundleError("This is a delta, not a bundle; give a whole bundle.");
    for (const { size, sha256: hash } of Object.values(manifest.files)) {
      if (!Number.isSafeInteger(size) || typeof hash !== "string") throw new TypeError("files");
    }
    return /** @type {Manifest} */ (manifest);
  } catch (error) {
    if (error instanceof EdgeSearchError) throw error;
    throw bundleError(`The bundle's manifest is damaged (${error instanceof Error ? error.message : error}); ${DAMAGED}.`);
  }
}

/** @param {Record<string, Location>} locations @param {Manifest} manifest */
function checkMembers(locations, manifest) {
  const inside = Object.keys(locations).filter((name) => name !== MANIFEST && name !== SIGNATURE);
  const names = new Set([...inside, ...Object.keys(manifest.files)]);
  for (const name of names) {
    const [location, entry] = [locations[name], Object.hasOwn(manifest.files, name) ? manifest.files[name] : undefined];
    if (!location || !entry || location.stop - location.start !== entry.size) {
      throw bundleError(`${name} is not what the bundle's manifest promises; ${DAMAGED}.`);
    }
  }
}

/**
 * Return the hex key that signed a manifest; null if it is unsigned and may be.
 * @param {Uint8Array} manifest
 * @param {Uint8Array | null} signature
 * @param {string[]} trusted
 */
async function checkSignature(manifest, signature, trusted) {
  const refused = (/** @type {string} */ message) => new EdgeSearchError("SignatureError", message);
  if (!signature) {
    if (trusted.length) throw refused("The bundle is not signed, and only signed bundles are trusted here; build it with --sign.");
    return null;
  }
  const [, signer, found] = /^edgesearch signature 1: ([0-9a-f]{64}) ([0-9a-f]{128})\n?$/.exec(new TextDecoder().decode(signature)) ?? [];
  if (!signer) throw refused("The bundle's signature is damaged; copy the bundle again.");
  if (trusted.length && !trusted.includes(signer)) {
    throw refused(`The bundle is signed by key ${signer.slice(0, 8)}, trusted are ${trusted.map((key) => key.slice(0, 8)).join(", ")}; do not use it.`);
  }
  const message = new Uint8Array([...new TextEncoder().encode(CONTEXT), ...manifest]);
  if (!await verifyEd25519(fromHex(signer), fromHex(found), message)) {
    throw refused("The bundle's signature does not match its manifest; do not use it, copy it again.");
  }
  return signer;
}

/** Verify a signature by the browser, or by a library in browsers before 2025. @param {Uint8Array} key @param {Uint8Array} signature @param {Uint8Array} message */
async function verifyEd25519(key, signature, message) {
  try {
    const imported = await crypto.subtle.importKey("raw", /** @type {BufferSource} */ (key), "Ed25519", false, ["verify"]);
    return await crypto.subtle.verify("Ed25519", imported, /** @type {BufferSource} */ (signature), /** @type {BufferSource} */ (message));
  } catch (error) {
    if (!(error instanceof DOMException && error.name === "NotSupportedError")) return false; // the key is no point of the curve
    const { verifyAsync } = await import(ED25519);
    return verifyAsync(signature, message, key, { zip215: false }).catch(() => false);
  }
}

/** @param {Uint8Array} bytes */
export function crc32(bytes) {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}
