// Write and read zips: of stored members here, and of packed ones as servers write them.

import { crc32 } from "./bundle.js";
import { EdgeSearchError } from "./errors.js";

const [LOCAL, CENTRAL, END] = [0x04034b50, 0x02014b50, 0x06054b50];
const [HEADER_BYTES, ENTRY_BYTES, END_BYTES] = [30, 46, 22];
const [STORED, DEFLATED] = [0, 8];
const UTF8 = 0x800;
const [VERSION, MIDNIGHT, NEW_YEAR] = [20, 0, 0x21]; // 1980-01-01: equal contents make equal zips
const MAX_COMMENT_BYTES = 65_535;
const MAX_DIRECTORY_BYTES = 16_000_000;

/** @typedef {{name: string, content: Uint8Array}} Member */

const damaged = (/** @type {string} */ what) => new EdgeSearchError("CatalogError", `The zip is damaged (${what}); export it again, or copy it again.`);

/** Return a zip. @param {Member[]} members */
export function writeZip(members) {
  /** @type {BlobPart[]} */
  const parts = [];
  /** @type {Uint8Array[]} */
  const directory = [];
  let at = 0;
  for (const { name, content } of members) {
    const path = new TextEncoder().encode(name);
    const common = [VERSION, UTF8, STORED, MIDNIGHT, NEW_YEAR, crc32(content), content.length, content.length, path.length, 0];
    const header = pack("IHHHHHIIIHH", [LOCAL, ...common]);
    directory.push(pack("IHHHHHHIIIHHHHHII", [CENTRAL, VERSION, ...common, 0, 0, 0, 0, at]), path);
    parts.push(/** @type {BlobPart} */ (header), /** @type {BlobPart} */ (path), /** @type {BlobPart} */ (content));
    at += header.length + path.length + content.length;
  }
  const bytes = directory.reduce((total, { length }) => total + length, 0);
  const end = pack("IHHHHIIH", [END, 0, 0, members.length, members.length, bytes, at, 0]);
  return new Blob([...parts, .../** @type {BlobPart[]} */ (directory), /** @type {BlobPart} */ (end)], { type: "application/zip" });
}

/** Return little-endian numbers. @param {string} format "H" for 2 bytes, "I" for 4 @param {number[]} numbers */
function pack(format, numbers) {
  const view = new DataView(new ArrayBuffer([...format].reduce((bytes, kind) => bytes + (kind === "H" ? 2 : 4), 0)));
  let at = 0;
  [...format].forEach((kind, i) => {
    if (kind === "H") view.setUint16(at, numbers[i], true);
    else view.setUint32(at, numbers[i], true);
    at += kind === "H" ? 2 : 4;
  });
  return new Uint8Array(view.buffer);
}

/**
 * Read the members of a zip, one after the other.
 * @param {Blob} file
 * @param {(name: string) => number} mostBytes of a member; 0 leaves it out
 * @returns {AsyncGenerator<Member>}
 */
export async function* readZip(file, mostBytes) {
  const { start, bytes, count } = await findDirectory(file);
  const directory = await read(file, start, start + bytes);
  for (let at = 0, number = 0; number < count; number++) {
    if (at + ENTRY_BYTES > bytes) throw damaged("its directory");
    const view = new DataView(directory.buffer, at);
    if (view.getUint32(0, true) !== CENTRAL) throw damaged("its directory");
    const [method, crc, packed, size] = [view.getUint16(10, true), view.getUint32(16, true), view.getUint32(20, true), view.getUint32(24, true)];
    const [nameBytes, extraBytes, commentBytes] = [28, 30, 32].map((place) => view.getUint16(place, true));
    const name = new TextDecoder().decode(directory.subarray(at + ENTRY_BYTES, at + ENTRY_BYTES + nameBytes));
    const most = mostBytes(name);
    if (most && size > most) throw damaged(`${name.slice(0, 80)} has ${size} bytes, at most ${most} expected`);
    if (most) yield { name, content: await readMember(file, name, view.getUint32(42, true), { method, crc, packed, size }) };
    at += ENTRY_BYTES + nameBytes + extraBytes + commentBytes;
  }
}

/** @param {Blob} file */
async function findDirectory(file) {
  const tail = await read(file, Math.max(0, file.size - END_BYTES - MAX_COMMENT_BYTES), file.size);
  const view = new DataView(tail.buffer);
  for (let at = tail.length - END_BYTES; at >= 0; at--) {
    if (view.getUint32(at, true) !== END) continue;
    const [count, bytes, start] = [view.getUint16(at + 10, true), view.getUint32(at + 12, true), view.getUint32(at + 16, true)];
    if (start + bytes <= file.size && bytes <= MAX_DIRECTORY_BYTES) return { count, bytes, start };
  }
  throw new EdgeSearchError("CatalogError", "This file is not a zip, or it is cut off; give one that was exported from a device.");
}

/** @param {Blob} file @param {string} name @param {number} start @param {{method: number, crc: number, packed: number, size: number}} entry */
async function readMember(file, name, start, { method, crc, packed, size }) {
  const head = await read(file, start, Math.min(file.size, start + HEADER_BYTES));
  const view = new DataView(head.buffer);
  if (head.length < HEADER_BYTES || view.getUint32(0, true) !== LOCAL || ![STORED, DEFLATED].includes(method)) throw damaged(name.slice(0, 80));
  const begin = start + HEADER_BYTES + view.getUint16(26, true) + view.getUint16(28, true);
  const stored = file.slice(begin, begin + packed);
  const content = method === STORED ? new Uint8Array(await stored.arrayBuffer()) : await inflate(stored, size, name);
  if (content.length !== size || crc32(content) !== crc) throw damaged(name.slice(0, 80));
  return content;
}

/** Unpack at most `size` bytes. @param {Blob} packed @param {number} size @param {string} name */
async function inflate(packed, size, name) {
  const content = new Uint8Array(size);
  let at = 0;
  try {
    for await (const part of /** @type {any} */ (packed.stream().pipeThrough(new DecompressionStream("deflate-raw")))) {
      content.set(part, at); // throws if there is more
      at += part.length;
    }
  } catch {
    throw damaged(name.slice(0, 80));
  }
  return content.subarray(0, at);
}

/** @param {Blob} file @param {number} start @param {number} stop */
const read = async (file, start, stop) => new Uint8Array(await file.slice(start, stop).arrayBuffer());
