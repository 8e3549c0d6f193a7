// Judge whether a photo can show a product at all; see `quality.py`.

import { wholeCrop } from "./crops.js";
import { toGrey } from "./pictures.js";

export const USELESS = ["dark", "empty"];
export const ADVICE = {
  dark: "it is too dark; add light or clean the lens.",
  empty: "it shows nothing; point the camera at a product, and check that nothing covers the lens.",
  blurred: "it is blurred; hold still, tap to focus, or step back a little.",
};
const SIDE = 256;
const BLOCK = 12;
const SHARPEST = 0.95;
const DARK = 55;
const PLAIN = 10;
const BLURRED = 0.09;
const FAR = 0.34;

/**
 * Return what is wrong with a photo: dark, empty, blurred or far; "" if nothing is.
 * @param {import("./pictures.js").Picture} picture
 * @param {import("./crops.js").Crop | null} crop the square around its object; without it no photo is far
 */
export function findFlaw(picture, crop = null) {
  const { width, height, pixels } = toGrey(picture, [0, 0, picture.width, picture.height], SIDE);
  if (quantile(Float64Array.from(pixels), SHARPEST) < DARK) return "dark";
  const spread = deviation(pixels);
  if (spread < PLAIN) return "empty";
  const across = measureSharpness(pixels, width, height, width, 1);
  const down = measureSharpness(pixels, height, width, 1, width);
  if (Math.min(across, down) < BLURRED * spread) return "blurred";
  return crop && crop.side <= FAR * wholeCrop(picture).side ? "far" : "";
}

/** @param {Uint8Array} pixels */
function deviation(pixels) {
  const mean = pixels.reduce((sum, x) => sum + x, 0) / pixels.length;
  return Math.sqrt(pixels.reduce((sum, x) => sum + (x - mean) ** 2, 0) / pixels.length);
}

/**
 * Return the root mean square second difference along lines, in the sharpest blocks.
 * @param {Uint8Array} pixels
 * @param {number} length of a line
 * @param {number} lines
 * @param {number} nextLine distance of a pixel and the same one of the next line
 * @param {number} next distance of neighbours in a line
 */
function measureSharpness(pixels, length, lines, nextLine, next) {
  const bend = (/** @type {number} */ line, /** @type {number} */ i) => {
    const at = line * nextLine + i * next;
    return (pixels[at + 2 * next] - 2 * pixels[at + next] + pixels[at]) ** 2;
  };
  const [high, wide] = [Math.floor(lines / BLOCK), Math.floor((length - 2) / BLOCK)];
  if (!high || !wide) {
    let sum = 0;
    for (let line = 0; line < lines; line++) for (let i = 0; i < length - 2; i++) sum += bend(line, i);
    return length > 2 ? Math.sqrt(sum / (lines * (length - 2))) : Infinity;
  }
  const means = new Float64Array(high * wide);
  for (let line = 0; line < high * BLOCK; line++) {
    for (let i = 0; i < wide * BLOCK; i++) means[Math.floor(line / BLOCK) * wide + Math.floor(i / BLOCK)] += bend(line, i) / BLOCK ** 2;
  }
  return Math.sqrt(quantile(means, SHARPEST));
}

/** @param {Float64Array} values @param {number} share */
function quantile(values, share) {
  const sorted = values.slice().sort();
  const at = share * (sorted.length - 1);
  const [low, high] = [sorted[Math.floor(at)], sorted[Math.min(Math.floor(at) + 1, sorted.length - 1)]];
  return low + (high - low) * (at - Math.floor(at));
}
