// Decode JPEGs as Pillow does, by libjpeg-turbo (`jpeg.c`): the pixels are the same.

import { EdgeSearchError, imageError, memoryError } from "./errors.js";
import { lacksEnd } from "./jpeg_markers.js";
import { checkSize, roundEven } from "./pictures.js";

const REDUCTIONS = [8, 4, 2, 1]; // of a JPEG's sides while it is decoded
const END = [0xff, 0xd9];
// Bits that decode to visible detail where picture data is missing, with every restart marker.
const FILLER = Array.from({ length: 8 }, (_, number) => [...Array(40).fill([0x5a, 0xa5, 0x36, 0xc9, 0x13]).flat(), 0xff, 0xd0 + number]).flat();

/** @typedef {import("./pictures.js").Picture} Picture */

/**
 * Decode a JPEG, as it is stored, reduced while its shorter side keeps `neededSide`; one that only lacks its end is completed.
 * @param {WebAssembly.Module} code jpeg.wasm
 * @param {Uint8Array} file
 * @param {number} neededSide
 * @returns {Promise<Picture>}
 */
export async function decodeJpeg(code, file, neededSide) {
  const found = await decodeOnce(code, file, neededSide);
  if (!(found instanceof CutOff)) return found;
  const whole = lacksEnd(file) ? await complete(code, file, neededSide) : null;
  if (!whole) throw found;
  return whole;
}

/** A file that stops before the picture does. */
class CutOff extends EdgeSearchError {}

/** @param {WebAssembly.Module} code @param {Uint8Array} file @param {number} neededSide @returns {Promise<Picture | CutOff>} */
async function decodeOnce(code, file, neededSide) {
  const call = /** @type {any} */ ((await WebAssembly.instantiate(code, {})).exports); // one a picture: its memory goes with it
  call._initialize();
  try {
    const address = call.allocate(file.length);
    if (!address) throw memoryError();
    new Uint8Array(call.memory.buffer).set(file, address);
    call.open(address, file.length);
    const [width, height] = [call.width(), call.height()];
    checkSize(width, height);
    const pixels = call.decode(reductionOf(width, height, neededSide));
    if (!pixels) throw memoryError();
    const size = { width: call.width(), height: call.height() };
    return { ...size, pixels: new Uint8Array(call.memory.buffer, pixels, 3 * size.width * size.height).slice() };
  } catch (error) {
    if (!(error instanceof WebAssembly.RuntimeError)) throw error;
    const message = `The picture is damaged or cut off (${readText(call) || error.message}); take or copy it again.`;
    if (call.is_cut_off()) return new CutOff("ImageError", message);
    throw imageError(message);
  }
}

/** Return by what the sides of a picture are reduced while it is decoded. @param {number} width @param {number} height @param {number} neededSide */
function reductionOf(width, height, neededSide) {
  const shorter = Math.min(width, height);
  const room = Math.min(...[width, height].map((side) => Math.floor(side / Math.max(1, roundEven(side * (neededSide / shorter))))));
  return REDUCTIONS.find((factor) => room >= factor) ?? 1;
}

/** Return the picture if all its pixels are there: then other bits behind them change nothing. @param {WebAssembly.Module} code @param {Uint8Array} file @param {number} neededSide */
async function complete(code, file, neededSide) {
  let stop = file.length;
  while (file[stop - 1] === 0xff) stop--;
  const decode = (/** @type {number[]} */ ending) => {
    const completed = new Uint8Array(stop + ending.length);
    completed.set(file.subarray(0, stop));
    completed.set(ending, stop);
    return decodeOnce(code, completed, neededSide);
  };
  const [picture, filled] = [await decode(END), await decode([...FILLER, ...END])];
  if (picture instanceof CutOff || filled instanceof CutOff) return null;
  return picture.pixels.every((value, i) => value === filled.pixels[i]) ? picture : null;
}

/** @param {any} call */
function readText(call) {
  const text = new Uint8Array(call.memory.buffer, call.problem());
  return new TextDecoder().decode(text.subarray(0, text.indexOf(0)));
}
