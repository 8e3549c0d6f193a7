/** Draw what `draw` in vectors.py draws. */
export function draw([height, width]) {
  const pixels = new Uint8Array(height * width * 3);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < 3; c++, at++) pixels[at] = (x * 3 + y * 5 + c * 70 + ((Math.floor(x / 9) * Math.floor(y / 7) * 37) % 101)) % 256;
    }
  }
  return { width, height, pixels };
}
