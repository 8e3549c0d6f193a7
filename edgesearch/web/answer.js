// The answer to a photo: the product, a choice of several, or what to do about an unknown product.

import * as api from "./api.js";
import { button, dialog, h, icon } from "./dom.js";
import { t } from "./i18n.js";
import { pref } from "./prefs.js";
import { alternatives, productCard, productTile } from "./product.js";
import { LiveSearch } from "./live.js";
import { reasons } from "./text_search.js";

const [VERY, QUITE, HALF, POSSIBLE] = [0.9, 0.65, 0.5, 0.25];
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
const chance = (match) => (match.probability >= POSSIBLE ? t("sure.maybe") : "");

/** Open a dialog with both pictures, their matching parts marked, and the evidence in sentences. */
function explain(app, { answer, photo }) {
  const [best] = answer.matches;
  const code = barcodeOfBest(answer);
  const waiting = h("p", { class: "quiet waiting" }, t("why.working"));
  dialog(t("why.title"), t("close"), h("div", { class: "why" }, waiting, h("ul", { class: "why-list" },
    h("li", {}, t("why.chance", { n: Math.round(100 * best.probability) })),
    code && h("li", {}, t("why.barcode", { code: code.text })),
    h("li", {}, best.points ? t("why.points", { n: best.points }) : t("why.nopoints")))));
  api.ask("POST", "explain", { body: photo, query: { words: false } }).then((blob) => {
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

/** None of the products fits: customers search by words, staff teach it. */
function reject(app, { answer, photo }) {
  const [best] = answer.matches;
  if (app.health.learns && best?.row < 0) api.ask("POST", "learned/dismiss", { query: { row: best.row } }).catch(() => {});
  if (app.isStaff && app.health.can_teach) return app.go("teach", { photo, answer });
  app.lost = { photo, answer };
  return app.go("words", { lost: true });
}

function heading(kind, words, detail = null) {
  const drawing = { match: "check", ambiguous: "ask", unknown: "search" }[kind];
  return h("div", { class: `verdict ${kind}` }, h("span", { class: "verdict-sign" }, icon(drawing)),
    h("div", {}, h("h1", {}, words), detail && h("p", {}, detail)));
}

const CONTENT = {
  match(app, found) {
    const [best, ...others] = found.answer.matches;
    const near = others.filter((match) => match.probability >= 0.02).slice(0, 3);
    return [heading("match", t("answer.match"), certainty(found.answer)), productCard(best),
      h("div", { class: "row" }, button("", "bulb", t("answer.why"), () => explain(app, found)),
        button("", "close", t("answer.not"), () => reject(app, found))),
      near.length > 0 && h("section", {}, h("h2", {}, t("answer.or")), h("ul", { class: "tiles" },
        near.map((match) => productTile(match, () => pick(app, found, match), chance(match) || t("sure.low"))))),
      alternatives(app, best)];
  },
  ambiguous(app, found) {
    const { answer } = found;
    const several = answer.matches.slice(0, CHOICES);
    return [heading("ambiguous", t("answer.ambiguous"), answer.conflict ? t("answer.conflict") : t("answer.ambiguous.help")),
      h("ul", { class: "tiles choices" }, several.map((match) => productTile(match, () => pick(app, found, match), chance(match)))),
      h("div", { class: "row" }, button("", "bulb", t("answer.why"), () => explain(app, found)),
        button("", "close", t("answer.none"), () => reject(app, found)))];
  },
  unknown(app, found) {
    const { answer } = found;
    const guess = Object.values(answer.guesses ?? {}).map(({ value }) => value).join(", ");
    const [why] = reasons(answer);
    return [why ? heading("unknown", t("words.none"), why) : heading("unknown", t("answer.unknown"), answer.flaw ? t(`flaw.${answer.flaw}`) : t("answer.unknown.help")),
      guess && h("p", { class: "lead" }, t("answer.guess", { what: guess })),
      h("div", { class: "row" }, button("primary", app.isStaff && app.health.can_teach ? "teach" : "search",
        t(app.isStaff && app.health.can_teach ? "words.staff" : "words.title"), () => reject(app, found))),
      answer.matches.length > 0 && h("section", {}, h("h2", {}, t("answer.nearest")), h("ul", { class: "tiles" },
        answer.matches.slice(0, 4).map((match) => productTile(match, () => pick(app, found, match)))))];
  },
};

export function answer(app) {
  const found = app.answered;
  if (!found) return null;
  const { decision, matches } = found.answer;
  const kind = matches.length ? decision : "unknown";
  const element = h("section", { class: "answer" },
    h("div", { class: "answer-body" }, CONTENT[kind](app, found)),
    h("div", { class: "answer-foot" }, button("primary wide", "next", t("answer.again"), () => app.go("find", {}, true))));
  // A kiosk answers the next product at once; on a handheld the camera pauses until "Next product" is pressed.
  const live = pref("kiosk") ? new LiveSearch(app, () => {}, () => next()) : null;
  let searching = false;
  async function next() {
    if (searching) return;
    searching = true;
    live.markDecided();
    await app.searchPhoto(await app.camera.photo(1024), { quietly: true, replace: true })
      .catch((error) => app.failed(error)).finally(() => { searching = false; });
  }
  return {
    element, layout: "split",
    enter() {
      app.frozen.show(found.photo, kind === "match" ? matches[0].outline : []);
      const [best] = matches;
      app.say(kind === "match" ? `${t("answer.match")}: ${best.name}. ${certainty(found.answer)}` : t(`answer.${kind}`));
      if (!live) return;
      live.start();
      app.live = live;
      setTimeout(() => live.markDecided(), 300);
    },
    leave() {
      live?.stop();
      app.live = null;
      app.frozen.hide();
    },
  };
}
