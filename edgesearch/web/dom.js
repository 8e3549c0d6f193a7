// Elements, and nothing else: views are made of `h`, icons of the sprite in index.html.

const PROPERTIES = new Set(["value", "checked", "disabled", "hidden", "muted", "htmlFor", "textContent"]);

/** Make an element. given: listeners by "on...", properties, attributes (null and false are left out). */
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

/** One of the drawings in index.html; it says nothing to a screen reader, the words beside it do. */
export function icon(name) {
  const drawing = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  drawing.setAttribute("class", "icon");
  drawing.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#i-${name}`);
  drawing.append(use);
  return drawing;
}

/** A button with an icon before its words. */
export function button(kind, drawing, words, onclick, given = {}) {
  return h("button", { type: "button", class: `button ${kind}`, onclick, ...given },
    drawing && icon(drawing), h("span", {}, words));
}

/** A round button whose words are for screen readers, and a hint on hovering. */
export function round(kind, drawing, words, onclick, given = {}) {
  return h("button", { type: "button", class: `round ${kind}`, "aria-label": words, title: words, onclick, ...given },
    icon(drawing));
}

/** A field with its label above it. */
export function field(label, input, hint = null) {
  if (!input.id) input.id = `f${++fields}`;
  return h("div", { class: "field" }, h("label", { htmlFor: input.id }, label), input,
    hint && h("small", { class: "quiet" }, hint));
}

let fields = 0;

/** Open a native dialog: it holds the focus, closes with Escape, and is gone afterwards. */
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
