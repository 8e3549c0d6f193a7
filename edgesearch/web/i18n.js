// Words: one JSON file a language, English for whatever a file lacks.

const fallback = {};
const words = {};
let language = "en";
let plural = new Intl.PluralRules("en");

/** Languages of this page by their own names; the server's list is taken over where it gives one. */
export const LANGUAGES = { en: "English", zh: "中文" };

/** The first language that is wanted and there. */
export function choose(wanted) {
  const codes = [wanted, ...navigator.languages].filter(Boolean).map((code) => code.toLowerCase().split("-")[0]);
  return codes.find((code) => code in LANGUAGES) ?? "en";
}

/** Take a language; raises where its file cannot be had. */
export async function speak(code) {
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

/** The language that is spoken. */
export const spoken = () => language;

/** Words for a key; {name} is filled in; with a count n, "key.one" or as the language has it comes before "key". */
export function t(key, given = {}) {
  const exact = "n" in given ? `${key}.${plural.select(given.n)}` : key;
  const text = words[exact] ?? words[key] ?? words[`${key}.other`] ?? fallback[exact] ?? fallback[key]
    ?? fallback[`${key}.other`] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => given[name] ?? whole);
}

/** Is there such a key? */
export const has = (key) => key in words || key in fallback;

/** An amount of money as it is written here; "" where there is none. */
export function money(amount, currency) {
  if (amount === null || amount === undefined) return "";
  try {
    return new Intl.NumberFormat(language, { style: "currency", currency }).format(amount);
  } catch { // a currency that is no code of three letters
    return `${new Intl.NumberFormat(language, { minimumFractionDigits: 2 }).format(amount)} ${currency ?? ""}`.trim();
  }
}
