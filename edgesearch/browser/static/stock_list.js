// Write the stock list of a count, as a CSV file; see `stock_lists.py`.

const COLUMNS = ["sku", "name", "counted", "location", "stock", "difference", "photos"];
const MARK = "\ufeff"; // without it, spreadsheets read UTF-8 as another encoding
const FORMULA = /(^|[;\r\n])(?='*[=+\-@\t\r])/g; // a spreadsheet takes such a cell for one, and may split cells at semicolons
const NUMBER = /^[+-]?\d+([.,]\d+)?$/;

/**
 * Return the list, sorted by SKU.
 * @param {import("./photo_count.js").Entry[]} counted
 * @param {(sku: string) => {name: string, location?: string | null, stock?: number | null} | null} findProduct
 */
export function formatStock(counted, findProduct) {
  /** @type {Map<string, import("./photo_count.js").Entry[]>} */
  const bySku = new Map();
  for (const entry of counted) bySku.set(entry.sku, [...bySku.get(entry.sku) ?? [], entry]);
  const rows = [...bySku].sort(([a], [b]) => (a < b ? -1 : 1)).map(([sku, entries]) => {
    const { name, location, stock = null } = findProduct(sku) ?? /** @type {{name: string, location?: null, stock?: null}} */ (entries[0]);
    const pieces = entries.reduce((sum, { times }) => sum + times, 0);
    const photos = entries.map(({ photo }) => photo).filter(Boolean).sort().join(";");
    return [sku, name, pieces, location, stock, stock === null ? null : pieces - stock, photos];
  });
  return MARK + [COLUMNS, ...rows].map((row) => `${row.map(writeCell).join(",")}\n`).join("");
}

/** @param {string | number | null | undefined} cell */
function writeCell(cell) {
  const text = typeof cell === "string" && !NUMBER.test(cell) ? cell.replace(FORMULA, "$1'") : String(cell ?? "");
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
