// Watching: frames go to the server while something moves in front of the camera; held still, a full search decides.

import * as api from "./api.js";
import { difference } from "./camera.js";

const KEPT = 256; // measures, at most
const FRAME = "frame to answer"; // in the browser's own tools, and those that measure the page
const TICK_MS = 90;
const SAVING_MS = 450; // between frames when the battery is low
const MOVING = 7; // of 255, from tick to tick
const CHANGED = 14; // of 255: another scene than before
const STILL_MS = 420;
const SURE_FRAMES = 2; // that vote before a full search is worth its time
const SCENERY_MS = 4000; // what stays unknown so long is the room

export class Watcher {
  /** app: camera, saving and filter; seen(answer, still): a frame's answer; settled(): a full search is due. */
  constructor(app, seen, settled) {
    Object.assign(this, { app, seen, settled, stream: "", timer: 0, abort: null });
    this.last = this.decided = this.scenery = null;
    this.movedAt = this.newAt = performance.now();
    this.voted = this.frames = 0;
  }

  start() {
    this.stop();
    this.stream = Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16)).join("").padEnd(12, "0");
    this.abort = new AbortController();
    this.timer = setTimeout(() => this.#tick(), 0);
  }

  stop() {
    clearTimeout(this.timer);
    this.timer = 0;
    this.abort?.abort();
    this.abort = null;
  }

  /** This scene was decided; only another one is looked at. */
  decide() {
    this.decided = this.last;
  }

  async #tick() {
    const { signal } = this.abort;
    let wait = this.app.saving ? SAVING_MS : TICK_MS;
    try {
      if (this.app.camera.running && !document.hidden) await this.#look(signal);
    } catch (error) {
      if (signal.aborted) return;
      if (error.kind === "busy") wait = api.waitMs(error);
      else if (!(error instanceof api.ApiError || error instanceof api.GoneError)) throw error;
      else wait = 1000;
    } finally {
      if (!signal.aborted) this.timer = setTimeout(() => this.#tick(), wait);
    }
  }

  async #look(signal) {
    const now = performance.now();
    const before = this.last;
    this.last = this.app.camera.signature(); // takes the frame, which is sent if it is worth it
    if (difference(before, this.last) > MOVING) this.movedAt = now;
    const still = now - this.movedAt >= STILL_MS;
    if (this.decided && difference(this.decided, this.last) < CHANGED) return;
    if (this.decided || !before) this.#another(now);
    if (this.scenery && difference(this.scenery, this.last) < CHANGED) return this.seen(null, still);
    if (this.app.filter) { // frames do not know of filters: a full search decides alone
      if (still) await this.settled();
      return undefined;
    }
    const answer = await this.#frame(now, signal);
    if (signal.aborted) return undefined;
    const known = answer.decision !== "unknown";
    this.voted = known ? this.voted + 1 : 0;
    this.seen(answer, still);
    if (still && known && this.voted >= SURE_FRAMES) await this.settled();
    else if (still && !known && now - Math.max(this.movedAt, this.newAt) > SCENERY_MS) this.scenery = this.last;
    return undefined;
  }

  async #frame(start, signal) {
    if (++this.frames % KEPT === 0) performance.clearMeasures(FRAME);
    const photo = this.app.camera.frame();
    const answer = await api.frame(photo, { stream: this.stream, k: 3, fast: true }, signal);
    performance.measure(FRAME, { start });
    return answer;
  }

  #another(now) {
    this.decided = null;
    this.voted = 0;
    this.newAt = now;
  }
}
