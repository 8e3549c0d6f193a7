// Lay out the filters of convolutions as the engine takes them; see `convolution.h` and `quantized_layers.h`.

const LANES = 16; // filters of floats that are applied together
const TOGETHER = 8; // filters of 8 bits
const ROW = 8; // to which the terms of a result are rounded up
const PAIR = 2;

/**
 * @typedef {{outputs: number, channels: number, taps: number, byChannel: boolean}} Shape channels: that a filter takes; taps: pixels of its kernel
 * @typedef {{weights: Int16Array, bias: Int32Array, scales: Float32Array}} LevelFilters
 */

/** @param {number} n @param {number} step */
const roundUp = (n, step) => Math.ceil(n / step) * step;

/**
 * Reorder filters (O, C, T) to (O / LANES, C, T, LANES).
 * @param {Shape} shape
 * @param {ArrayLike<number>} weights
 * @param {{new (length: number): Float32Array | Float64Array}} Type of a weight
 */
export function packFloats({ outputs, channels, taps }, weights, Type) {
  const terms = channels * taps;
  const packed = new Type(roundUp(outputs, LANES) * terms);
  for (let o = 0; o < outputs; o++) {
    const block = (o - (o % LANES)) * terms + (o % LANES);
    for (let term = 0; term < terms; term++) packed[block + term * LANES] = weights[o * terms + term];
  }
  return packed;
}

/** Return numbers, with zeros up to a multiple of LANES. @param {ArrayLike<number>} numbers */
export function padFloats(numbers) {
  const padded = new Float32Array(roundUp(numbers.length, LANES));
  padded.set(numbers);
  return padded;
}

/**
 * Reorder filters (O, C, T) of 8 bits to (O / TOGETHER, T C / 2, TOGETHER, 2); the bias of each loses what the level
 * that stands for 0 adds.
 * @param {Shape} shape
 * @param {ArrayLike<number>} weights
 * @param {ArrayLike<number>} bias
 * @param {(o: number) => number} scale of a filter's products by that of the result
 * @param {number} zero the level that stands for 0 in the input
 * @returns {LevelFilters}
 */
export function packLevels({ outputs, channels, taps, byChannel }, weights, bias, scale, zero) {
  const [filters, terms] = [roundUp(outputs, TOGETHER), roundUp(channels * taps, byChannel ? PAIR : ROW)];
  const packed = { weights: new Int16Array(filters * terms), bias: new Int32Array(filters), scales: new Float32Array(filters) };
  for (let o = 0; o < outputs; o++) {
    const [first, to] = [o * channels * taps, (o - (o % TOGETHER)) * terms + (o % TOGETHER) * PAIR];
    let sum = 0;
    for (let t = 0, term = 0; t < taps; t++) {
      for (let c = 0; c < channels; c++, term++) {
        const weight = weights[first + c * taps + t];
        packed.weights[to + (term >> 1) * TOGETHER * PAIR + (term & 1)] = weight;
        sum += weight;
      }
    }
    packed.bias[o] = bias[o] - zero * sum;
    packed.scales[o] = scale(o);
  }
  return packed;
}
