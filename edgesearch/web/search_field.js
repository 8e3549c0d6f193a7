// A field that searches while somebody types; a kiosk shows keys under it.

import { h, icon, round } from "./dom.js";
import { t } from "./i18n.js";
import { pref } from "./prefs.js";

const PAUSE_MS = 250; // after a key, until the search
const SHORT = /^[\x20-\x7f]{0,1}$/; // too little to search for, unlike one Chinese character

/** Return {form, input, run}. ask(text): the answer, or null; show(answer): null if nothing was asked. */
export function searchField(app, text, ask, show) {
  const [example] = (app.facets.examples ?? []).map(({ name }) => name).sort((one, other) => one.length - other.length);
  const input = h("input", { type: "search", id: "words", value: text, placeholder: example ? t("words.place", { name: example }) : null,
    enterkeyhint: "search", maxlength: "300", autocomplete: "off", inputmode: pref("kiosk") ? "none" : null,
    oninput: () => { clearTimeout(timer); timer = setTimeout(run, PAUSE_MS); } });
  let timer = 0;
  let asked = 0;

  /** Search now; of several answers only the last one is shown. */
  async function run() {
    clearTimeout(timer);
    const mine = ++asked;
    const typed = input.value.trim();
    try {
      const answer = await ask(SHORT.test(typed) ? "" : typed);
      if (mine === asked && form.isConnected) show(answer);
    } catch (error) {
      if (mine !== asked || !form.isConnected) return;
      if (error.kind === "QueryError") show({ matches: [], message: error.message });
      else app.failed(error);
    }
  }

  const form = h("form", { class: "search", role: "search", onsubmit: (event) => { event.preventDefault(); run(); } },
    h("label", { class: "quiet-visually", htmlFor: "words" }, t("words.label")), input,
    h("button", { type: "submit", class: "round primary", "aria-label": t("words.go") }, icon("search")), pref("kiosk") > 0 && keyboard(input));
  return { form, input, run };
}

/** Return keys that type into a field, in the language's order. */
function keyboard(input) {
  const type = (from, to, text) => {
    input.setRangeText(text, Math.max(0, from), to, "end");
    input.dispatchEvent(new Event("input"));
  };
  const press = (text) => type(input.selectionStart, input.selectionEnd, text);
  const erase = () => type(input.selectionStart - (input.selectionStart === input.selectionEnd), input.selectionEnd, "");
  const key = (text) => h("button", { type: "button", class: "key", onclick: () => press(text) }, text);
  return h("div", { class: "keys", role: "group", "aria-label": t("keys.title"), onpointerdown: (event) => event.preventDefault() }, // the field keeps the focus
    ["1234567890", ...t("keys").split(" ")].map((row) => h("div", {}, [...row].map(key))),
    h("div", {}, h("button", { type: "button", class: "key space", onclick: () => press(" ") }, t("keys.space")), round("key", "erase", t("keys.erase"), erase)));
}
