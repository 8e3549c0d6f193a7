// Staff take photos of the products that need them most; good frames are taken by themselves.

import * as api from "./api.js";
import { button, dropFocus, h } from "./dom.js";
import { beep } from "./beep.js";
import { openCamera } from "./find.js";
import { t } from "./i18n.js";
import { streamName } from "./live.js";
import { pictureAt, picturePath } from "./product.js";
import { compare } from "./scene.js";
import { logInFirst } from "./staff.js";

const SIDE = 640; // px of a frame
const TICK_MS = 120;
const SAME = 0.02; // difference, below which frames show the same
const SAME_MS = 1000; // after which the same is sent again: a sharper frame looks alike from afar

/** place: only products there. */
export function shoot(app, { place = "" }) {
  if (!app.health.can_capture) return null;
  if (!app.isStaff) return logInFirst(app, "shoot");
  const visits = []; // {match, numbers of its photos, changed by them}
  let at = 0;
  let taking = null; // {name, abort, last frame, pressed, said}
  const product = h("div", { class: "counted" });
  const message = h("p", { class: "lead" });
  const result = h("p", { class: "quiet" });
  const controls = h("div", { class: "count-controls" }, button("primary count-press", "camera", t("menu.shoot"), press),
    h("div", { class: "row even" }, button("", "back", t("bar.back"), () => back()), button("", "next", t("answer.again"), () => next()), button("", "check", t("shoot.done"), () => end())));
  const element = h("section", { class: "count shoot", onclick: dropFocus }, h("div", { class: "count-panel" },
    h("h1", { class: "quiet-visually" }, t("menu.shoot")), product, h("div", { class: "count-message", role: "status" }, message, result), controls));
  const { careful } = app;

  const load = careful(async () => {
    const { learns, products } = await api.get("capture", { location: place });
    visits.push(...products.map((match) => ({ match, numbers: [] })));
    if (learns && visits.length) offer();
    else leave(t(learns ? "alike.none" : "shoot.off"));
  });

  function leave(words) {
    app.layout("page");
    delete view.found;
    product.replaceChildren();
    controls.replaceChildren(button("primary wide big", "search", t("menu.find"), () => app.go("find", {}, true)));
    message.textContent = words;
  }

  function offer() {
    const { match } = visits[at];
    product.replaceChildren(pictureAt(picturePath(match), { alt: t("product.picture", { name: match.name }) }),
      h("div", {}, h("p", { class: "counted-name" }, match.name), match.location && button("", "pin", match.location, () => app.go("shoot", { place: match.location.split(/[,;]/)[0] }, true))),
      h("p", { class: "count-total" }, `${at + 1} / ${visits.length}`));
    message.textContent = t("count.ready");
  }

  /** Begin with the product, or take the next frame. */
  function press() {
    if (taking) taking.pressed = true;
    else if (app.camera.running && visits[at]) {
      taking = { name: streamName(), abort: new AbortController() };
      result.textContent = "";
      tick(taking);
    }
  }

  async function tick(now) {
    const { signal } = now.abort;
    let wait = TICK_MS;
    try {
      const frame = app.camera.running && !document.hidden && app.camera.scene(SIDE);
      if (frame && (now.pressed || compare(frame, now.last).change >= SAME || performance.now() - now.sentAt > SAME_MS)) {
        const query = { session: now.name, sku: visits[at].match.sku, press: Boolean(now.pressed) };
        Object.assign(now, { pressed: false, last: frame, sentAt: performance.now() });
        advise(now, await api.ask("POST", "capture/frames", { body: app.camera.frame(0.85), query, signal }, 0));
      }
    } catch (error) {
      if (signal.aborted) return;
      wait = api.waitMs(error);
      now.last = null;
      if (error.kind !== "busy") app.failed(error);
    }
    setTimeout(() => { if (!signal.aborted) tick(now); }, wait);
  }

  function advise(now, { advice, taken, enough, like, number }) {
    if (now !== taking) return;
    const words = t(`flaw.${advice === "taken" ? "turn" : advice}`, { name: like?.name });
    const light = now.said === "dark" && advice !== "dark" && t("shoot.light");
    message.textContent = [taken && t("count.total", { n: taken }), light, words].filter(Boolean).join(" · ");
    now.said = advice;
    document.body.dataset.seen = number ? "found" : "";
    if (number) {
      visits[at].numbers.push(number);
      beep("good");
    }
    if (enough) next();
  }

  function stop() {
    const { name, abort } = taking ?? {};
    abort?.abort();
    taking = null;
    delete document.body.dataset.seen;
    return name;
  }

  const tell = ({ photos: n, first_before: before, first_after: after }) => t("shoot.result", { n, before, after });

  /** End its photos, and say what they changed. */
  async function close() {
    const [name, visit] = [stop(), visits[at]];
    if (!name || !visit.numbers.length) return;
    visit.changed = (await api.post("capture/end", {}, { session: name })).recognition;
    result.textContent = visit.changed ? `${visit.match.name}: ${tell(visit.changed)}` : "";
  }

  const next = careful(async () => {
    await close();
    at += 1;
    if (at < visits.length) offer();
    else end();
  });

  /** Delete its photos, or those of the product before. */
  const back = careful(async () => {
    stop();
    if (!visits[at].numbers.length) at = Math.max(0, at - 1);
    const { match, numbers } = visits[at];
    if (numbers.length) {
      await api.ask("DELETE", `learned?number=${numbers.join("&number=")}`);
      app.toast(t("product.undone"));
    }
    visits[at] = { match, numbers: [] };
    result.textContent = "";
    offer();
  });

  const end = careful(async () => {
    if (visits[at]) await close();
    const sum = (key) => visits.reduce((total, { changed }) => total + (changed?.[key] ?? 0), 0);
    result.textContent = "";
    leave(tell({ photos: sum("photos"), first_before: sum("first_before"), first_after: sum("first_after") }));
  });

  const view = {
    element, layout: "split", trigger: press,
    async enter() {
      app.frozen.hide();
      const again = () => app.refresh();
      if (await openCamera(app, element, again)) load();
    },
    leave: stop,
    /** Begin with a product whose barcode was scanned. */
    found: careful(async (match) => {
      await close();
      if (visits[at]?.numbers.length) at += 1;
      visits.splice(at, 0, { match, numbers: [] });
      offer();
      press();
    }),
  };
  return view;
}
