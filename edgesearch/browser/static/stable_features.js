// Extract the local features of a reference picture that other views of it show too; see `extract_stable_features`.

import { DESCRIPTOR_SCALE, DIM, SIDE, detect } from "./local_features.js";
import { resize, roundEven, toGrey } from "./pictures.js";

const LIMIT = 256;
const CANDIDATES_PER_FEATURE = 4;
const MIN_COSINE = 0.6;
const VIEWS = [[0.5, 1, 0], [0.35, 1, 0], [0.7, 0.7, 0.07], [0.7, 0.8, -0.1]]; // scale, factor for the height, turn in full circles

/**
 * @typedef {{width: number, height: number, pixels: Uint8Array}} Grey
 * @typedef {{count: number, keypoints: Float32Array, bytes: Uint8Array}} Found in px
 */

/**
 * Return the features of a reference picture.
 * @param {import("./native.js").Native} native
 * @param {import("./pictures.js").Picture} picture
 * @returns {import("./local_features.js").LocalFeatures}
 */
export function extractStableFeatures(native, picture) {
  const grey = toGrey(picture, [0, 0, picture.width, picture.height], SIDE);
  const found = detect(native, grey, CANDIDATES_PER_FEATURE * LIMIT);
  const stability = Float64Array.from({ length: found.count }, (_, i) => 0.5 * (1 - i / Math.max(1, found.count - 1))); // the stronger of equals wins
  for (const view of VIEWS) {
    const { warped, affine } = warpView(grey, view);
    const highest = findHighest(found, detect(native, warped, CANDIDATES_PER_FEATURE * LIMIT), affine);
    highest.forEach((cosine, i) => { stability[i] += Math.max(0, cosine - MIN_COSINE) / (1 - MIN_COSINE); });
  }
  const best = [...stability.keys()].sort((a, b) => stability[b] - stability[a] || a - b).slice(0, LIMIT);
  const scale = Math.fround(1 / Math.max(grey.width, grey.height));
  const keypoints = Float32Array.from({ length: 4 * best.length }, (_, at) => found.keypoints[4 * best[at >> 2] + (at & 3)] * ((at & 3) < 3 ? scale : 1));
  const descriptors = Float32Array.from({ length: DIM * best.length }, (_, at) => found.bytes[DIM * best[Math.floor(at / DIM)] + (at % DIM)] / DESCRIPTOR_SCALE);
  return { count: best.length, keypoints, descriptors };
}

/**
 * Scale, squeeze and rotate a grey picture as Pillow does; `affine` maps old to new pixel positions, (2, 3).
 * @param {Grey} grey
 * @param {number[]} view
 */
export function warpView({ width, height, pixels }, [scale, squeeze, turn]) {
  const [columns, rows] = [Math.max(1, roundEven(width * scale)), Math.max(1, roundEven(height * scale * squeeze))];
  const small = { width: columns, height: rows, pixels: resize(pixels, width, height, columns, rows, "lanczos") };
  const angle = 2 * Math.PI * turn;
  const warped = turn ? rotate(small, turn, medianOfBorder(pixels, width, height)) : small;
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const moved = [warped.width / 2 - (cos * columns - sin * rows) / 2, warped.height / 2 - (sin * columns + cos * rows) / 2];
  return { warped, affine: [(cos * columns) / width, (-sin * rows) / height, moved[0], (sin * columns) / width, (cos * rows) / height, moved[1]] };
}

/** Return the highest cosine of each feature and those at its position in another view, 0 if there is none. @param {Found} found @param {Found} other @param {number[]} affine */
function findHighest(found, other, [a, b, c, d, e, f]) {
  const growth = Math.sqrt(a * e - b * d);
  return Float64Array.from({ length: found.count }, (_, i) => {
    const [x, y, size] = found.keypoints.subarray(4 * i, 4 * i + 3);
    const [left, top, sigma] = [a * x + b * y + c, d * x + e * y + f, size * growth];
    let highest = 0;
    for (let j = 0; j < other.count; j++) {
      const near = Math.hypot(left - other.keypoints[4 * j], top - other.keypoints[4 * j + 1]) < Math.max(1, 0.6 * sigma);
      if (near && Math.abs(Math.log2(other.keypoints[4 * j + 2] / sigma)) < 0.5) highest = Math.max(highest, multiply(found.bytes, DIM * i, other.bytes, DIM * j));
    }
    return highest;
  });
}

/** @param {Uint8Array} one @param {number} first @param {Uint8Array} other @param {number} second */
function multiply(one, first, other, second) {
  let total = 0;
  for (let d = 0; d < DIM; d++) total += one[first + d] * other[second + d];
  return total / DESCRIPTOR_SCALE ** 2;
}

/** @param {Uint8Array} pixels @param {number} width @param {number} height */
function medianOfBorder(pixels, width, height) {
  const column = (/** @type {number} */ x) => Array.from({ length: height }, (_, y) => pixels[y * width + x]);
  const border = [...pixels.subarray(0, width), ...pixels.subarray(width * (height - 1)), ...column(0), ...column(width - 1)].sort((a, b) => a - b);
  return Math.trunc((border[(border.length - 1) >> 1] + border[border.length >> 1]) / 2);
}

/** Rotate a picture onto a larger one, as Pillow does. @param {Grey} picture @param {number} turn clockwise, in full circles @param {number} fill @returns {Grey} */
function rotate({ width, height, pixels }, turn, fill) {
  const angle = -(((-360 * turn) % 360) + 360) * (Math.PI / 180);
  const round = (/** @type {number} */ x) => Number(x.toFixed(15));
  const [a, b, d, e] = [round(Math.cos(angle)), round(Math.sin(angle)), round(-Math.sin(angle)), round(Math.cos(angle))];
  let [c, f] = [a * (-width / 2) + b * (-height / 2) + width / 2, d * (-width / 2) + e * (-height / 2) + height / 2];
  const corners = [[0, 0], [width, 0], [width, height], [0, height]];
  const [xs, ys] = [corners.map(([x, y]) => a * x + b * y + c), corners.map(([x, y]) => d * x + e * y + f)];
  const [columns, rows] = [Math.ceil(Math.max(...xs)) - Math.floor(Math.min(...xs)), Math.ceil(Math.max(...ys)) - Math.floor(Math.min(...ys))];
  const [left, top] = [(width - columns) / 2, (height - rows) / 2];
  [c, f] = [a * left + b * top + c, d * left + e * top + f];
  const turned = new Uint8Array(columns * rows).fill(fill);
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      const [fromX, fromY] = [a * (x + 0.5) + b * (y + 0.5) + c, d * (x + 0.5) + e * (y + 0.5) + f];
      if (fromX >= 0 && fromX < width && fromY >= 0 && fromY < height) turned[y * columns + x] = interpolate(pixels, width, height, fromX - 0.5, fromY - 0.5);
    }
  }
  return { width: columns, height: rows, pixels: turned };
}

/** @param {Uint8Array} pixels @param {number} width @param {number} height @param {number} x @param {number} y */
function interpolate(pixels, width, height, x, y) {
  const [column, row] = [Math.floor(x), Math.floor(y)];
  const rows = [-1, 0, 1, 2].map((step) => {
    const at = Math.min(height - 1, Math.max(0, row + step)) * width;
    const pixel = (/** @type {number} */ one) => pixels[at + Math.min(width - 1, Math.max(0, column + one))];
    return cubic(pixel(-1), pixel(0), pixel(1), pixel(2), x - column);
  });
  const value = cubic(rows[0], rows[1], rows[2], rows[3], y - row);
  return value <= 0 ? 0 : value >= 255 ? 255 : Math.trunc(value);
}

/** @param {number} a @param {number} b @param {number} c @param {number} d @param {number} t */
const cubic = (a, b, c, d, t) => b + t * (-a + c + t * (2 * (a - b) + c - d + t * (-a + b - c + d)));
