// What this device remembers of how the page is to be; nothing of what was shown or asked.

const KEY = "edgesearch";
const asked = new URLSearchParams(location.search);

function read() {
  try {
    return JSON.parse(localStorage.getItem(KEY)) ?? {};
  } catch {
    return {}; // storage may be forbidden: then nothing is remembered
  }
}

const DEFAULTS = { lang: null, theme: "auto", text: "normal", sound: true, kiosk: 0, rest: 120, camera: null, count: null };
const values = { ...DEFAULTS, ...read() };
if (asked.has("lang")) values.lang = asked.get("lang");
if (asked.has("theme")) values.theme = asked.get("theme");
if (asked.has("kiosk")) values.kiosk = Math.min(3600, Number(asked.get("kiosk")) || 60); // seconds; ?kiosk alone: 60
if (asked.has("rest")) values.rest = Math.max(5, Number(asked.get("rest")) || 120); // seconds until the camera rests

/** A preference by its name. */
export const pref = (name) => values[name];

/** Change one, and keep it. */
export function prefer(name, value) {
  values[name] = value;
  try {
    localStorage.setItem(KEY, JSON.stringify(values));
  } catch { /* as above */ }
  dress();
}

/** Theme and size of the letters, where the style sheet looks for them. */
export function dress() {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = values.theme === "auto" ? (dark ? "dark" : "bright") : values.theme;
  root.dataset.text = values.text;
  const colour = root.dataset.theme === "dark" ? "#0d1412" : "#ffffff";
  document.querySelector('meta[name="theme-color"]').content = colour;
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", dress);
dress();
