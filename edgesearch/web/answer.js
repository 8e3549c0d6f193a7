// The answer to a photo: the product, or which of several, or that it is not known and what to do then.

import * as api from "./api.js";
import { button, dialog, h, icon } from "./dom.js";
import { t } from "./i18n.js";
import { pref } from "./prefs.js";
import { alike, large, small } from "./product.js";
import { Watcher } from "./watch.js";

const [VERY, QUITE, POSSIBLE] = [0.9, 0.65, 0.25];
const LIKELY = 0.5; // it is here rather than not: whoever shows it can say which one it is
const PRINT = 12; // places that agree: enough to speak of them

const coded = (answer) => answer.barcodes?.find((label) => label.skus.length === 1 && label.skus[0] === answer.matches[0]?.sku);

/** How sure, in words. */
function sure(answer) {
  const [best] = answer.matches;
  const kind = coded(answer) ? "barcode" : best.points >= PRINT && best.probability >= VERY ? "print"
    : best.probability >= VERY ? "high" : best.probability >= QUITE ? "good" : "fair";
  return t(`sure.${kind}`);
}
const maybe = (match) => t(match.probability >= POSSIBLE ? "sure.maybe" : "sure.low");

/** Why, on tap: both pictures with what made them match, and the evidence in sentences. */
function why(app, { answer, photo }) {
  const [best] = answer.matches;
  const code = coded(answer);
  const waiting = h("p", { class: "quiet waiting" }, t("why.working"));
  dialog(t("why.title"), t("close"), h("div", { class: "why" }, waiting, h("ul", { class: "why-list" },
    h("li", {}, t("why.chance", { n: Math.round(100 * best.probability) })),
    code && h("li", {}, t("why.barcode", { code: code.text })),
    h("li", {}, best.points ? t("why.points", { n: best.points }) : t("why.noprint")))));
  api.ask("POST", "explain", { body: photo, query: { words: false } }).then((blob) => {
    const address = URL.createObjectURL(blob);
    waiting.replaceWith(h("figure", {}, h("img", { src: address, alt: t("why.picture"), onload: () => URL.revokeObjectURL(address) }),
      h("figcaption", { class: "quiet" }, t("why.rest"))));
  }).catch(() => { waiting.textContent = t("why.none"); });
}

/** A person says which one it is; the device may learn their taste of it, where that is switched on. */
function picked(app, { answer }, match) {
  const shown = answer.matches.map(({ sku }) => sku);
  api.post("feedback", { shown, sku: match.sku, picked: true }).catch(() => {});
  app.go("product", { sku: match.sku, match });
}

/** Customers go on in words; staff teach it. */
function none(app, { answer, photo }) {
  if (app.isStaff && app.health.can_teach) return app.go("teach", { photo, answer });
  app.lost = { photo, answer };
  return app.go("words", { lost: true });
}

function heading(kind, words, said = null) {
  const drawing = { match: "check", ambiguous: "ask", unknown: "search" }[kind];
  return h("div", { class: `verdict ${kind}` }, h("span", { class: "verdict-sign" }, icon(drawing)),
    h("div", {}, h("h1", {}, words), said && h("p", {}, said)));
}

const CONTENT = {
  match(app, found) {
    const [best, ...others] = found.answer.matches;
    const near = others.filter((match) => match.probability >= 0.02).slice(0, 3);
    return [heading("match", t("answer.match"), sure(found.answer)), large(best),
      h("div", { class: "row" }, button("", "bulb", t("answer.why"), () => why(app, found)),
        button("", "close", t("answer.not"), () => none(app, found))),
      near.length > 0 && h("section", {}, h("h2", {}, t("answer.or")), h("ul", { class: "tiles" },
        near.map((match) => small(match, () => picked(app, found, match), maybe(match))))),
      alike(app, best)];
  },
  ambiguous(app, found) {
    const { answer } = found;
    const several = answer.matches.slice(0, 4);
    return [heading("ambiguous", t("answer.ambiguous"), answer.conflict ? t("answer.conflict") : t("answer.ambiguous.help")),
      h("ul", { class: "tiles choices" }, several.map((match) => small(match, () => picked(app, found, match), maybe(match)))),
      h("div", { class: "row" }, button("", "bulb", t("answer.why"), () => why(app, found)),
        button("", "close", t("answer.none"), () => none(app, found)))];
  },
  unknown(app, found) {
    const { answer } = found;
    const guessed = Object.values(answer.guesses ?? {}).map(({ value }) => value).join(", ");
    return [heading("unknown", t("answer.unknown"), answer.flaw ? t(`flaw.${answer.flaw}`) : t("answer.unknown.help")),
      guessed && h("p", { class: "lead" }, t("answer.guess", { what: guessed })),
      h("div", { class: "row" }, button("primary", app.isStaff && app.health.can_teach ? "teach" : "search",
        t(app.isStaff && app.health.can_teach ? "words.staff" : "words.title"), () => none(app, found))),
      answer.matches.length > 0 && h("section", {}, h("h2", {}, t("answer.nearest")), h("ul", { class: "tiles" },
        answer.matches.slice(0, 4).map((match) => small(match, () => picked(app, found, match), maybe(match)))))];
  },
};

export function answer(app) {
  const found = app.answered;
  if (!found) return null;
  const { decision, matches, known, flaw } = found.answer;
  const likely = decision === "unknown" && known >= LIKELY && !flaw;
  const kind = likely ? "ambiguous" : matches.length ? decision : "unknown";
  const element = h("section", { class: "answer" },
    h("div", { class: "answer-body" }, CONTENT[kind](app, found)),
    h("div", { class: "answer-foot" }, button("primary wide", "next", t("answer.again"), () => app.go("find", {}, true))));
  // At a kiosk the next product is simply shown; in a hand the camera rests until "Next product" is pressed.
  const watcher = pref("kiosk") ? new Watcher(app, () => {}, () => next()) : null;
  let looking = false;
  async function next() {
    if (looking) return;
    looking = true;
    watcher.decide();
    await app.look(await app.camera.photo(1024), { quietly: true, replace: true })
      .catch((error) => app.failed(error)).finally(() => { looking = false; });
  }
  return {
    element, layout: "split",
    enter() {
      app.stage.freeze(found.photo, kind === "match" ? matches[0].outline : []);
      const [best] = matches;
      app.say(kind === "match" ? `${t("answer.match")}: ${best.name}. ${sure(found.answer)}` : t(`answer.${kind}`));
      if (!watcher) return;
      watcher.start();
      app.watcher = watcher;
      setTimeout(() => watcher.decide(), 300);
    },
    leave() {
      watcher?.stop();
      app.watcher = null;
      app.stage.thaw();
    },
  };
}
