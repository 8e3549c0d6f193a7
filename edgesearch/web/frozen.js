// The photo that replaces the live camera picture, with the outline of the product found in it.

import { t } from "./i18n.js";

const LINES = [["rgb(0 0 0 / .55)", 0.018], ["#ffc845", 0.01]]; // colour, and width as a share of the longer side

export class FrozenPhoto {
  constructor(canvas) {
    this.canvas = canvas;
  }

  /** Show a photo; outline: corners of the matched area, as shares of its width and height. */
  async show(photo, outline = []) {
    const picture = await createImageBitmap(photo).catch(() => null);
    if (!picture) return; // the server may still read the format
    this.canvas.width = picture.width;
    this.canvas.height = picture.height;
    const context = this.canvas.getContext("2d");
    context.drawImage(picture, 0, 0);
    if (outline.length > 2) drawOutline(context, outline, picture.width, picture.height);
    picture.close();
    this.canvas.setAttribute("aria-label", t("answer.shown"));
    this.canvas.hidden = false;
  }

  /** Show the live camera again. */
  hide() {
    this.canvas.hidden = true;
  }
}

function drawOutline(context, outline, width, height) {
  context.beginPath();
  outline.forEach(([x, y], number) => context[number ? "lineTo" : "moveTo"](x * width, y * height));
  context.closePath();
  context.lineJoin = "round";
  for (const [colour, thickness] of LINES) {
    context.strokeStyle = colour;
    context.lineWidth = Math.max(width, height) * thickness;
    context.stroke();
  }
}
