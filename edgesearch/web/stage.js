// The stage: the camera's picture, or a photo at which it was stopped, with what was found in it.

import { t } from "./i18n.js";

const FOUND = [["rgb(0 0 0 / .55)", 0.018], ["#ffc845", 0.01]]; // colour and thickness, of the longer side

export class Stage {
  constructor(canvas) {
    this.canvas = canvas;
  }

  /** Stop at a photo; outline: of the print that was found, corners in shares of its width and height. */
  async freeze(photo, outline = []) {
    const picture = await createImageBitmap(photo).catch(() => null);
    if (!picture) return; // the server may know the format all the same
    this.canvas.width = picture.width;
    this.canvas.height = picture.height;
    const context = this.canvas.getContext("2d");
    context.drawImage(picture, 0, 0);
    if (outline.length > 2) mark(context, outline, picture.width, picture.height);
    picture.close();
    this.canvas.setAttribute("aria-label", t("answer.shown"));
    this.canvas.hidden = false;
  }

  /** On with the camera. */
  thaw() {
    this.canvas.hidden = true;
  }
}

function mark(context, outline, width, height) {
  context.beginPath();
  outline.forEach(([x, y], number) => context[number ? "lineTo" : "moveTo"](x * width, y * height));
  context.closePath();
  context.lineJoin = "round";
  for (const [colour, thickness] of FOUND) {
    context.strokeStyle = colour;
    context.lineWidth = Math.max(width, height) * thickness;
    context.stroke();
  }
}
