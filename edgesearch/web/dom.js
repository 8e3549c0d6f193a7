// Elements: views use `h`, icons come from the sprite in index.html.

const PROPERTIES = new Set(["value", "checked", "disabled", "hidden", "muted", "htmlFor", "textContent"]);

/** Make an element. given: "on..." listeners, properties, attributes (null and false are skipped). */
export function h(tag, given = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (PROPERTIES.has(name)) element[name] = value;
    else if (value !== null && value !== undefined && value !== false) {
      element.setAttribute(name, value === true ? "" : value);
    }
  }
  element.append(...children.flat(2).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Return a drawing of index.html, hidden from screen readers, which read the words beside it. */
export function icon(name) {
  const drawing = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  drawing.setAttribute("class", "icon");
  drawing.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#i-${name}`);
  drawing.append(use);
  return drawing;
}

/** Return a button with an icon before its words. */
export function button(kind, drawing, words, onclick, given = {}) {
  return h("button", { type: "button", class: `button ${kind}`, onclick, ...given },
    drawing && icon(drawing), h("span", {}, words));
}

/** Return a round button; its words are for screen readers and the tooltip. */
export function round(kind, drawing, words, onclick, given = {}) {
  return h("button", { type: "button", class: `round ${kind}`, "aria-label": words, title: words, onclick, ...given },
    icon(drawing));
}

/** Drop the focus after a tap, so that a handheld's trigger does not press the same button again. */
export const dropFocus = (event) => { if (event.detail) document.activeElement.blur(); };

/** Return an input with its label above it. */
export function field(label, input, hint = null) {
  if (!input.id) input.id = `f${++fields}`;
  return h("div", { class: "field" }, h("label", { htmlFor: input.id }, label), input,
    hint && h("small", { class: "quiet" }, hint));
}

let fields = 0;

/** Open a native dialog, which traps the focus, closes with Escape and then removes itself. */
export function dialog(title, close, ...children) {
  const id = `d${++fields}`;
  const element = h("dialog", { class: "dialog", "aria-labelledby": id },
    h("div", { class: "dialog-head" }, h("h2", { id }, title), round("plain", "close", close, () => element.close())),
    ...children);
  element.addEventListener("close", () => element.remove());
  element.addEventListener("click", (event) => { if (event.target === element) element.close(); });
  document.body.append(element);
  element.showModal();
  return element;
}
