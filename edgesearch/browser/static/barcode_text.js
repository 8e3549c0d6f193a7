// Read barcodes as scanners send them, and compare them in any spelling; see `barcode_text.py` and `barcode.py`.

const LENGTHS = [8, 12, 13, 14]; // digits of a GTIN
const LONGEST = 14;
const MAX_CHARACTERS = 2000;
const GROUP = "\x1d"; // FNC1 between elements
const GROUP_NAMES = /\u241d|\u29d8|<GS>|\{GS\}|\[GS\]|<FNC1>|\{FNC1\}|\^\]/gi;
const QUOTES = "'\u2018\u2019\u02bc`\"\u201c\u201d";
const LABEL = /^(?:EAN|GTIN|UPC|ISBN|JAN|Barcode)(?:[ -]?(?:8|10|12|13|14|A|E)(?=[\s:#]))?\s*[:#]?\s*(?=[\dX' -]+$)/i;
/** Application identifiers of a fixed length: their first two digits and the length of the value with them. @type {Record<string, number>} */
const FIXED = { "00": 20, "01": 16, "02": 16, "03": 16, "04": 18, 20: 4, 41: 16 };
for (let number = 11; number < 20; number++) FIXED[number] = 8;
for (let number = 31; number < 37; number++) FIXED[number] = 10;

const withoutSeparators = (/** @type {string} */ text) => text.replace(/[ -]/g, "");

/** Return a GTIN padded to 14 digits, or null if the text is none or has a wrong check digit. @param {string} text */
export function parseGtin(text) {
  const digits = withoutSeparators(text);
  if (!/^[0-9]{7,14}$/.test(digits) || !Number(digits)) return null;
  const padded = digits.padStart(LONGEST, "0");
  const weighted = [...padded].reduce((sum, digit, position) => sum + Number(digit) * (position % 2 ? 1 : 3), 0);
  return weighted % 10 ? null : padded;
}

/** Return all spellings of a code in a catalogue: the text itself, and a GTIN with any number of leading zeros. @param {string} text */
function equivalentCodes(text) {
  const least = parseGtin(text)?.replace(/^0+/, "") ?? text;
  const longer = Array.from({ length: Math.max(0, LENGTHS[3] + 1 - least.length) }, (_, i) => least.padStart(least.length + i, "0"));
  return new Set([withoutSeparators(text), ...longer]);
}

/** Split a catalogue cell into a product's codes. @param {string | null} cell */
export const splitCodes = (cell) => (cell ?? "").split(";").map(withoutSeparators).filter(Boolean);

/** Yield the spellings of a scanned or typed code in catalogues, the surest reading first. @param {string} scanned @returns {Generator<Set<string>>} */
export function* findReadings(scanned) {
  const text = normalize(scanned.slice(0, MAX_CHARACTERS));
  const code = text.replace(/^\][A-Za-z][0-9A-Za-z]/, "");
  const gtin = findGtin(code);
  yield new Set([...equivalentCodes(text), ...equivalentCodes(clean(code))]);
  if (gtin) yield equivalentCodes(gtin);
  for (const pattern of [/^[A-Za-z]{1,2}([0-9]{8,14})$/, /^(?:([0-9]{13})[ +.-]?(?:[0-9]{2}|[0-9]{5})|([0-9]{12})(?:[ +.-][0-9]{2}|[ +.-]?[0-9]{5}))$/]) {
    const number = pattern.exec(code)?.slice(1).find(Boolean) ?? "";
    if (parseGtin(number)) yield equivalentCodes(number);
  }
  const known = parseGtin(gtin || clean(code));
  const plain = withoutSeparators(clean(code));
  const expanded = expandUpcE(plain) || expandIsbn(plain) || expandShortUpcE(plain);
  if (expanded) yield equivalentCodes(expanded);
  const short = known ? shortenToUpcE(known) : "";
  if (short) yield new Set([short, short.replace(/^0+/, "")]);
  if (known && /^[1-8]/.test(known)) yield equivalentCodes(withCheckDigit(known.slice(1, 13)));
}

/** Return the GTIN, 14 digits, in a GS1 element string or Digital Link; "" if there is none. @param {string} given */
function findGtin(given) {
  const text = given.replace(GROUP_NAMES, GROUP);
  const elements = text.includes("://") ? readLink(text) : text.startsWith("(") ? readParentheses(text) : readElements(text);
  for (const [identifier, value] of elements) {
    const number = value.replaceAll(GROUP, " ").trim();
    if (["01", "02", "gtin"].includes(identifier) && /^[0-9]{8,14}$/.test(number)) return parseGtin(number) ?? "";
  }
  return "";
}

/** @param {string} text @returns {string[][]} */
const readParentheses = (text) => [...text.matchAll(/\((\d{2,4})\)([^(]*)/g)].map(([, identifier, value]) => [identifier, value]);

/** Return identifier and value of each element of a string without parentheses. @param {string} given */
function readElements(given) {
  const found = [];
  for (let text = given.replace(/^\x1d+|\x1d+$/g, ""); text.length > 2;) {
    const identifier = text.slice(0, 2);
    const length = FIXED[identifier];
    if (length) found.push([identifier, text.slice(2, length)]);
    text = length ? text.slice(length).replace(/^\x1d+/, "") : text.includes(GROUP) ? text.slice(text.indexOf(GROUP) + 1) : "";
  }
  return found;
}

/** @param {string} text @returns {string[][]} */
function readLink(text) {
  try {
    const parts = new URL(text).pathname.split("/").filter(Boolean).map(decodeURIComponent);
    return parts.slice(1).map((part, i) => [parts[i], part]);
  } catch {
    return [];
  }
}

/** Return the UPC-A of a UPC-E of 8 digits; "" for any other code. @param {string} code */
function expandUpcE(code) {
  if (!/^[01][0-9]{7}$/.test(code)) return "";
  const [body, last] = [code.slice(1, 7), code[6]];
  let digits = `${body.slice(0, 5)}0000${last}`;
  if ("012".includes(last)) digits = `${body.slice(0, 2)}${last}0000${body.slice(2, 5)}`;
  else if (last === "3") digits = `${body.slice(0, 3)}00000${body.slice(3, 5)}`;
  else if (last === "4") digits = `${body.slice(0, 4)}00000${body[4]}`;
  const whole = `${code[0]}${digits}${code[7]}`;
  return parseGtin(whole) ? whole : "";
}

/** Return the UPC-A of a UPC-E that lost its first zero, or both number system and check digit. @param {string} code */
function expandShortUpcE(code) {
  if (/^[0-9]{7}$/.test(code)) return expandUpcE(`0${code}`);
  if (!/^[0-9]{6}$/.test(code)) return "";
  return Array.from({ length: 10 }, (_, digit) => expandUpcE(`0${code}${digit}`)).find(Boolean) ?? "";
}

/** Return the UPC-E that stands for a GTIN of 14 digits; "" if there is none. @param {string} gtin */
function shortenToUpcE(gtin) {
  if (!/^00[01][0-9]{11}$/.test(gtin)) return "";
  const upc = gtin.slice(2);
  const [maker, item] = [upc.slice(1, 6), upc.slice(6, 11)];
  const bodies = [maker.slice(0, 2) + item.slice(2) + maker[2], `${maker.slice(0, 3)}${item.slice(3)}3`, `${maker.slice(0, 4)}${item[4]}4`, maker + item[4]];
  return bodies.map((body) => upc[0] + body + upc[11]).find((code) => expandUpcE(code) === upc) ?? "";
}

/** Return the EAN-13 of an ISBN-10; "" for any other code. @param {string} code */
function expandIsbn(code) {
  if (!/^[0-9]{9}[0-9Xx]$/.test(code)) return "";
  const sum = [...code].reduce((total, sign, i) => total + (/[Xx]/.test(sign) ? 10 : Number(sign)) * (10 - i), 0);
  return sum % 11 ? "" : withCheckDigit(`978${code.slice(0, 9)}`);
}

/** Return the digits of a GTIN with its check digit. @param {string} digits */
function withCheckDigit(digits) {
  const weighted = [...digits].reverse().reduce((sum, digit, position) => sum + Number(digit) * (position % 2 ? 1 : 3), 0);
  return digits + ((10 - (weighted % 10)) % 10);
}

/** Return a text with signs of usual width, and without those that are not visible. @param {string} text */
const normalize = (text) => text.replace(/\p{Cf}/gu, "").normalize("NFKC").trim();

/** @param {string} code */
function clean(code) {
  const strip = (/** @type {string} */ text, /** @type {string} */ signs) => {
    let [first, last] = [0, text.length];
    while (first < last && signs.includes(text[first])) first += 1;
    while (last > first && signs.includes(text[last - 1])) last -= 1;
    return text.slice(first, last);
  };
  const plain = strip(strip(code.trim(), QUOTES).trim().replace(LABEL, ""), `${QUOTES} `);
  return /^(\d+)[.,]0+$/.exec(plain)?.[1] ?? plain;
}
