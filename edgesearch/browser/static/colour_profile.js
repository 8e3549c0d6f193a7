// Convert pictures of other colour spaces to sRGB by their ICC profiles; as `colour_profile.py`. The browser converts: it
// gets the pixels and the profile as a PNG.

import { toRgb } from "./pictures.js";

const SAME = 6; // of 255; profiles of sRGB itself differ by up to 3 from each other
const MAX_BYTES = 4_000_000; // of a profile
const STEPS = [0, 51, 102, 153, 204, 255];
const CUBE = Uint8Array.from(STEPS.flatMap((r) => STEPS.flatMap((g) => STEPS.flatMap((b) => [r, g, b]))));
const STORED_BYTES = 65535; // of a block of deflate that is not compressed
const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, n) => Array(8).fill(0).reduce((crc) => (crc & 1 ? 0xedb88320 ^ (crc >>> 1) : crc >>> 1), n));

/** @typedef {import("./pictures.js").Picture} Picture */

/** @type {{profile: Uint8Array, changes: boolean}} */
let last = { profile: new Uint8Array(0), changes: false };

/**
 * Convert a picture to sRGB; return it unchanged if its profile is that of sRGB, of something else than RGB, or damaged.
 * @param {Picture} picture
 * @param {Uint8Array} profile
 * @returns {Promise<Picture>}
 */
export async function toSrgb(picture, profile) {
  const space = new TextDecoder().decode(profile.subarray(16, 20));
  if (space !== "RGB " || profile.length > MAX_BYTES) return picture;
  if (profile.length !== last.profile.length || profile.some((value, i) => value !== last.profile[i])) {
    const { pixels } = await convert({ width: CUBE.length / 3, height: 1, pixels: CUBE }, profile);
    last = { profile: profile.slice(), changes: pixels.some((value, i) => Math.abs(value - CUBE[i]) > SAME) };
  }
  return last.changes ? convert(picture, profile) : picture;
}

/** @param {Picture} picture @param {Uint8Array} profile @returns {Promise<Picture>} */
async function convert(picture, profile) {
  const bitmap = await createImageBitmap(new Blob(/** @type {BlobPart[]} */ (encodePng(picture, profile)), { type: "image/png" }));
  const { width, height } = picture;
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true }));
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return { width, height, pixels: toRgb(context.getImageData(0, 0, width, height).data) };
}

/** @param {Picture} picture @param {Uint8Array} profile */
function encodePng({ width, height, pixels }, profile) {
  const rows = new Uint8Array((3 * width + 1) * height); // each after its filter, 0
  for (let y = 0; y < height; y++) rows.set(pixels.subarray(3 * width * y, 3 * width * (y + 1)), (3 * width + 1) * y + 1);
  const head = new DataView(new ArrayBuffer(13));
  head.setUint32(0, width);
  head.setUint32(4, height);
  head.setUint16(8, 0x0802); // 8 bits, RGB
  return [
    Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a), chunk("IHDR", new Uint8Array(head.buffer)),
    chunk("iCCP", Uint8Array.of(0x70, 0, 0, ...pack(profile))), chunk("IDAT", pack(rows)), chunk("IEND", new Uint8Array(0)),
  ];
}

/** @param {string} name @param {Uint8Array} content */
function chunk(name, content) {
  const made = new Uint8Array(content.length + 12);
  const view = new DataView(made.buffer);
  view.setUint32(0, content.length);
  for (let i = 0; i < 4; i++) made[4 + i] = name.charCodeAt(i);
  made.set(content, 8);
  let crc = 0xffffffff;
  for (let i = 4; i < content.length + 8; i++) crc = CRC_TABLE[(crc ^ made[i]) & 255] ^ (crc >>> 8);
  view.setUint32(content.length + 8, ~crc);
  return made;
}

/** Return bytes in the format of zlib, without compressing them. @param {Uint8Array} content */
function pack(content) {
  const blocks = Math.max(1, Math.ceil(content.length / STORED_BYTES));
  const made = new Uint8Array(2 + 5 * blocks + content.length + 4);
  const view = new DataView(made.buffer);
  view.setUint16(0, 0x7801);
  for (let n = 0, to = 2; n < blocks; n++) {
    const block = content.subarray(n * STORED_BYTES, (n + 1) * STORED_BYTES);
    view.setUint8(to, Number(n === blocks - 1));
    view.setUint16(to + 1, block.length, true);
    view.setUint16(to + 3, ~block.length, true);
    made.set(block, to + 5);
    to += 5 + block.length;
  }
  let [a, b] = [1, 0];
  for (const value of content) {
    a = (a + value) % 65521;
    b = (b + a) % 65521;
  }
  view.setUint32(made.length - 4, b * 65536 + a);
  return made;
}
