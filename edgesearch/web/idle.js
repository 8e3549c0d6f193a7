// When nobody is there, a kiosk asks, then starts over; other devices switch the camera off.

import { button, dialog, h } from "./dom.js";
import { t } from "./i18n.js";
import { pref } from "./prefs.js";

const ASK_S = 20; // a kiosk asks so long before it starts over
const ACTS = ["pointerdown", "keydown", "wheel", "touchmove", "input"];

export class Idle {
  constructor(app) {
    Object.assign(this, { app, at: performance.now(), asking: null });
  }

  begin() {
    for (const act of ACTS) addEventListener(act, () => this.here(), { passive: true, capture: true });
    document.addEventListener("visibilitychange", () => this.#hidden());
    setInterval(() => this.#check(), 1000);
  }

  /** Note that somebody is there. */
  here() {
    this.at = performance.now();
  }

  #check() {
    if (this.app.covers.shown) return this.here();
    if (this.app.live && performance.now() - this.app.live.movedAt < 2000) this.here(); // somebody is showing a product
    const idleS = (performance.now() - this.at) / 1000;
    const limit = pref("kiosk");
    if (limit) return this.#kiosk(limit - idleS);
    if (idleS > pref("rest") && this.app.camera.running) this.app.covers.rest();
    return undefined;
  }

  #kiosk(leftS) {
    if (this.app.shown?.name === "find" && leftS <= 0) return this.#startOver();
    if (this.app.shown?.name === "find") return undefined; // nothing would be lost there
    if (leftS <= 0) return this.#startOver();
    if (leftS <= Math.min(ASK_S, pref("kiosk") / 2)) this.#ask(Math.ceil(leftS));
    else this.asking?.close();
    return undefined;
  }

  #ask(leftS) {
    if (!this.asking) {
      const words = h("p", { class: "lead" });
      this.asking = dialog(t("idle.title"), t("close"), words,
        button("primary wide", "check", t("idle.yes"), () => this.asking.close(), { autofocus: true }));
      this.asking.words = words;
      this.asking.addEventListener("close", () => { this.asking = null; });
    }
    this.asking.words.textContent = t("idle.help", { n: leftS });
  }

  async #startOver() {
    this.here();
    this.asking?.close();
    await this.app.reset();
    this.app.covers.attract();
  }

  #hidden() {
    clearTimeout(this.away);
    if (document.hidden) this.away = setTimeout(() => this.app.camera.stop(), 20_000);
    else if (!this.app.camera.running && this.app.shown?.view.wake) this.app.shown.view.wake();
  }
}
