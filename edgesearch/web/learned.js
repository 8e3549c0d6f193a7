// What the device learned from use: how recognition grew, and disagreements that a person settles by a tap.

import * as api from "./api.js";
import { button, h, icon } from "./dom.js";
import { number, t } from "./i18n.js";
import { pictureAt, productTile } from "./product.js";
import { logInFirst } from "./staff.js";

const percent = (share) => number(share, { style: "percent" });

export function learned(app) {
  if (!app.health.can_learn) return null;
  if (!app.isStaff) return logInFirst(app, "learned");
  const measures = !app.health.can_share && (!app.me.needs_pin || app.me.role === "manager"); // as a server does
  const grown = h("p", { class: "lead", role: "status" });
  const cases = h("div", {});
  const { careful } = app;

  const show = careful(async () => {
    const aside = (await api.get("learned")).learned.filter((one) => one.state === "aside").reverse();
    const cards = aside.slice(0, 20).map(async (one) => {
      const settle = careful(async (method, path, sku) => {
        await api.ask(method, path, { query: { number: one.number, sku } });
        await show();
      });
      const skus = [...new Set([one.sku, one.like])].filter(Boolean);
      const found = await Promise.all(skus.map((sku) => api.get(`products/${encodeURIComponent(sku)}`).catch(() => null)));
      return h("article", { class: "settle" },
        pictureAt(`v1/learned/${one.number}/picture`, { alt: t("answer.shown"), onerror: (event) => event.target.replaceWith(icon("box")) }),
        h("ul", { class: "tiles" }, found.filter(Boolean).map(({ product }) => productTile(product, () => settle("POST", "learned/accept", product.sku),
          t(product.sku === one.sku ? "learned.said" : "learned.like")))),
        button("", "erase", t("answer.none"), () => settle("DELETE", "learned")));
    });
    cases.replaceChildren(...(cards.length ? await Promise.all(cards) : [h("p", { class: "quiet" }, t("learned.agree"))]));
  });

  const measure = careful(async () => {
    const { asked, weeks } = await api.get("learned/progress");
    if (!asked) return grown.replaceChildren(t("learned.nothing"));
    return grown.replaceChildren(t("learned.grown", { n: asked, before: percent(weeks[0].first), now: percent(weeks.at(-1).first) }));
  });

  const element = h("section", { class: "page" }, h("h1", {}, t("learned.title")), grown,
    measures && h("div", { class: "row" }, h("a", { class: "button", href: "v1/learned/report", target: "_blank" }, t("learned.report"))),
    h("h2", {}, t("learned.settle")), cases);
  return { element, layout: "page", enter() { show(); if (measures) measure(); } };
}
