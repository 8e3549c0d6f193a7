// Decode and encode photos: JPEGs are decoded as Pillow does it, other formats by the browser.

import { toSrgb } from "./colour_profile.js";
import { imageError } from "./errors.js";
import { decodeJpeg } from "./jpeg.js";
import { readMarkers } from "./jpeg_markers.js";
import { readOrientation, turnUpright } from "./orientation.js";
import { MIN_SIDE, checkSize, reduce, reduceToRgb } from "./pictures.js";

const JPEG_QUALITY = 0.8;
const MAX_BYTES = 100_000_000;

/** @typedef {import("./pictures.js").Picture} Picture */

/** @type {Promise<WebAssembly.Module> | null} */
let compiling = null;

/**
 * Decode a photo upright, with transparent parts white, reduced while its shorter side keeps `neededSide`.
 * @param {Blob} photo
 * @param {number} neededSide
 * @returns {Promise<Picture>}
 */
export async function decode(photo, neededSide) {
  if (photo.size > MAX_BYTES) throw imageError(`The file has ${photo.size} bytes; at most ${MAX_BYTES} are read, save it smaller.`);
  const file = new Uint8Array(await photo.arrayBuffer());
  if (file[0] !== 0xff || file[1] !== 0xd8 || file[2] !== 0xff) return reduceToRgb(await decodeByBrowser(photo), neededSide);
  const { exif, xmp, profile, colours } = readMarkers(file);
  compiling ??= compile();
  const picture = reduce(await decodeJpeg(await compiling, file, neededSide), neededSide);
  return turnUpright(colours === 3 ? await toSrgb(picture, profile) : picture, readOrientation(exif, xmp));
}

async function compile() {
  try {
    return await WebAssembly.compile(await (await fetch(new URL("jpeg.wasm", import.meta.url))).arrayBuffer());
  } catch (error) {
    compiling = null; // the next photo tries again
    throw error;
  }
}

/** @param {Blob} photo */
async function decodeByBrowser(photo) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(photo, { imageOrientation: "from-image" });
  } catch {
    throw imageError("This file is not a picture that the browser can read, or it is damaged; take or copy it again.");
  }
  const { width, height } = bitmap;
  checkSize(width, height);
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true }));
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return context.getImageData(0, 0, width, height);
}

/**
 * Encode a photo as a JPEG whose longer side is at most `side` px.
 * @param {Picture} picture
 * @param {number} side
 */
export async function toJpeg(picture, side) {
  const { width, height } = picture;
  const whole = new OffscreenCanvas(width, height);
  /** @type {OffscreenCanvasRenderingContext2D} */ (whole.getContext("2d")).putImageData(toImageData(picture), 0, 0);
  const scale = Math.min(1, side / Math.max(width, height));
  const small = new OffscreenCanvas(Math.max(MIN_SIDE, Math.round(width * scale)), Math.max(MIN_SIDE, Math.round(height * scale)));
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (small.getContext("2d"));
  context.imageSmoothingQuality = "high";
  context.drawImage(whole, 0, 0, small.width, small.height);
  return new Uint8Array(await (await small.convertToBlob({ type: "image/jpeg", quality: JPEG_QUALITY })).arrayBuffer());
}

/** @param {Picture} picture */
function toImageData({ width, height, pixels }) {
  const image = new ImageData(width, height);
  for (let from = 0, to = 0; from < pixels.length; from += 3, to += 4) {
    for (let c = 0; c < 3; c++) image.data[to + c] = pixels[from + c];
    image.data[to + 3] = 255;
  }
  return image;
}
