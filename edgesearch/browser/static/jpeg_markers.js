// What a JPEG says about itself before its pixels; as Pillow and `photo_formats.py` read it.

const [MARK, SCAN, APP1, APP2, FIRST_FRAME, LAST_FRAME] = [0xff, 0xda, 0xe1, 0xe2, 0xc0, 0xcf];
const NO_FRAMES = [0xc4, 0xc8, 0xcc]; // of that range
const ALONE = [0x01, 0xd8]; // markers that no segment follows
const MAX_SEGMENTS = 10_000;
const [EXIF, XMP, ICC] = ["Exif\0\0", "http://ns.adobe.com/xap/1.0/\0", "ICC_PROFILE\0"];

/**
 * Read EXIF without its prefix, XMP, the ICC profile, and the number of colours.
 * @param {Uint8Array} file
 */
export function readMarkers(file) {
  const [exif, icc] = /** @type {Uint8Array[][]} */ ([[], []]);
  let [xmp, colours] = ["", 0];
  for (const { marker, segment } of segments(file)) {
    if (marker === APP1 && startsWith(segment, EXIF)) exif.push(segment.subarray(EXIF.length));
    else if (marker === APP1 && startsWith(segment, XMP)) xmp = new TextDecoder().decode(segment.subarray(XMP.length));
    else if (marker === APP2 && startsWith(segment, ICC)) icc.push(segment);
    else if (marker >= FIRST_FRAME && marker <= LAST_FRAME && !NO_FRAMES.includes(marker)) colours = segment[5];
  }
  icc.sort((a, b) => a[ICC.length] - b[ICC.length]);
  const isWhole = icc.length > 0 && icc[0][ICC.length + 1] === icc.length;
  const profile = join(isWhole ? icc.map((segment) => segment.subarray(ICC.length + 2)) : []);
  return { exif: join(exif), xmp, profile, colours };
}

/** Return whether a JPEG stops before its last marker, as after a broken transfer. @param {Uint8Array} file */
export function lacksEnd(file) {
  for (const { marker, start } of segments(file)) {
    if (marker !== SCAN) continue;
    for (let at = file.length - 2; at >= start; at--) if (file[at] === MARK && file[at + 1] === 0xd9) return false;
    return true;
  }
  return false;
}

/** Yield the segments before the picture data, and the start of that. @param {Uint8Array} file */
function* segments(file) {
  let at = 2;
  for (let count = 0; count < MAX_SEGMENTS && at + 4 <= file.length; count++) {
    const marker = file[at + 1];
    if (file[at] !== MARK || marker === MARK || ALONE.includes(marker)) {
      at += file[at] === MARK && marker !== MARK ? 2 : 1;
      continue;
    }
    const size = Math.max(2, file[at + 2] * 256 + file[at + 3]);
    yield { marker, start: at, segment: file.subarray(at + 4, at + 2 + size) };
    if (marker === SCAN) return;
    at += 2 + size;
  }
}

/** @param {Uint8Array} bytes @param {string} text */
const startsWith = (bytes, text) => bytes.length >= text.length && [...text].every((letter, i) => bytes[i] === letter.charCodeAt(0));

/** @param {Uint8Array[]} parts */
function join(parts) {
  const joined = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  parts.reduce((at, part) => (joined.set(part, at), at + part.length), 0);
  return joined;
}
