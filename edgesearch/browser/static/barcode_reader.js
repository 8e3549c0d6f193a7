// Read barcodes in photos by zxing-cpp, as `barcode.py` does; its WebAssembly is loaded with the first photo that may show one.

export const SIDE = 720; // px; photos are decoded with at least this shorter side
/** @type {Record<string, string>} */
const FORMATS = { EAN13: "EAN-13", EAN8: "EAN-8", UPCA: "UPC-A", UPCE: "UPC-E", Code128: "Code 128" };
const RUNTIME = new URL("runtime/", import.meta.url).href;

/** @type {Promise<any> | null} */
let opening = null;

async function open() {
  const [library, response] = await Promise.all([import(`${RUNTIME}zxing/reader/index.js`), fetch(`${RUNTIME}zxing_reader.wasm`)]);
  library.prepareZXingModule({ overrides: { wasmBinary: await response.arrayBuffer() } });
  return library;
}

/**
 * Return the barcodes in a picture, from the top, without duplicates.
 * @param {import("./pictures.js").Picture} picture
 * @returns {Promise<import("./barcode_labels.js").Barcode[]>}
 */
export async function readBarcodes(picture) {
  opening ??= open().catch((error) => {
    opening = null; // the next photo tries again
    throw error;
  });
  const { readBarcodes: read } = await opening;
  /** @type {{text: string, format: string, position: {topLeft: {x: number, y: number}}}[]} */
  const found = await read(redOf(picture), { formats: Object.keys(FORMATS), tryInvert: false });
  found.sort(({ position: { topLeft: a } }, { position: { topLeft: b } }) => a.y - b.y || a.x - b.x);
  const codes = new Map(found.map(({ text, format }) => [`${format} ${text}`, { text, format: FORMATS[format] ?? format }]));
  return [...codes.values()];
}

/** Return the red channel in grey: barcodes are printed for scanners with red light. @param {import("./pictures.js").Picture} picture */
function redOf({ width, height, pixels }) {
  const image = new ImageData(width, height);
  for (let from = 0, to = 0; from < pixels.length; from += 3, to += 4) image.data.fill(pixels[from], to, to + 3);
  for (let at = 3; at < image.data.length; at += 4) image.data[at] = 255;
  return image;
}
