// Turn pictures upright as their metadata says; as `orientation.py`.

const ORIENTATION = 0x0112; // tag of EXIF 2.3
/** @type {Record<number, number>} */
const BYTES = { 1: 1, 3: 2, 4: 4, 13: 4 }; // of a whole number, by its type
const XMP = /tiff:Orientation(?:="|>)([1-8])/;
const PREFIX = "Exif\0\0";

/** Return the orientation that EXIF or XMP states, 1 to 8; 1, upright, if none does. @param {Uint8Array} exif without its prefix @param {string} xmp */
export function readOrientation(exif, xmp) {
  const again = [...PREFIX].every((letter, i) => exif[i] === letter.charCodeAt(0)); // some programs write it twice
  return readTag(again ? exif.subarray(PREFIX.length) : exif) || Number(XMP.exec(xmp)?.[1] ?? 1);
}

/** @param {Uint8Array} exif */
function readTag(exif) {
  if (exif.length < 8) return 0;
  const view = new DataView(exif.buffer, exif.byteOffset, exif.length);
  const isLittle = view.getUint16(0) === 0x4949;
  if ((!isLittle && view.getUint16(0) !== 0x4d4d) || view.getUint16(2, isLittle) !== 42) return 0;
  const first = view.getUint32(4, isLittle);
  const count = first + 2 <= exif.length ? view.getUint16(first, isLittle) : 0;
  for (let n = 0, at = first + 2; n < count && at + 12 <= exif.length; n++, at += 12) {
    const size = BYTES[view.getUint16(at + 2, isLittle)];
    if (view.getUint16(at, isLittle) !== ORIENTATION || !size || view.getUint32(at + 4, isLittle) !== 1) continue;
    return size === 1 ? view.getUint8(at + 8) : size === 2 ? view.getUint16(at + 8, isLittle) : view.getUint32(at + 8, isLittle);
  }
  return 0;
}

/**
 * Undo an orientation; other numbers than 2 to 8 change nothing.
 * @param {import("./pictures.js").Picture} picture
 * @param {number} orientation
 * @returns {import("./pictures.js").Picture}
 */
export function turnUpright(picture, orientation) {
  if (!(orientation >= 2 && orientation <= 8)) return picture;
  const { width, height, pixels } = picture;
  const [isAcross, fromRight, fromBottom] = [orientation >= 5, [2, 3, 7, 8].includes(orientation), [3, 4, 6, 7].includes(orientation)];
  const [columns, rows] = isAcross ? [height, width] : [width, height];
  const turned = new Uint8Array(pixels.length);
  for (let row = 0, to = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++, to += 3) {
      const [x, y] = isAcross ? [row, column] : [column, row];
      const from = 3 * ((fromBottom ? height - 1 - y : y) * width + (fromRight ? width - 1 - x : x));
      turned[to] = pixels[from];
      turned[to + 1] = pixels[from + 1];
      turned[to + 2] = pixels[from + 2];
    }
  }
  return { width: columns, height: rows, pixels: turned };
}
