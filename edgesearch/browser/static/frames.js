// Answer the frames of cameras: the last frames of one scene together; see `frame_stream.py`.

const FRAMES = 5;
const SCENE = 0.5; // cosine of two frames; below it the scene has changed
const MAX_STREAMS = 8;

export class Streams {
  /** The last observations of each stream. @type {Map<string, import("./engine.js").Observation[]>} */
  #seen = new Map();

  /**
   * Add a frame and answer the last ones of its scene.
   * @param {import("./engine.js").Engine} engine
   * @param {string} stream
   * @param {import("./engine.js").Photo} photo
   * @param {import("./engine.js").Options} options
   */
  async add(engine, stream, photo, options) {
    const observation = await engine.observe(photo, options);
    const before = this.#seen.get(stream) ?? [];
    const isSame = before.length > 0 && cosine(before[before.length - 1].embedding, observation.embedding) >= SCENE;
    const seen = [...(isSame ? before : []), observation].slice(-FRAMES);
    this.#seen.delete(stream);
    this.#seen.set(stream, seen);
    if (this.#seen.size > MAX_STREAMS) this.forget([...this.#seen.keys()][0]);
    return { ...engine.answer(seen, options), frames: seen.length };
  }

  /** @param {string} stream */
  forget(stream) {
    this.#seen.delete(stream);
  }
}

/** @param {Float32Array} one @param {Float32Array} other */
const cosine = (one, other) => one.reduce((sum, x, d) => sum + x * other[d], 0);
