// Walks a screen through languages, themes and text sizes: runs in the page. Returns [[code, theme, size, problem], ...].
// given: {words: {code: texts}, themes, sizes}; "en" is among the texts, and is the language of the screen.

({ words, themes, sizes }) => {
  /** Put the words of a language in place of the English ones; parts between " · " are texts of their own. */
  function speak(code) {
    const translate = (part) => {
      for (const [key, pattern, names] of rules) {
        const found = part.match(pattern);
        const text = found && (words[code][key] ?? words[code][key.replace(/\.\w+$/, ".other")]);
        if (text) return names.reduce((made, name, at) => made.replaceAll(`{${name}}`, found[at + 1]), text);
      }
      return part;
    };
    for (const [node, text] of window.texts) node.data = code === "en" ? text : text.split(/( · |: )/).map(translate).join("");
    const { script } = new Intl.Locale(code).maximize();
    Object.assign(document.documentElement, { lang: code, dir: /Arab|Hebr/.test(script) ? "rtl" : "ltr" });
  }

  /** Return a line for each control that cannot be seen, reached or pressed, and for each text that is cut off. */
  function findProblems() {
    const found = new Set();
    const root = [...document.querySelectorAll("dialog[open]")].at(-1) ?? (cover.hidden ? document.body : cover);
    const name = (one) => `${one.tagName.toLowerCase()}${one.className && typeof one.className === "string" ? `.${one.className.trim().replace(/\s+/g, ".")}` : ""} "${(one.ariaLabel || one.textContent || one.placeholder || "").trim().slice(0, 30)}"`;
    const box = (one) => one.getBoundingClientRect();
    const isSeen = (one) => one.checkVisibility({ visibilityProperty: true }) && !one.closest("[inert], .quiet-visually, .skip, [aria-hidden=true]") && box(one).width > 2;
    const beyond = (inner, outer) => Math.max(inner.right - outer.right, outer.left - inner.left, inner.bottom - outer.bottom, outer.top - inner.top);
    const across = (inner, outer) => Math.max(inner.right - outer.right, outer.left - inner.left);
    const note = (one, what) => found.add(`${name(one)} ${what}`);

    for (const one of [document.documentElement, view, cover, root]) {
      if (one.scrollWidth > one.clientWidth + 1 && isSeen(one)) note(one, `scrolls sideways by ${one.scrollWidth - one.clientWidth} px`);
    }

    /** Note what no scrolling shows: outside the display, cut off, or before the beginning of what scrolls. */
    function reach(one) {
      let now = box(one);
      for (let outer = one.parentElement; outer; outer = outer.parentElement) {
        const { overflowX, overflowY, position } = getComputedStyle(outer);
        if (overflowX === "visible" && overflowY === "visible") { if (position === "fixed") break; continue; }
        if (outer === document.body) break;
        const frame = box(outer);
        if (across(now, frame) > 1) return note(one, `is cut off sideways by ${Math.round(across(now, frame))} px`);
        const scrolls = overflowY === "auto" || overflowY === "scroll";
        if (!scrolls && beyond(now, frame) > 1) return note(one, `is cut off by ${Math.round(beyond(now, frame))} px`);
        const before = frame.top - outer.scrollTop - now.top;
        if (scrolls && before > 1) return note(one, `begins ${Math.round(before)} px before what can be scrolled to`);
        if (scrolls) now = frame;
        if (getComputedStyle(outer).position === "fixed") break;
      }
      const out = beyond(now, { left: 0, top: 0, right: innerWidth, bottom: innerHeight });
      return out > 1 ? note(one, `is outside the display by ${Math.round(out)} px`) : undefined;
    }

    const controls = [...root.querySelectorAll("button, a[href], input:not([type=file]), select, summary")].filter(isSeen);
    const texts = [...root.querySelectorAll("h1, h2, p, dt, dd, legend, .tile-name, .act > span")].filter((one) => isSeen(one) && one.textContent.trim());
    for (const one of [...controls, ...texts]) reach(one);
    for (const one of controls) {
      for (const part of one.querySelectorAll("span, i, svg, img, b")) if (isSeen(part) && beyond(box(part), box(one)) > 2) note(one, `does not hold its content by ${Math.round(beyond(box(part), box(one)))} px`);
      if (one.disabled) continue;
      one.blur();
      one.focus(); // scrolls only to what did not have it
      const { left, right, top, bottom } = box(one);
      const at = document.elementFromPoint((left + right) / 2, (Math.max(top, 0) + Math.min(bottom, innerHeight)) / 2);
      if (!at || !(one.contains(at) || at.contains(one) && at.matches("label, .chip"))) note(one, `is covered by ${at ? name(at) : "nothing"} when it has the focus`);
    }
    if (!controls.some((one) => one.matches("button, a, summary") && !one.disabled)) found.add("there is no way on");
    return [...found];
  }

  if (!window.texts) { // as the screen was opened
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    window.texts = [];
    while (walker.nextNode()) if (walker.currentNode.data.trim()) window.texts.push([walker.currentNode, walker.currentNode.data]);
  }
  const escape = (part) => part.replace(/[^\w\s]/g, "\\$&");
  const rules = Object.entries(words.en).map(([key, text]) =>
    [key, new RegExp(`^${text.split(/\{\w+\}/).map(escape).join("(.+?)")}$`, "s"), [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)]);
  const problems = [];
  for (const code of Object.keys(words)) {
    speak(code);
    for (const text of sizes) {
      for (const theme of themes) {
        Object.assign(document.documentElement.dataset, { theme, text });
        problems.push(...findProblems().map((problem) => [code, theme, text, problem]));
      }
    }
  }
  return problems;
}
