// Scenes: tell by their content whether two frames show the same, however much the hand trembles or the light changes.
//
// A frame becomes 36 x 36 cells of colour, smoothed so that print cannot shimmer. Two frames are compared at the shift that
// fits best, in whole cells; one step of Lucas and Kanade (1981) then takes out the rest of the shift.

export const SIDE = 36; // cells
const MOVED = 0.2; // difference of two frames above which something moves
const DRIFT = 1; // cells of shift, likewise
const CHANGED = 0.4; // difference that makes another scene
const COLOURS = 3;
const REACH = 2; // cells that frames may be shifted
const NOISE = 6; // of 255: contrast below which cells hold little but noise
const END = SIDE - REACH;

/** Return a frame as cells with mean 0 and contrast 1; rgba: its SIDE x SIDE pixels. */
export function describe(rgba) {
  const cells = new Float32Array(COLOURS * SIDE * SIDE);
  let power = 0;
  for (let colour = 0; colour < COLOURS; colour++) {
    const own = cells.subarray(colour * SIDE * SIDE, (colour + 1) * SIDE * SIDE);
    let mean = 0;
    for (let i = 0; i < own.length; i++) mean += (own[i] = rgba[4 * i + colour]) / own.length;
    for (let i = 0; i < own.length; i++) power += (own[i] -= mean) ** 2;
  }
  const contrast = Math.sqrt(power / cells.length) + NOISE;
  for (let i = 0; i < cells.length; i++) cells[i] /= contrast;
  return cells;
}

/** Return {change, shift} of two frames: 0 for the same, about 1 for others; cells between them. Nothing is like null. */
export function compare(one, other) {
  if (!one || !other) return { change: 2, shift: SIDE };
  let best = { error: Infinity };
  for (let y = -REACH; y <= REACH; y++) {
    for (let x = -REACH; x <= REACH; x++) {
      const error = residual(one, other, x, y, 2).error;
      if (error < best.error) best = { error, x, y };
    }
  }
  const { error, x, y } = residual(one, other, best.x, best.y, 1);
  return { change: Math.sqrt(error), shift: Math.hypot(x, y) };
}

/** Return what remains between frames that are (x, y) cells apart, and their finer shift; step 2 skips cells and the finer shift. */
function residual(one, other, x, y, step) {
  const sums = new Float64Array(6); // of the products xx, xy, yy, xd, yd, dd of gradients and difference
  const total = new Float64Array(3);
  const n = Math.ceil((END - REACH) / step) ** 2;
  for (let plane = 0; plane < one.length; plane += SIDE * SIDE) {
    total.fill(0);
    for (let row = REACH; row < END; row += step) {
      for (let at = plane + row * SIDE + REACH, end = at + END - REACH; at < end; at += step) {
        const d = one[at + y * SIDE + x] - other[at];
        sums[5] += d * d;
        total[2] += d;
        if (step > 1) continue;
        const gx = (other[at + 1] - other[at - 1]) / 2;
        const gy = (other[at + SIDE] - other[at - SIDE]) / 2;
        sums[0] += gx * gx; sums[1] += gx * gy; sums[2] += gy * gy; sums[3] += gx * d; sums[4] += gy * d;
        total[0] += gx; total[1] += gy;
      }
    }
    const [sx, sy, sd] = total; // an even change of light or colour is no difference
    sums[0] -= sx * sx / n; sums[1] -= sx * sy / n; sums[2] -= sy * sy / n; sums[3] -= sx * sd / n; sums[4] -= sy * sd / n; sums[5] -= sd * sd / n;
  }
  const [xx, xy, yy, xd, yd, dd] = sums;
  const cells = COLOURS * n;
  if (step > 1) return { error: dd / cells };
  const scale = xx * yy - xy * xy + 1e-6;
  const clamp = (value) => Math.max(-1, Math.min(1, value));
  const [u, v] = [clamp((yy * xd - xy * yd) / scale), clamp((xx * yd - xy * xd) / scale)];
  const error = dd - 2 * (u * xd + v * yd) + u * u * xx + 2 * u * v * xy + v * v * yy;
  return { error: Math.max(0, error) / cells, x: x - u, y: y - v };
}

/** Return whether something moved between two frames, or the camera moved more than a hand trembles. */
export function isMoved(one, other) {
  const { change, shift } = compare(one, other);
  return change > MOVED || shift > DRIFT;
}

/** Return whether two frames show different scenes. */
export const isChanged = (one, other) => compare(one, other).change > CHANGED;
