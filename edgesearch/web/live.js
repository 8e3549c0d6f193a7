// Live search: frames go to the server at once; when the product is held still, a full search decides.

import * as api from "./api.js";
import { difference } from "./camera.js";

const MAX_MEASURES = 256;
const FRAME = "frame to answer"; // name in the browser's tools
const TICK_MS = 90;
const SAVING_MS = 450; // between frames when the battery is low
const MOVING = 7; // difference of 255 between ticks
const CHANGED = 14; // difference of 255 that makes another scene
const STILL_MS = 420;
const SURE_FRAMES = 2; // known frames in a row before a full search
const SCENERY_MS = 4000; // a scene unknown for so long is the background

/** Return a random name of a stream. */
export const streamName = () => Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16)).join("").padEnd(12, "0");

export class LiveSearch {
  /** onFrame(answer, still): a frame's answer arrived; onSettled(): a full search is due. */
  constructor(app, onFrame, onSettled) {
    Object.assign(this, { app, onFrame, onSettled, stream: "", timer: 0, abort: null });
    this.last = this.decided = this.scenery = null;
    this.movedAt = this.newAt = performance.now();
    this.voted = this.frames = 0;
  }

  start() {
    this.stop();
    this.stream = streamName();
    this.abort = new AbortController();
    this.timer = setTimeout(() => this.#tick(), 0);
  }

  stop() {
    clearTimeout(this.timer);
    this.timer = 0;
    this.abort?.abort();
    this.abort = null;
  }

  /** Ignore this scene from now on, because it has an answer. */
  markDecided() {
    this.decided = this.last;
  }

  async #tick() {
    const { signal } = this.abort;
    let wait = this.app.saving ? SAVING_MS : TICK_MS;
    try {
      if (this.app.camera.running && !document.hidden) await this.#checkFrame(signal);
    } catch (error) {
      if (signal.aborted) return;
      if (error.kind === "busy") wait = api.waitMs(error);
      else if (!(error instanceof api.ApiError || error instanceof api.GoneError)) throw error;
      else wait = 1000;
    } finally {
      if (!signal.aborted) this.timer = setTimeout(() => this.#tick(), wait);
    }
  }

  async #checkFrame(signal) {
    const now = performance.now();
    const before = this.last;
    this.last = this.app.camera.signature(); // also takes the frame that #sendFrame sends
    if (difference(before, this.last) > MOVING) this.movedAt = now;
    const still = now - this.movedAt >= STILL_MS;
    if (this.decided && difference(this.decided, this.last) < CHANGED) return;
    if (this.decided || !before) this.#startScene(now);
    if (this.scenery && difference(this.scenery, this.last) < CHANGED) return this.onFrame(null, still);
    if (this.app.filter) { // frames ignore filters, so only a full search can decide
      if (still) await this.onSettled();
      return undefined;
    }
    const answer = await this.#sendFrame(now, signal);
    if (signal.aborted) return undefined;
    const known = answer.decision !== "unknown";
    this.voted = known ? this.voted + 1 : 0;
    this.onFrame(answer, still);
    if (still && known && this.voted >= SURE_FRAMES) await this.onSettled();
    else if (still && !known && now - Math.max(this.movedAt, this.newAt) > SCENERY_MS) this.scenery = this.last;
    return undefined;
  }

  async #sendFrame(start, signal) {
    if (++this.frames % MAX_MEASURES === 0) performance.clearMeasures(FRAME);
    const photo = this.app.camera.frame();
    const answer = await api.frame(photo, { stream: this.stream, k: 3, fast: true }, signal);
    performance.measure(FRAME, { start });
    return answer;
  }

  #startScene(now) {
    this.decided = null;
    this.voted = 0;
    this.newAt = now;
  }
}
