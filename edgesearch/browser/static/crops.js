// Choose square crops of a picture; see `crops.py`.

const WHOLE_MAX_SHARE = 2.5;
const NEAR_SHARE = 0.7;
const OBJECT_RESPONSE = 0.65;
const OBJECT_MARGIN = 0.1;
const OBJECT_MIN_SHARE = 0.3;
const BACKGROUND_QUANTILE = 0.2;

/** @typedef {{left: number, top: number, side: number}} Crop in px of the picture; it may reach beyond it */

/** @param {number} x @param {number} y @param {number} side @returns {Crop} */
const squareAround = (x, y, side) => ({ left: x - side / 2, top: y - side / 2, side });

/** Return the middle square. @param {{width: number, height: number}} picture @param {number} share */
export const centreCrop = ({ width, height }, share = NEAR_SHARE) => squareAround(width / 2, height / 2, Math.min(width, height) * share);

/** Return the square around a whole picture. @param {{width: number, height: number}} picture */
export const wholeCrop = ({ width, height }) =>
  squareAround(width / 2, height / 2, Math.min(Math.max(width, height), Math.min(width, height) * WHOLE_MAX_SHARE));

/**
 * Return the box of a crop, with a margin in sides of the crop, that lies inside a picture.
 * @param {Crop} crop
 * @param {{width: number, height: number}} picture
 * @param {number} margin
 */
export function clip({ left, top, side }, { width, height }, margin) {
  const length = side * (1 + 2 * margin);
  const [x, y] = [left - margin * side, top - margin * side];
  return [Math.max(0, Math.floor(x)), Math.max(0, Math.floor(y)), Math.min(width, Math.ceil(x + length)), Math.min(height, Math.ceil(y + length))];
}

/**
 * Return the square around the strongest response inside a crop.
 * @param {Crop} crop the crop that the network saw
 * @param {Float32Array} response (h, w)
 * @param {number} h
 * @param {number} w
 * @returns {Crop}
 */
export function objectCrop(crop, response, h, w) {
  const background = Math.fround(quantile(response, BACKGROUND_QUANTILE));
  const strength = response.map((value) => value - background);
  const strongest = strength.indexOf(strength.reduce((a, b) => Math.max(a, b)));
  const least = Math.fround(Math.fround(OBJECT_RESPONSE) * strength[strongest]);
  const part = connectedPart(strength, least, strongest, h, w);
  const [rows, columns] = [part.map((at) => Math.floor(at / w)), part.map((at) => at % w)];
  const [cellHeight, cellWidth] = [crop.side / h, crop.side / w];
  const [top, left] = [Math.min(...rows) * cellHeight, Math.min(...columns) * cellWidth];
  const [height, width] = [(Math.max(...rows) + 1) * cellHeight - top, (Math.max(...columns) + 1) * cellWidth - left];
  const side = Math.max(Math.max(height, width) * (1 + 2 * OBJECT_MARGIN), crop.side * OBJECT_MIN_SHARE);
  const found = squareAround(crop.left + left + width / 2, crop.top + top + height / 2, Math.min(side, crop.side));
  const within = (/** @type {number} */ position, /** @type {number} */ start) =>
    Math.min(Math.max(position, start), start + crop.side - found.side);
  return { left: within(found.left, crop.left), top: within(found.top, crop.top), side: found.side };
}

/** @param {Float32Array} values @param {number} share */
function quantile(values, share) {
  const sorted = values.slice().sort();
  const at = share * (sorted.length - 1);
  const low = Math.floor(at);
  const high = Math.min(low + 1, sorted.length - 1);
  return sorted[low] + (sorted[high] - sorted[low]) * (at - low);
}

/** Return the positions of the 4-connected part of strong cells that holds a position. @param {Float32Array} strength @param {number} least @param {number} start @param {number} h @param {number} w */
function connectedPart(strength, least, start, h, w) {
  const found = new Set([start]);
  for (const at of found) {
    const [y, x] = [Math.floor(at / w), at % w];
    for (const [row, column] of [[y - 1, x], [y + 1, x], [y, x - 1], [y, x + 1]]) {
      if (row >= 0 && row < h && column >= 0 && column < w && strength[row * w + column] >= least) found.add(row * w + column);
    }
  }
  return [...found];
}
