// Turn pictures into unit vectors with the network of a bundle; see `embedder.py`.

import { openArrays } from "./arrays.js";
import { centreCrop, objectCrop, wholeCrop } from "./crops.js";
import { EdgeSearchError } from "./errors.js";
import { Network } from "./network.js";
import { WORKING_SIDE, cropSquares } from "./pictures.js";

/** @typedef {import("./pictures.js").Picture} Picture */

/** Return a vector at unit length. @param {Float32Array} vector */
export function normalize(vector) {
  const length = Math.sqrt(vector.reduce((sum, x) => sum + x * x, 0));
  return vector.map((x) => (length > 0 ? x / length : x));
}

export class Embedder {
  /**
   * @param {import("./native.js").Native} native
   * @param {Network} network
   * @param {any} config content of the model's config.json
   * @param {Float32Array | null} whitening (D, D)
   */
  constructor(native, network, config, whitening) {
    this.native = native;
    this.network = network;
    this.dim = config.dim;
    this.preprocessing = config.preprocessing;
    this.whitening = whitening;
  }

  /** Load the network of a bundle. @param {import("./native.js").Native} native @param {import("./bundle.js").Bundle} bundle */
  static async open(native, bundle) {
    const config = JSON.parse(new TextDecoder().decode(await bundle.member("model/config.json")));
    const [{ file }] = /** @type {{file: string}[]} */ (Object.values(config.files));
    const content = await bundle.member(`model/${file}`);
    const whitening = await readWhitening(bundle, config.dim);
    try {
      const network = new Network(native, content, config.preprocessing.crop);
      const [{ shape }] = network.outputs;
      if (shape.join() !== String(config.dim)) throw new TypeError(`it makes vectors of ${shape.join(" x ")} numbers, its config says ${config.dim}`);
      return new Embedder(native, network, config, whitening);
    } catch (error) {
      if (error instanceof EdgeSearchError) throw error;
      throw new EdgeSearchError("ModelError", `The network cannot run here (${error instanceof Error ? error.message : error}); build the bundle again, with a model that this version exports.`);
    }
  }

  /** Smallest shorter side, in px, with which a picture is decoded. */
  get decodedSide() {
    return Math.max(this.preprocessing.resize, WORKING_SIDE);
  }

  /**
   * Embed a picture and locate the object in it.
   * @param {Picture} picture
   * @param {boolean} fast embed only the centre crop
   * @returns {{embedding: Float32Array, plain: Float32Array, crop: import("./crops.js").Crop}} plain: without whitening
   */
  embed(picture, fast) {
    const { plain, crop } = this.#locate(picture, fast);
    return { embedding: this.whiten(plain), plain, crop };
  }

  /** @param {Picture} picture @param {boolean} fast */
  #locate(picture, fast) {
    const { crop, resize } = this.preprocessing;
    if (fast) {
      const middle = centreCrop(picture, crop / resize);
      const { rows } = this.#run(picture, [middle]);
      return { plain: rows[0], crop: middle };
    }
    const whole = wholeCrop(picture);
    const { rows, response } = this.#run(picture, [whole, centreCrop(picture)]);
    const total = rows[0].map((x, d) => x + rows[1][d]);
    if (!response) return { plain: normalize(total), crop: whole };
    const { values, height, width } = response;
    const found = objectCrop(whole, values, height, width);
    const [near] = this.#run(picture, [found]).rows;
    return { plain: normalize(total.map((x, d) => x + near[d])), crop: found };
  }

  /** Run the network on crops; response: of the first one. @param {Picture} picture @param {import("./crops.js").Crop[]} crops */
  #run(picture, crops) {
    const squares = cropSquares(this.native, picture, crops, this.preprocessing);
    const size = squares.length / crops.length;
    const found = crops.map((_, n) => this.network.run(squares.subarray(n * size, (n + 1) * size)));
    const [, map] = found[0];
    const rows = found.map(([{ numbers }]) => numbers);
    return map ? { rows, response: { values: map.numbers, height: map.shape[0], width: map.shape[1] } } : { rows };
  }

  /** Even out a vector as the bundle says; return it at unit length. @param {Float32Array} vector */
  whiten(vector) {
    const { whitening, dim } = this;
    if (!whitening) return vector;
    const mapped = new Float64Array(dim);
    for (let d = 0; d < dim; d++) for (let e = 0; e < dim; e++) mapped[e] += vector[d] * whitening[d * dim + e];
    return normalize(Float32Array.from(mapped));
  }
}

/** @param {import("./bundle.js").Bundle} bundle @param {number} dim @returns {Promise<Float32Array | null>} */
async function readWhitening(bundle, dim) {
  const file = "whitening.arrays";
  if (!bundle.has(file)) return null;

  const { arrays: { matrix } } = await openArrays((start, stop) => bundle.range(file, start, stop), bundle.manifest.files[file].size, file);
  if (matrix?.dtype !== "float16" || matrix.shape.join() !== `${dim},${dim}`) throw new EdgeSearchError("BundleError", `${file} does not fit the model; build the bundle again.`);
  return matrix.rows();
}
