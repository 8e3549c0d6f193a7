// Live search: frames go to the server one after the other; when the product is held still, a full search decides.

import * as api from "./api.js";
import { t } from "./i18n.js";
import { isChanged, isMoved } from "./scene.js";

const MAX_MEASURES = 256;
const FRAME = "frame to answer"; // name in the browser's tools
const TICK_MS = 90;
const SAVING_MS = 450; // between frames when the battery is low
const STILL_MS = 270;
const CHANGED_TICKS = 2; // in a row: a hand that passes is not another scene
const LIKELY = 0.25; // probability of a product that is worth naming, and a full search
const LIKELY_FRAMES = 2; // in a row before a full search
const UNSURE_MS = 600; // held still for so long, any sound picture is worth one full search
const SCENERY_MS = 4000; // a scene unknown for so long is the background

/** Return a random name of a stream. */
export const streamName = () => Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16)).join("").padEnd(12, "0");

/** Return what to say about a frame with a likely product; "" about any other. */
export function candidate(answer, still) {
  const [best] = answer?.matches ?? [];
  if (best?.probability >= LIKELY) return t(still ? "find.like" : "find.like.still", { name: best.name });
  return answer && answer.decision !== "unknown" ? t("find.still") : "";
}

export class LiveSearch {
  /**
   * onFrame(answer, still): a frame's answer arrived, or null: this is the background. onSettled(): a full search is due.
   * onChange(): the scene that was decided is gone.
   */
  constructor(app, onFrame, onSettled, onChange = () => {}) {
    Object.assign(this, { app, onFrame, onSettled, onChange, stream: "", timer: 0, abort: null });
    this.last = this.decided = this.scenery = null;
    this.likely = this.frames = this.changed = this.scene = 0;
  }

  /** Begin; decided: what the camera shows has an answer. */
  start(decided = false) {
    this.stop();
    this.stream = streamName();
    this.abort = new AbortController();
    this.asking = this.unknown = this.isSound = false;
    this.askAt = 0;
    this.movedAt = this.newAt = performance.now();
    if (decided && this.app.camera.running) this.decided = this.last = this.app.camera.scene();
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
    this.changed = 0;
  }

  #tick() {
    const { signal } = this.abort;
    try {
      if (this.app.camera.running && !document.hidden) this.#checkFrame(signal);
    } finally {
      if (!signal.aborted) this.timer = setTimeout(() => this.#tick(), this.app.saving ? SAVING_MS : TICK_MS);
    }
  }

  #checkFrame(signal) {
    const now = performance.now();
    const before = this.last;
    this.last = this.app.camera.scene(); // also takes the frame that #ask sends
    if (isMoved(before, this.last)) this.movedAt = now;
    const stillMs = now - this.movedAt;
    const still = stillMs >= STILL_MS;
    if (this.decided) {
      this.changed = isChanged(this.decided, this.last) ? this.changed + 1 : 0;
      if (this.changed < CHANGED_TICKS) return this.#rest(now, still);
      this.#startScene(now);
    }
    if (this.scenery && !isChanged(this.scenery, this.last)) return this.onFrame(null, still);
    if (still && this.#isDue(Math.min(stillMs, now - this.newAt))) return this.onSettled();
    if (!this.app.filter && !this.asking && now >= this.askAt) this.#ask(now, signal);
    return undefined;
  }

  /** Return whether what has been held still is worth a full search; frames ignore filters. */
  #isDue(heldMs) {
    return this.app.filter || this.likely >= LIKELY_FRAMES || (this.isSound && heldMs >= UNSURE_MS);
  }

  /** Take a scene that stays unknown for the background. */
  #rest(now, still) {
    if (this.unknown && this.scenery !== this.decided && now - Math.max(this.movedAt, this.newAt) > SCENERY_MS) {
      this.scenery = this.decided;
      this.onFrame(null, still);
    }
  }

  async #ask(start, signal) {
    this.asking = true;
    const { scene } = this;
    try {
      const answer = await this.#sendFrame(start, signal);
      if (signal.aborted || scene !== this.scene || this.decided) return;
      this.likely = candidate(answer) ? this.likely + 1 : 0;
      this.isSound = !answer.flaw;
      this.onFrame(answer, performance.now() - this.movedAt >= STILL_MS);
    } catch (error) {
      if (signal.aborted) return;
      this.askAt = performance.now() + (error.kind === "busy" ? api.waitMs(error) : 1000);
      if (!(error instanceof api.ApiError || error instanceof api.GoneError)) throw error;
    } finally {
      if (!signal.aborted) this.asking = false;
    }
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
    this.likely = this.changed = 0;
    this.unknown = this.isSound = false;
    this.newAt = now;
    this.scene += 1;
    this.onChange();
  }
}
