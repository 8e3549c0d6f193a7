// Texts: one JSON file per language, and English for whatever it lacks.

const fallback = {};
const words = {};
let language = "en";
let plural = new Intl.PluralRules("en");

/** Languages of this page by their own names; the app adds those that the server lists. */
export const LANGUAGES = { en: "English", zh: "中文" };

/** Return the first wanted language that exists. */
export function chooseLanguage(wanted) {
  const codes = [wanted, ...navigator.languages].filter(Boolean).map((code) => code.toLowerCase().split("-")[0]);
  return codes.find((code) => code in LANGUAGES) ?? "en";
}

/** Switch to a language; throws if its file cannot be read. */
export async function loadLanguage(code) {
  const [english, own] = await Promise.all(["en", code].map(file));
  for (const [into, from] of [[fallback, english], [words, own]]) {
    for (const key of Object.keys(into)) delete into[key];
    Object.assign(into, from);
  }
  language = code;
  plural = new Intl.PluralRules(code);
  document.documentElement.lang = code === "zh" ? "zh-Hans" : code;
}

const files = new Map();
async function file(code) {
  if (!files.has(code)) {
    const response = await fetch(`i18n/${code}.json`);
    if (!response.ok) throw new Error(`i18n/${code}.json: ${response.status}`);
    files.set(code, await response.json());
  }
  return files.get(code);
}

/** Return the code of the language in use. */
export const currentLanguage = () => language;

/** Return the text of a key, {name} filled in; with a number n, its plural form such as "key.one". */
export function t(key, given = {}) {
  const exact = "n" in given ? `${key}.${plural.select(given.n)}` : key;
  const text = words[exact] ?? words[key] ?? words[`${key}.other`] ?? fallback[exact] ?? fallback[key]
    ?? fallback[`${key}.other`] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => given[name] ?? whole);
}

/** Return whether a key exists. */
export const has = (key) => key in words || key in fallback;

/** Format an amount of money; "" for none. */
export function money(amount, currency) {
  if (amount === null || amount === undefined) return "";
  try {
    return new Intl.NumberFormat(language, { style: "currency", currency }).format(amount);
  } catch { // the currency is not a code of three letters
    return `${new Intl.NumberFormat(language, { minimumFractionDigits: 2 }).format(amount)} ${currency ?? ""}`.trim();
  }
}
