// The camera: it opens, reports troubles, and crops frames to the viewfinder on the screen.

import { SENT_SIDE } from "./host.js";
import { SIDE as CELLS, describe } from "./scene.js";

const FRAME_SIDE = 288; // px; the network takes 224
const FOCUS_MS = 5000; // until the camera focuses by itself again
const MARGIN = 0.12; // share of the viewfinder's side that is added around it
const TROUBLES = {
  NotAllowedError: "denied", SecurityError: "denied", NotFoundError: "missing", OverconstrainedError: "missing",
  NotReadableError: "taken", AbortError: "taken",
};

export class Camera extends EventTarget {
  /** video: element that shows it; finder: the viewfinder. Event: "devices"; lost(): it was taken away. */
  constructor(video, finder) {
    super();
    Object.assign(this, { video, finder, stream: null, trouble: null, starting: null });
    this.canvas = document.createElement("canvas");
    this.small = document.createElement("canvas");
    this.small.width = this.small.height = FRAME_SIDE / 2;
    this.cells = this.small.getContext("2d", { willReadFrequently: true });
    video.parentElement.addEventListener("click", (event) => this.#focus(event));
    navigator.mediaDevices?.addEventListener?.("devicechange", () => this.dispatchEvent(new Event("devices")));
  }

  /** Return the permission: granted, denied or prompt. */
  async allowed() {
    try {
      return (await navigator.permissions.query({ name: "camera" })).state;
    } catch {
      return "prompt"; // this browser does not say
    }
  }

  get running() {
    return this.stream !== null && this.video.videoWidth > 0;
  }

  /** Open it; return "" or the trouble: denied, missing, taken, insecure. */
  async start(id = null) {
    if (this.running) return "";
    this.starting ??= this.#open(id).finally(() => { this.starting = null; });
    return this.starting;
  }

  async #open(id) {
    if (!navigator.mediaDevices?.getUserMedia) return (this.trouble = "insecure");
    const size = { width: { ideal: 1280 }, height: { ideal: 960 } };
    const video = id ? { ...size, deviceId: { ideal: id } } : { ...size, facingMode: { ideal: "environment" } };
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({ video, audio: false });
    } catch (error) {
      return (this.trouble = TROUBLES[error.name] ?? "taken");
    }
    const [track] = this.stream.getVideoTracks();
    track.addEventListener("ended", () => this.#lost());
    this.video.srcObject = this.stream;
    this.video.classList.toggle("mirrored", track.getSettings?.().facingMode === "user");
    try {
      await this.video.play();
    } catch { /* stopped meanwhile */ }
    return (this.trouble = "");
  }

  #lost() {
    this.stop();
    this.trouble = "missing";
    this.lost?.();
  }

  /** Close it, so that its light goes out. */
  stop() {
    this.stream?.getTracks().forEach((track) => track.stop());
    this.stream = null;
    this.video.srcObject = null;
  }

  /** Return what the camera can do: `torch`, `zoom`, `focusMode`; empty if the browser does not say. */
  get abilities() {
    return this.stream?.getVideoTracks()[0].getCapabilities?.() ?? {};
  }

  /** Return what it does now. */
  get settings() {
    return this.stream?.getVideoTracks()[0].getSettings?.() ?? {};
  }

  /** Change torch, zoom or focus; a camera that refuses stays as it is. */
  async set(settings) {
    await this.stream?.getVideoTracks()[0].applyConstraints({ advanced: [settings] }).catch(() => {});
  }

  /** Focus where the screen was touched, if the camera can; later it focuses by itself again. */
  async #focus({ clientX, clientY }) {
    const modes = this.abilities.focusMode ?? [];
    if (!modes.includes("single-shot")) return;
    const [x, y] = this.#inVideo(clientX, clientY);
    clearTimeout(this.refocus);
    await this.set({ focusMode: "single-shot", pointsOfInterest: [{ x: x / this.video.videoWidth, y: y / this.video.videoHeight }] });
    if (modes.includes("continuous")) this.refocus = setTimeout(() => this.set({ focusMode: "continuous" }), FOCUS_MS);
  }

  /** Return the pixel of the video, [x, y], that is shown at a point of the screen. */
  #inVideo(x, y) {
    const shown = this.video.getBoundingClientRect();
    const { videoWidth: width, videoHeight: height } = this.video;
    const scale = Math.max(shown.width / width, shown.height / height) || 1; // object-fit: cover
    const across = (x - shown.left - shown.width / 2) / scale;
    return [width / 2 + (this.video.classList.contains("mirrored") ? -across : across), height / 2 + (y - shown.top - shown.height / 2) / scale];
  }

  /** Return [x, y, width, height] of the viewfinder with its margin, in pixels of the video. */
  region() {
    const { left: x, top: y, width: drawn, height } = this.finder.getBoundingClientRect();
    const half = (0.5 + MARGIN) * this.finder.offsetWidth; // as laid out: the drawn one grows and shrinks with what is seen
    const corners = [-half, half].map((by) => this.#inVideo(x + drawn / 2 + by, y + height / 2 + by));
    const clamp = (value, most) => Math.max(0, Math.min(most, value));
    const { videoWidth, videoHeight } = this.video;
    const [left, right] = corners.map(([across]) => clamp(across, videoWidth)).sort((one, other) => one - other); // mirrored: swapped
    const [top, bottom] = corners.map(([, down]) => clamp(down, videoHeight));
    const empty = right - left < 16 || bottom - top < 16;
    return empty ? [0, 0, videoWidth, videoHeight] : [left, top, right - left, bottom - top];
  }

  /** Return a JPEG of the viewfinder; side: px of its longer side at most. */
  async photo(side, quality = 0.85) {
    return jpeg(this.#grab(side), quality);
  }

  /** Return the frame of `scene` as a JPEG, at once: `toBlob` would wait until the browser is idle. */
  frame(quality = 0.8) {
    const [, coded] = this.canvas.toDataURL("image/jpeg", quality).split(",");
    return new Blob([Uint8Array.from(atob(coded), (letter) => letter.charCodeAt(0))], { type: "image/jpeg" });
  }

  #grab(side) {
    const [x, y, width, height] = this.region();
    const scale = Math.min(1, side / Math.max(width, height));
    this.canvas.width = Math.max(1, Math.round(width * scale));
    this.canvas.height = Math.max(1, Math.round(height * scale));
    const context = this.canvas.getContext("2d");
    context.drawImage(this.video, x, y, width, height, 0, 0, this.canvas.width, this.canvas.height);
    return this.canvas;
  }

  /** Take a frame and describe its scene; side: px of the longer side at most. */
  scene(side = FRAME_SIDE) {
    const { cells, small } = this;
    const half = FRAME_SIDE / 2;
    cells.drawImage(this.#grab(side), 0, 0, half, half);
    for (let from = half; from > CELLS; from /= 2) { // halving averages; a larger step would leave out pixels
      cells.drawImage(small, 0, 0, from, from, 0, 0, from / 2, from / 2);
    }
    for (const offset of [0.5, -0.5]) cells.drawImage(small, 0, 0, CELLS, CELLS, offset, offset, CELLS, CELLS); // averages neighbours
    return describe(cells.getImageData(0, 0, CELLS, CELLS).data);
  }

  /** Return the cameras of the device. */
  async list() {
    const found = await navigator.mediaDevices?.enumerateDevices?.() ?? [];
    return found.filter((device) => device.kind === "videoinput" && device.deviceId);
  }
}

const jpeg = (canvas, quality) => new Promise((resolve, reject) => {
  canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("the frame is empty"))), "image/jpeg", quality);
});

/** Return the photo in a file, upright and at most as large as the host wants it; a file the browser cannot read stays as it is. */
export async function fromFile(file) {
  if (SENT_SIDE === Infinity) return file;
  try {
    const picture = await createImageBitmap(file, { imageOrientation: "from-image" });
    const scale = Math.min(1, SENT_SIDE / Math.max(picture.width, picture.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(picture.width * scale));
    canvas.height = Math.max(1, Math.round(picture.height * scale));
    canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
    picture.close();
    return await jpeg(canvas, 0.9);
  } catch {
    return file;
  }
}
