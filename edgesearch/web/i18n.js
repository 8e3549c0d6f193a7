// Texts and numbers of a language: one JSON file per language, and English for whatever it lacks.

const RIGHT_TO_LEFT = /Adlm|Arab|Hebr|Nkoo|Rohg|Syrc|Thaa/; // scripts
const files = new Map();
let fallback = {};
let words = {};
let language = "en";
let plural = new Intl.PluralRules("en");

/** Languages of this page by their own names, as the server lists them. */
export const LANGUAGES = {};

/** Add languages by their codes, which name their files. */
export function addLanguages(codes) {
  for (const code of codes) {
    const name = new Intl.DisplayNames([code], { type: "language" }).of(code);
    LANGUAGES[code] = name[0].toLocaleUpperCase(code) + name.slice(1);
  }
}

/** Switch to the wanted language, else to one of the browser's, else to English; throws if no file can be read. */
export async function chooseLanguage(wanted) {
  const own = canonical(wanted);
  for (const code of new Set([own, ...[own, ...navigator.languages, "en"].map((one) => one?.split("-")[0])])) {
    if (code && await loadLanguage(code).then(() => true, () => false)) return;
  }
  throw new Error("no language can be read");
}

const canonical = (code) => {
  try {
    return Intl.getCanonicalLocales(code)[0];
  } catch {
    return undefined; // none is wanted, or it is not a language's code
  }
};

/** Switch to a language; throws if its file cannot be read. */
export async function loadLanguage(code) {
  [fallback, words] = await Promise.all([file("en").catch(() => fallback), file(code)]);
  language = code;
  plural = new Intl.PluralRules(code);
  document.documentElement.lang = code;
  document.documentElement.dir = RIGHT_TO_LEFT.test(new Intl.Locale(code).maximize().script) ? "rtl" : "ltr";
}

async function file(code) {
  if (!files.has(code)) files.set(code, fetchFile(code).catch((error) => { files.delete(code); throw error; }));
  return files.get(code);
}

const pathOf = (code) => `i18n/${code}.json`;

async function fetchFile(code) {
  const response = await fetch(pathOf(code));
  if (!response.ok) throw new Error(`${pathOf(code)}: ${response.status}`);
  return response.json();
}

/** Return the path of the language's file. */
export const wordsFile = () => pathOf(language);

/** Return the code of the language in use. */
export const currentLanguage = () => language;

/** Return the text of a key, {name} filled in; with a number n, its plural form such as "key.one". */
export function t(key, given = {}) {
  const exact = "n" in given ? `${key}.${plural.select(given.n)}` : key;
  const text = words[exact] ?? words[key] ?? words[`${key}.other`] ?? fallback[exact] ?? fallback[key]
    ?? fallback[`${key}.other`] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => filling(given[name] ?? whole));
}

function filling(value) {
  if (typeof value === "number") return number(value);
  return document.documentElement.dir === "rtl" ? `\u2068${value}\u2069` : value; // a name keeps its own direction
}

/** Format a number; options: as of Intl.NumberFormat. */
export const number = (value, options = {}) => new Intl.NumberFormat(language, options).format(value);

/** Format an amount of money; "" for none. */
export function money(amount, currency) {
  if (amount === null || amount === undefined) return "";
  try {
    return number(amount, { style: "currency", currency });
  } catch { // the currency is not a code of three letters
    return `${number(amount, { minimumFractionDigits: 2 })} ${currency ?? ""}`.trim();
  }
}
