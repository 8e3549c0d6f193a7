// Settings of the page on this device; they contain nothing about photos or searches.

const KEY = "edgesearch";
const query = new URLSearchParams(location.search);

function read() {
  try {
    return JSON.parse(localStorage.getItem(KEY)) ?? {};
  } catch {
    return {}; // storage may be forbidden; then settings last until a reload
  }
}

const DEFAULTS = { lang: null, theme: "auto", text: "normal", sound: true, kiosk: 0, rest: 120, camera: null };
const values = { ...DEFAULTS, ...read() };
if (query.has("lang")) values.lang = query.get("lang");
if (query.has("theme")) values.theme = query.get("theme");
if (query.has("kiosk")) values.kiosk = Math.min(3600, Number(query.get("kiosk")) || 60); // seconds; ?kiosk alone: 60
if (query.has("rest")) values.rest = Math.max(5, Number(query.get("rest")) || 120); // seconds until the camera rests

/** Return a setting. */
export const pref = (name) => values[name];

/** Change a setting and store it. */
export function setPref(name, value) {
  values[name] = value;
  try {
    localStorage.setItem(KEY, JSON.stringify(values));
  } catch { /* as above */ }
  applyTheme();
}

/** Set the theme and text size that the style sheet reads. */
export function applyTheme() {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = values.theme === "auto" ? (dark ? "dark" : "bright") : values.theme;
  root.dataset.text = values.text;
  const colour = root.dataset.theme === "dark" ? "#0d1412" : "#ffffff";
  document.querySelector('meta[name="theme-color"]').content = colour;
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", applyTheme);
applyTheme();
