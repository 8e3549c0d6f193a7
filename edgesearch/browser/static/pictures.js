// Pictures as pixels: reduced as `image.read` does, grey as `image.to_grey` does, squares cut out by the engine's C.

import { imageError } from "./errors.js";

export const WORKING_SIDE = 320; // px; pictures keep at least this shorter side
export const MIN_SIDE = 8; // px
const MAX_SIDE = 20_000;
const MAX_PIXELS = 89_000_000;
const MAX_SHRINKING = 5; // px of the picture to one of the result, for the engine's C
const MAX_ENLARGEMENT = 3;
const MAX_ELONGATION = 3;
const PRECISION = 22; // bits of a weight's fraction, as in Pillow

/**
 * @typedef {{width: number, height: number, pixels: Uint8Array}} Picture RGB, row after row
 * @typedef {import("./crops.js").Crop} Crop
 */

/**
 * Return a picture as RGB, reduced while its shorter side keeps `neededSide`.
 * @param {{width: number, height: number, data: Uint8ClampedArray | Uint8Array}} rgba opaque
 * @param {number} neededSide
 * @returns {Picture}
 */
export function reduceToRgb({ width, height, data }, neededSide) {
  checkSize(width, height);
  return reduce({ width, height, pixels: toRgb(data) }, neededSide);
}

/** Average blocks of pixels while the shorter side keeps `neededSide`. @param {Picture} picture @param {number} neededSide */
export function reduce(picture, neededSide) {
  return averageBlocks(picture, Math.max(1, Math.floor(Math.min(picture.width, picture.height) / neededSide)));
}

/** Halve the sides while they suffice. @param {Picture} picture @param {number} neededSide */
export function halve(picture, neededSide) {
  const room = Math.floor(Math.min(picture.width, picture.height) / neededSide);
  return averageBlocks(picture, room > 1 ? 2 ** Math.floor(Math.log2(room)) : 1);
}

/** @param {number} width @param {number} height */
export function checkSize(width, height) {
  if (width * height > MAX_PIXELS || Math.max(width, height) > MAX_SIDE) {
    throw imageError(`The picture has ${width}x${height} px; at most ${MAX_PIXELS} pixels and ${MAX_SIDE} px a side are read, save it smaller.`);
  }
  if (Math.min(width, height) < MIN_SIDE) {
    throw imageError(`The picture has ${width}x${height} px; at least ${MIN_SIDE} px a side are needed, take it from closer.`);
  }
}

/** Return the pixels without their opacity. @param {Uint8ClampedArray | Uint8Array} rgba */
export function toRgb(rgba) {
  const pixels = new Uint8Array((rgba.length / 4) * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4, to += 3) {
    pixels[to] = rgba[from];
    pixels[to + 1] = rgba[from + 1];
    pixels[to + 2] = rgba[from + 2];
  }
  return pixels;
}

/**
 * Average blocks of `factor` x `factor` pixels; those at the edges may be smaller.
 * @param {Picture} picture
 * @param {number} factor
 * @returns {Picture}
 */
export function averageBlocks({ width, height, pixels }, factor) {
  if (factor === 1) return { width, height, pixels };
  const [columns, rows] = [Math.ceil(width / factor), Math.ceil(height / factor)];
  const reduced = new Uint8Array(columns * rows * 3);
  const sums = new Uint32Array(columns * 3);
  for (let row = 0; row < rows; row++) {
    sums.fill(0);
    const last = Math.min(height, (row + 1) * factor);
    for (let y = row * factor; y < last; y++) {
      for (let x = 0, at = y * width * 3; x < width; x++, at += 3) {
        const to = ((x / factor) | 0) * 3;
        sums[to] += pixels[at];
        sums[to + 1] += pixels[at + 1];
        sums[to + 2] += pixels[at + 2];
      }
    }
    for (let column = 0; column < columns; column++) {
      const count = (last - row * factor) * Math.min(factor, width - column * factor);
      const share = Math.trunc(Math.fround(2 ** 32 / (256 * count))); // as Pillow divides
      for (let c = 0; c < 3; c++) reduced[(row * columns + column) * 3 + c] = ((sums[column * 3 + c] + (count >> 1)) * share) / 2 ** 24;
    }
  }
  return { width: columns, height: rows, pixels: reduced };
}

/**
 * Cut squares out of a picture as inputs of a network; outside the picture they have the median colour of its border.
 * @param {import("./native.js").Native} native
 * @param {Picture} picture
 * @param {Crop[]} squares
 * @param {{crop: number, scale: number, offset: number}} preprocessing
 * @returns {Float32Array} (B, 3, S, S)
 */
export function cropSquares(native, picture, squares, { crop: side, scale, offset }) {
  if (squares.some((square) => square.side > MAX_SHRINKING * side)) { // long strips: Pillow averages blocks first, too
    const half = averageBlocks(picture, 2);
    return cropSquares(native, half, squares.map(({ left, top, side: length }) => ({ left: left / 2, top: top / 2, side: length / 2 })), { crop: side, scale, offset });
  }
  const { width, height, pixels } = picture;
  const boxes = new Float32Array(squares.length * 4);
  const places = new Int32Array(squares.length * 4);
  squares.forEach((square, n) => {
    const { left, top, side: length } = square;
    const outside = left < 0 || top < 0 || left + length > width || top + length > height;
    boxes.set(outside ? [0, 0, length, length] : [left, top, left + length, top + length], 4 * n);
    places.set(outside ? [roundEven(-left), roundEven(-top), Math.ceil(length), Math.ceil(length)] : [0, 0, width, height], 4 * n);
  });
  return native.scoped((scope) => {
    const size = squares.length * 3 * side * side;
    const to = scope.take(4 * size);
    const state = native.call.crop_squares(scope.put(pixels), width, height, scope.put(boxes), scope.put(places), squares.length, side, scale, offset, to);
    if (state !== 1) throw imageError("The picture cannot be cut into squares; take it again.");
    return native.read(Float32Array, to, size);
  });
}

/**
 * Convert a box of a picture to luminance and resize it.
 * @param {Picture} picture
 * @param {number[]} box left, top, right and bottom in px
 * @param {number} side geometric mean of the result's sides in px
 * @returns {{width: number, height: number, pixels: Uint8Array}}
 */
export function toGrey(picture, [left, top, right, bottom], side) {
  const [width, height] = [right - left, bottom - top];
  const grey = new Uint8Array(width * height);
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0, at = ((top + y) * picture.width + left) * 3; x < width; x++, at += 3, to++) {
      grey[to] = (picture.pixels[at] * 19595 + picture.pixels[at + 1] * 38470 + picture.pixels[at + 2] * 7471 + 0x8000) >> 16;
    }
  }
  const longest = (MAX_ELONGATION * side) / Math.max(width, height);
  const scale = Math.min(MAX_ENLARGEMENT, longest, side / Math.sqrt(width * height));
  const [columns, rows] = [width, height].map((length) => Math.max(1, roundEven(length * scale)));
  return { width: columns, height: rows, pixels: resize(grey, width, height, columns, rows, "bicubic") };
}

/** Resize a grey picture as Pillow does. @param {Uint8Array} pixels @param {number} width @param {number} height @param {number} columns @param {number} rows @param {keyof FILTERS} filter */
export function resize(pixels, width, height, columns, rows, filter) {
  const narrow = new Uint8Array(columns * height);
  const across = resizeWeights(width, columns, filter);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < columns; x++) narrow[y * columns + x] = weigh(pixels, y * width + across[x].first, 1, across[x].weights);
  }
  const resized = new Uint8Array(columns * rows);
  const down = resizeWeights(height, rows, filter);
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) resized[y * columns + x] = weigh(narrow, down[y].first * columns + x, columns, down[y].weights);
  }
  return resized;
}

/** @param {Uint8Array} from @param {number} at @param {number} stride @param {Int32Array} weights */
function weigh(from, at, stride, weights) {
  let sum = 1 << (PRECISION - 1);
  for (let t = 0; t < weights.length; t++, at += stride) sum += from[at] * weights[t];
  const value = sum >> PRECISION;
  return value < 0 ? 0 : value > 255 ? 255 : value;
}

/** Return which pixels each result is made of, and their weights, as Pillow does. @param {number} size @param {number} side @param {keyof FILTERS} filter */
function resizeWeights(size, side, filter) {
  const { reach, weigh: weighOff } = FILTERS[filter];
  const scale = size / side;
  const filterScale = Math.max(scale, 1);
  const support = reach * filterScale;
  return Array.from({ length: side }, (_, i) => {
    const middle = (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(middle - support + 0.5));
    const count = Math.min(size, Math.trunc(middle + support + 0.5)) - first;
    const shares = Array.from({ length: count }, (__, t) => weighOff((t + first - middle + 0.5) / filterScale));
    const sum = shares.reduce((total, share) => total + share, 0);
    const weights = Int32Array.from(shares, (share) => Math.trunc((share / sum) * (1 << PRECISION) + (share < 0 ? -0.5 : 0.5)));
    return { first, weights };
  });
}

/** @param {number} x */
function bicubic(x) {
  const a = -0.5;
  const off = Math.abs(x);
  if (off < 1) return ((a + 2) * off - (a + 3)) * off * off + 1;
  return off < 2 ? (((off - 5) * off + 8) * off - 4) * a : 0;
}

/** @param {number} x */
function lanczos(x) {
  const sinc = (/** @type {number} */ off) => (off === 0 ? 1 : Math.sin(off * Math.PI) / (off * Math.PI));
  return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0;
}

const FILTERS = { bicubic: { reach: 2, weigh: bicubic }, lanczos: { reach: 3, weigh: lanczos } };

/** Round halves to the even number, as Python does. @param {number} x */
export function roundEven(x) {
  const floor = Math.floor(x);
  if (x - floor !== 0.5) return Math.round(x);
  return floor % 2 ? floor + 1 : floor;
}
