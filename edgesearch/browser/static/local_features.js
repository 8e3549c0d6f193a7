// Extract the local features of a photo with the engine's C; see `descriptors.py`.

import { clip } from "./crops.js";
import { memoryError } from "./errors.js";
import { toGrey } from "./pictures.js";

export const DIM = 128;
const QUERY_FEATURES = 500;
export const CROP_MARGIN = 0.2;
export const SIDE = 640;
const MIN_SIDE = 8;
export const DESCRIPTOR_SCALE = 512;
const [CELLS, DIRECTIONS] = [4, 8];

/** @typedef {{count: number, keypoints: Float32Array, descriptors: Float32Array}} LocalFeatures (P, 4): x, y, sigma, turn; (P, 128) */

/**
 * Return the strongest features of a crop of a photo, with a margin.
 * @param {import("./native.js").Native} native
 * @param {import("./pictures.js").Picture} picture
 * @param {import("./crops.js").Crop} crop
 * @returns {LocalFeatures}
 */
export function extractFeatures(native, picture, crop) {
  const longest = Math.max(picture.width, picture.height);
  let box = clip(crop, picture, CROP_MARGIN);
  if (Math.min(box[2] - box[0], box[3] - box[1]) < MIN_SIDE) box = [0, 0, picture.width, picture.height];
  const grey = toGrey(picture, box, SIDE);
  const { count, keypoints, bytes } = detect(native, grey, QUERY_FEATURES);
  const scale = Math.fround(Math.max(box[2] - box[0], box[3] - box[1]) / Math.max(grey.width, grey.height) / longest);
  for (let i = 0; i < count; i++) {
    for (let j = 0; j < 3; j++) keypoints[4 * i + j] *= scale;
    keypoints[4 * i] += Math.fround(box[0] / longest);
    keypoints[4 * i + 1] += Math.fround(box[1] / longest);
  }
  return { count, keypoints, descriptors: Float32Array.from(bytes, (byte) => byte / DESCRIPTOR_SCALE) };
}

/**
 * Detect the strongest features of a grey picture: keypoints in px, and descriptors times 512.
 * @param {import("./native.js").Native} native
 * @param {{width: number, height: number, pixels: Uint8Array}} grey
 * @param {number} limit
 */
export function detect(native, { width, height, pixels }, limit) {
  return native.scoped((scope) => {
    const [keypoints, descriptors] = [scope.take(16 * limit), scope.take(DIM * limit)];
    const count = native.call.detect_features(scope.put(pixels), width, height, limit, keypoints, descriptors);
    if (count < 0) throw memoryError();
    return { count, keypoints: native.read(Float32Array, keypoints, 4 * count), bytes: native.read(Uint8Array, descriptors, DIM * count) };
  });
}

/** Return the features of the mirrored picture; x counts from the right, below 0. @param {LocalFeatures} features @returns {LocalFeatures} */
export function mirror({ count, keypoints, descriptors }) {
  const [points, flipped] = [keypoints.slice(), new Float32Array(descriptors.length)];
  for (let i = 0; i < count; i++) {
    points[4 * i] = -keypoints[4 * i];
    const turn = Math.fround(0.5 - keypoints[4 * i + 3]);
    points[4 * i + 3] = turn < 0 ? turn + 1 : turn;
    for (let row = 0; row < CELLS; row++) {
      for (let column = 0; column < CELLS; column++) {
        for (let d = 0; d < DIRECTIONS; d++) {
          flipped[DIM * i + (CELLS * row + column) * DIRECTIONS + d] =
            descriptors[DIM * i + (CELLS * (CELLS - 1 - row) + column) * DIRECTIONS + ((DIRECTIONS - d) % DIRECTIONS)];
        }
      }
    }
  }
  return { count, keypoints: points, descriptors: flipped };
}
