// Decode photos by the browser.

import { imageError } from "./errors.js";
import { checkSize } from "./pictures.js";

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
