// Turn pictures into unit vectors with the network of a bundle, in onnxruntime's WebAssembly; see `embedder.py`.

import { openArrays } from "./arrays.js";
import { centreCrop, objectCrop, wholeCrop } from "./crops.js";
import { EdgeSearchError } from "./errors.js";
import { FloatLayers } from "./float_layers.js";
import { cutFloatConvolutions } from "./onnx_graph.js";
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
   * @param {any} ort the module of onnxruntime-web
   * @param {any} session
   * @param {FloatLayers | null} first what is computed before the session
   * @param {any} config content of the model's config.json
   * @param {Float32Array | null} whitening (D, D)
   */
  constructor(native, ort, session, first, config, whitening) {
    this.native = native;
    this.ort = ort;
    this.session = session;
    this.first = first;
    this.dim = config.dim;
    this.preprocessing = config.preprocessing;
    this.whitening = whitening;
  }

  /**
   * Load the network of a bundle.
   * @param {import("./native.js").Native} native
   * @param {any} ort
   * @param {import("./bundle.js").Bundle} bundle
   */
  static async open(native, ort, bundle) {
    const config = JSON.parse(new TextDecoder().decode(await bundle.member("model/config.json")));
    const [{ file }] = /** @type {{file: string}[]} */ (Object.values(config.files));
    const network = await bundle.member(`model/${file}`);
    try {
      const cut = cutFloatConvolutions(network);
      const first = cut && new FloatLayers(native, cut.convolutions, config.preprocessing.crop);
      const session = await ort.InferenceSession.create(cut && first ? cut.rest(first.shape) : network, { executionProviders: ["wasm"], logSeverityLevel: 3 });
      return new Embedder(native, ort, session, first, config, await readWhitening(bundle, config.dim));
    } catch (error) {
      if (error instanceof EdgeSearchError) throw error;
      throw new EdgeSearchError("ModelError", `The network cannot run here (${error instanceof Error ? error.message : error}); use a newer browser.`);
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
   * @returns {Promise<{embedding: Float32Array, plain: Float32Array, crop: import("./crops.js").Crop}>} plain: without whitening
   */
  async embed(picture, fast) {
    const { plain, crop } = await this.#locate(picture, fast);
    return { embedding: this.whiten(plain), plain, crop };
  }

  /** @param {Picture} picture @param {boolean} fast */
  async #locate(picture, fast) {
    const { crop, resize } = this.preprocessing;
    if (fast) {
      const middle = centreCrop(picture, crop / resize);
      const { rows } = await this.#run(picture, [middle]);
      return { plain: rows[0], crop: middle };
    }
    const whole = wholeCrop(picture);
    const { rows, response } = await this.#run(picture, [whole, centreCrop(picture)]);
    const total = rows[0].map((x, d) => x + rows[1][d]);
    if (!response) return { plain: normalize(total), crop: whole };
    const { values, height, width } = response;
    const found = objectCrop(whole, values, height, width);
    const [near] = (await this.#run(picture, [found])).rows;
    return { plain: normalize(total.map((x, d) => x + near[d])), crop: found };
  }

  /** Run the network on crops. @param {Picture} picture @param {import("./crops.js").Crop[]} crops */
  async #run(picture, crops) {
    const input = this.#prepare(cropSquares(this.native, picture, crops, this.preprocessing), crops.length);
    const outputs = await this.session.run({ [this.session.inputNames[0]]: input });
    const [vectors, maps] = this.session.outputNames.map((/** @type {string} */ name) => outputs[name]);
    /** @type {Float32Array[]} */
    const rows = crops.map((_, n) => vectors.data.slice(n * this.dim, (n + 1) * this.dim));
    if (!maps) return { rows };
    const [, height, width] = maps.dims;
    return { rows, response: { values: /** @type {Float32Array} */ (maps.data.slice(0, height * width)), height, width } };
  }

  /** Return the session's input for some crops. @param {Float32Array} squares (B, 3, S, S) @param {number} count B */
  #prepare(squares, count) {
    const { ort, first, preprocessing: { crop: side } } = this;
    if (!first) return new ort.Tensor("float32", squares, [count, 3, side, side]);
    const [size, length] = [squares.length / count, first.shape.reduce((product, n) => product * n, 1)];
    const values = new Float32Array(count * length);
    for (let n = 0; n < count; n++) values.set(first.run(squares.subarray(n * size, (n + 1) * size)), n * length);
    return new ort.Tensor("float32", values, [count, ...first.shape]);
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
