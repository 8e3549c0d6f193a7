// Buttons for light and zoom, where the camera has them.

import { h, round } from "./dom.js";
import { t } from "./i18n.js";

const ZOOMS = [1, 2, 4]; // times the least

/** Return the buttons of what the camera can do: none, one or two. */
export function lensButtons(camera) {
  const { torch, zoom } = camera.abilities;
  return [torch && torchButton(camera), zoom && zoom.max >= ZOOMS[1] * zoom.min && zoomButton(camera, zoom)].filter(Boolean);
}

function torchButton(camera) {
  const show = () => element.setAttribute("aria-pressed", Boolean(camera.settings.torch));
  const element = round("", "bulb", t("find.torch"), () => camera.set({ torch: !camera.settings.torch }).then(show));
  show();
  return element;
}

function zoomButton(camera, { min, max }) {
  const steps = ZOOMS.filter((times) => times * min <= max);
  const current = () => steps.findLast((times) => times * min <= camera.settings.zoom) ?? 1;
  const show = () => {
    element.textContent = `${current()}×`;
    element.setAttribute("aria-label", `${t("find.zoom")} ${current()}×`);
  };
  const element = h("button", { type: "button", class: "round", title: t("find.zoom"),
    onclick: () => camera.set({ zoom: min * steps[(steps.indexOf(current()) + 1) % steps.length] }).then(show) });
  show();
  return element;
}
