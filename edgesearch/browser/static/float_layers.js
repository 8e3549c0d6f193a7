// Compute the first layers of a network, which stay float, to the same bits as Python; see `convolution.c`.

import { LANES } from "./onnx_graph.js";

/**
 * @typedef {import("./onnx_graph.js").Convolution} Convolution
 * @typedef {import("./native.js").Native} Native
 */

export class FloatLayers {
  /**
   * @param {Native} native
   * @param {Convolution[]} convolutions
   * @param {number} side of the input in px
   */
  constructor(native, convolutions, side) {
    this.native = native;
    let size = [side, side];
    this.layers = convolutions.map((one) => {
      const { kernel, pads, stride } = one;
      const [height, width] = size;
      size = size.map((length, i) => Math.floor((length + pads[i] + pads[i + 2] - kernel[i]) / stride) + 1);
      return { ...one, height, width, rows: size[0], columns: size[1], weightsAt: native.keep(pack(one)), biasAt: native.keep(Float64Array.from(one.bias)) };
    });
    this.shape = [convolutions[convolutions.length - 1].outputs, ...size];
  }

  /** Compute the layers of one input, (3, S, S); returns a tensor of `shape`. @param {Float32Array} input */
  run(input) {
    const { native } = this;
    const { height, width, channels } = this.layers[0];
    return native.scoped((scope) => {
      let from = scope.put(toPixels(input, channels, height * width));
      for (const layer of this.layers) {
        const { kernel, stride, pads, rows, columns, outputs } = layer;
        const to = scope.take(8 * rows * columns * outputs);
        native.call.convolve(layer.height, layer.width, layer.channels, rows, columns, outputs, kernel[0], kernel[1], stride, pads[0], pads[1],
          layer.low, layer.high, layer.byChannel ? 1 : 0, from, layer.weightsAt, layer.biasAt, to);
        from = to;
      }
      const [outputs, rows, columns] = this.shape;
      return toPlanes(native.read(Float64Array, from, outputs * rows * columns), outputs);
    });
  }
}

/** Reorder weights (O, C, T) to (O / LANES, C, T, LANES). @param {Convolution} convolution */
function pack({ outputs, weights }) {
  const terms = weights.length / outputs;
  return Float64Array.from(weights, (_, at) => {
    const [block, term, lane] = [Math.floor(at / (terms * LANES)), Math.floor(at / LANES) % terms, at % LANES];
    return weights[(block * LANES + lane) * terms + term];
  });
}

/** Reorder planes (C, N) to pixels (N, C). @param {Float32Array} planes @param {number} channels @param {number} count N */
function toPixels(planes, channels, count) {
  const pixels = new Float64Array(planes.length);
  for (let c = 0; c < channels; c++) for (let n = 0; n < count; n++) pixels[n * channels + c] = planes[c * count + n];
  return pixels;
}

/** Reorder pixels (N, C) to planes (C, N). @param {Float64Array} pixels @param {number} channels */
function toPlanes(pixels, channels) {
  const planes = new Float32Array(pixels.length);
  const count = pixels.length / channels;
  for (let n = 0; n < count; n++) for (let c = 0; c < channels; c++) planes[c * count + n] = pixels[n * channels + c];
  return planes;
}
