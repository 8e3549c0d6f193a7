// Read barcodes in photos, where the browser can.

/** @type {Record<string, string>} */
const FORMATS = { ean_13: "EAN-13", ean_8: "EAN-8", upc_a: "UPC-A", upc_e: "UPC-E", code_128: "Code 128" };

/** @type {Promise<any> | null} */
let opening = null;

async function open() {
  const Detector = /** @type {any} */ (globalThis).BarcodeDetector;
  const supported = await Detector?.getSupportedFormats() ?? [];
  const formats = Object.keys(FORMATS).filter((format) => supported.includes(format));
  return formats.length ? new Detector({ formats }) : null;
}

/** Return whether the browser reads barcodes. */
export async function canRead() {
  opening ??= open().catch(() => null);
  return await opening !== null;
}

/** Return the barcodes in a photo, from the top, without duplicates; none where the browser reads none. @param {Blob} photo @returns {Promise<import("./barcode_labels.js").Barcode[]>} */
export async function readBarcodes(photo) {
  if (!await canRead()) return [];
  const detector = await opening;
  const bitmap = await createImageBitmap(photo, { imageOrientation: "from-image" });
  /** @type {{rawValue: string, format: string, boundingBox: {x: number, y: number}}[]} */
  const found = await detector.detect(bitmap).catch(() => []); // a reader that the system lacks finds none
  bitmap.close();
  found.sort((a, b) => a.boundingBox.y - b.boundingBox.y || a.boundingBox.x - b.boundingBox.x);
  const codes = new Map(found.map(({ rawValue, format }) => [`${format} ${rawValue}`, { text: rawValue, format: FORMATS[format] ?? format }]));
  return [...codes.values()];
}
