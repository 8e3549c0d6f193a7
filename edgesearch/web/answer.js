// The answer to a photo: the product, one guess, a choice of several, or the nearest of what is here.

import * as api from "./api.js";
import { button, dialog, h, icon, round } from "./dom.js";
import { t } from "./i18n.js";
import { pref } from "./prefs.js";
import { alternatives, productCard, productTile } from "./product.js";
import { LiveSearch, candidate } from "./live.js";
import { reasons } from "./text_search.js";

const [VERY, QUITE, HALF] = [0.9, 0.65, 0.5];
const GUESSED = 0.5; // share of the votes for a category or brand that is worth saying
const CHOICES = 5; // products to choose from
const MANY_FEATURES = 12; // local features that agree

const barcodeOfBest = (answer) => answer.barcodes?.find((label) => label.skus.length === 1 && label.skus[0] === answer.matches[0]?.sku);

/** Return the certainty of an answer in words. */
function certainty(answer) {
  const [best] = answer.matches;
  const kind = barcodeOfBest(answer) ? "barcode" : best.points >= MANY_FEATURES && best.probability >= VERY ? "details"
    : best.probability >= VERY ? "high" : best.probability >= QUITE ? "good" : best.probability >= HALF ? "fair" : "best";
  return t(`sure.${kind}`);
}

/** Open a dialog with both pictures, their matching parts marked, and the evidence in sentences. */
function explain(app, { answer, photo }) {
  const [best] = answer.matches;
  const code = barcodeOfBest(answer);
  const waiting = app.health.can_explain && h("p", { class: "quiet waiting" }, t("why.working"));
  dialog(t("why.title"), t("close"), h("div", { class: "why" }, waiting, h("ul", { class: "why-list" },
    h("li", {}, t("why.chance", { n: Math.round(100 * best.probability) })),
    code && h("li", {}, t("why.barcode", { code: code.text })),
    h("li", {}, best.points ? t("why.points", { n: best.points }) : t("why.nopoints")),
    best.outline.length > 2 && h("li", {}, t("why.outline")))));
  if (waiting) api.ask("POST", "explain", { body: photo, query: { words: false } }).then((blob) => {
    const address = URL.createObjectURL(blob);
    waiting.replaceWith(h("figure", {}, h("img", { src: address, alt: t("why.picture"), onload: () => URL.revokeObjectURL(address) }),
      h("figcaption", { class: "quiet" }, t("why.rest"))));
  }).catch(() => { waiting.textContent = t("why.none"); });
}

/** Show the product that a person chose, report the choice to the profile, and let a device that learns learn from it. */
function pick(app, { answer, photo }, match) {
  const shown = answer.matches.map(({ sku }) => sku);
  api.post("feedback", { shown, sku: match.sku, picked: true }).catch(() => {});
  if (app.health.learns && photo) api.ask("POST", "learn", { body: photo, query: { sku: match.sku } }).catch(() => {});
  app.go("product", { sku: match.sku, match });
}

/** Let a learned picture that led to a wrong product count less. */
function dismiss(app, { answer: { matches: [best] }, denied }) {
  if (app.health.learns && best?.row < 0 && !denied) api.ask("POST", "learned/dismiss", { query: { row: best.row } }).catch(() => {});
}

/** It is not the first product: offer the others. */
function deny(app, found) {
  if (found.answer.matches.length < 2) return reject(app, found);
  dismiss(app, found);
  found.denied = true;
  return app.refresh();
}

/** None of the products fits: search by words; who is logged in may also teach it. */
function reject(app, found) {
  const { answer, photo } = found;
  dismiss(app, found);
  if (app.me.needs_pin && app.isStaff && app.health.can_teach) return app.go("teach", { photo, answer });
  app.lost = { photo, answer };
  return app.go("words", { lost: true });
}

function heading(kind, words, detail = null) {
  const drawing = { match: "check", ambiguous: "ask", unknown: "search" }[kind];
  return h("div", { class: `verdict ${kind}` }, h("span", { class: "verdict-sign" }, icon(drawing)),
    h("div", {}, h("h1", {}, words), detail && h("p", {}, detail)));
}

const choices = (app, found, matches) => h("ul", { class: "tiles choices" }, matches.map((match) => productTile(match, () => pick(app, found, match))));
const why = (app, found) => h("div", { class: "row" }, button("", "bulb", t("answer.why"), () => explain(app, found)));
const none = (app, found) => button("", "close", t("answer.none"), () => reject(app, found));

/** Return what to show: a match, one guess, a choice (also once a person said no), or an unknown product. */
function kindOf({ answer: { decision, matches: [best, second] }, denied }) {
  if (!best) return "unknown";
  if (denied) return "ambiguous";
  return decision === "ambiguous" && (best.probability >= HALF || !second) ? "guess" : decision;
}

/** Of each kind: the content, and what stands beside "Next product". */
const CONTENT = {
  match(app, found) {
    const [best, ...others] = found.answer.matches;
    const near = others.filter((match) => match.probability >= 0.02).slice(0, 3);
    return [[heading("match", t("answer.match"), certainty(found.answer)), productCard(best), why(app, found),
      near.length > 0 && h("section", {}, h("h2", {}, t("answer.or")), choices(app, found, near)), alternatives(app, best)],
    [button("", "close", t("answer.not"), () => deny(app, found))]];
  },
  guess(app, found) {
    const { matches: [best], conflict } = found.answer;
    return [[heading("ambiguous", t("answer.guessed", { name: best.name }), conflict && t("answer.conflict")), productCard(best), why(app, found)],
      [button("", "close", t("no"), () => deny(app, found)), button("primary", "check", t("yes"), () => pick(app, found, best))]];
  },
  ambiguous(app, found) {
    const { matches, conflict } = found.answer;
    const several = matches.slice(Number(Boolean(found.denied))).slice(0, CHOICES);
    return [[heading("ambiguous", t("answer.ambiguous"), t(conflict ? "answer.conflict" : "answer.ambiguous.help")), choices(app, found, several), why(app, found)],
      [none(app, found)]];
  },
  unknown(app, found) {
    const { flaw, guesses = {}, matches } = found.answer;
    const guess = Object.values(guesses).filter(({ share }) => share >= GUESSED).map(({ value }) => value).join(", ");
    const [reason] = reasons(found.answer);
    return [[reason ? heading("unknown", t("words.none"), reason) : flaw ? heading("unknown", t("answer.unseen"), t(`flaw.${flaw}`))
      : heading("unknown", t("answer.unknown"), t("answer.unknown.help")),
    guess && h("p", { class: "lead" }, t("answer.guess", { what: guess })),
    matches.length > 0 && h("section", {}, h("h2", {}, t("answer.nearest")), choices(app, found, matches.slice(0, CHOICES)))],
    [matches.length > 0 ? none(app, found) : button("", "search", t("words.title"), () => reject(app, found))]];
  },
};

export function answer(app) {
  const found = app.answered;
  if (!found) return null;
  const { matches: [best] } = found.answer;
  const kind = kindOf(found);
  const again = () => app.go("find", {}, true);
  const [content, ways] = CONTENT[kind](app, found);
  const element = h("section", { class: "answer", onpointerdown: keep }, h("div", { class: "answer-body" }, content),
    h("div", { class: "answer-foot" }, ways, kind === "guess" ? round("", "next", t("answer.again"), again)
      : button("primary", "next", t("answer.again"), again)));
  // A kiosk always answers the next product at once; other devices do after a match that nobody pressed a button for.
  const isKiosk = pref("kiosk") > 0;
  const live = isKiosk || (kind === "match" && found.isHandsFree) ? new LiveSearch(app, hear, () => next(), leaveScene) : null;
  const past = h("p", { class: "hint past", hidden: true });
  element.prepend(past);
  let searching = false;
  let isKept = false;

  /** Who touches the answer is using it: only a kiosk still replaces it. */
  function keep() {
    if (isKiosk || !live) return;
    isKept = true;
    live.stop();
    fade("");
  }

  /** The scene of the answer is gone: at a kiosk so is the person; elsewhere the camera shows what comes next. */
  function leaveScene() {
    if (isKiosk) fade(t("answer.past"));
    else app.frozen.hide();
  }

  /** The camera shows another scene: fade the answer, and say what is in front of it; "" shows the answer again. */
  function fade(words) {
    past.textContent = words;
    past.hidden = !words;
    element.classList.toggle("faded", Boolean(words));
    if (words) app.frozen.hide();
  }

  function hear(frame, still) {
    const words = candidate(frame, still);
    if (words || !isKiosk) fade(words);
  }

  /** Return whether an answer is the one shown; show it again. */
  function isSame({ decision, matches: [other] }) {
    if (decision !== found.answer.decision || other?.sku !== best?.sku) return false;
    fade("");
    return true;
  }

  async function next() {
    if (searching || document.querySelector("dialog[open]")) return;
    searching = true;
    live.markDecided();
    const wanted = (other) => element.isConnected && !isKept && live.decided && other.decision !== "unknown" && !isSame(other);
    await app.searchPhoto(await app.camera.photo(1024), { wanted, replace: true })
      .then((other) => { live.unknown = other.decision === "unknown"; }).catch((error) => app.failed(error)).finally(() => { searching = false; });
  }
  return {
    element, layout: "split", trigger: again,
    enter() {
      app.frozen.show(found.photo, kind === "match" ? best.outline : []);
      app.say(kind === "match" ? `${t("answer.match")}: ${best.name}. ${certainty(found.answer)}` : element.querySelector("h1").textContent);
      if (!live) return;
      live.start(true);
      app.live = live;
    },
    leave() {
      live?.stop();
      app.live = null;
      app.frozen.hide();
    },
  };
}
