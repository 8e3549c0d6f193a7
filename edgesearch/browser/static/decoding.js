// Decode and encode photos by the browser.

import { imageError } from "./errors.js";
import { MIN_SIDE, checkSize } from "./pictures.js";

const JPEG_QUALITY = 0.8;

/**
 * Decode a photo upright, with transparent parts white.
 * @param {Blob} photo
 * @returns {Promise<import("./engine.js").Photo>}
 */
export async function decode(photo) {
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
  const head = new Uint8Array(await photo.slice(0, 2).arrayBuffer());
  return { width, height, data: context.getImageData(0, 0, width, height).data, isJpeg: head[0] === 0xff && head[1] === 0xd8 };
}

/**
 * Encode a photo as a JPEG whose longer side is at most `side` px.
 * @param {import("./engine.js").Photo} photo
 * @param {number} side
 */
export async function toJpeg({ width, height, data }, side) {
  const whole = new OffscreenCanvas(width, height);
  const pixels = new ImageData(/** @type {Uint8ClampedArray<ArrayBuffer>} */ (data), width, height);
  /** @type {OffscreenCanvasRenderingContext2D} */ (whole.getContext("2d")).putImageData(pixels, 0, 0);
  const scale = Math.min(1, side / Math.max(width, height));
  const small = new OffscreenCanvas(Math.max(MIN_SIDE, Math.round(width * scale)), Math.max(MIN_SIDE, Math.round(height * scale)));
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (small.getContext("2d"));
  context.imageSmoothingQuality = "high";
  context.drawImage(whole, 0, 0, small.width, small.height);
  return new Uint8Array(await (await small.convertToBlob({ type: "image/jpeg", quality: JPEG_QUALITY })).arrayBuffer());
}
