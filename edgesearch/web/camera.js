// The camera: opened, watched, and its frames cut out as they are seen in the frame on the screen.

const SIGNATURE = 32; // px a side of the small grey picture by which two frames are compared
const FRAME_SIDE = 288; // px; the network sees 224
const MARGIN = 0.12; // of the viewfinder's side: what is around it is looked at too
const TROUBLES = {
  NotAllowedError: "denied", SecurityError: "denied", NotFoundError: "missing", OverconstrainedError: "missing",
  NotReadableError: "taken", AbortError: "taken",
};

export class Camera extends EventTarget {
  /** video: where it is shown; finder: the frame on the screen. Events: "trouble" after it was lost, "devices". */
  constructor(video, finder) {
    super();
    Object.assign(this, { video, finder, stream: null, trouble: null, starting: null });
    this.canvas = document.createElement("canvas");
    this.small = document.createElement("canvas");
    this.small.width = this.small.height = SIGNATURE;
    this.grey = this.small.getContext("2d", { willReadFrequently: true });
    navigator.mediaDevices?.addEventListener?.("devicechange", () => this.dispatchEvent(new Event("devices")));
  }

  /** May it be opened without asking the person? */
  async allowed() {
    try {
      return (await navigator.permissions.query({ name: "camera" })).state;
    } catch {
      return "prompt"; // a browser that does not tell
    }
  }

  get running() {
    return this.stream !== null && this.video.videoWidth > 0;
  }

  /** Open it; returns "" or what is wrong: denied, missing, taken, insecure. */
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
    this.dispatchEvent(new Event("trouble"));
  }

  /** Close it; its light goes out. */
  stop() {
    this.stream?.getTracks().forEach((track) => track.stop());
    this.stream = null;
    this.video.srcObject = null;
  }

  /** What of the video is in and around the frame on the screen, in its pixels. */
  region() {
    const [seen, frame] = [this.video.getBoundingClientRect(), this.finder.getBoundingClientRect()];
    const { videoWidth: width, videoHeight: height } = this.video;
    const scale = Math.max(seen.width / width, seen.height / height) || 1; // object-fit: cover
    const clamp = (value, most) => Math.max(0, Math.min(most, value));
    const across = (x) => (x - seen.left - (seen.width - width * scale) / 2) / scale;
    const down = (y) => (y - seen.top - (seen.height - height * scale) / 2) / scale;
    const margin = MARGIN * frame.width;
    let [left, right] = [across(frame.left - margin), across(frame.right + margin)];
    if (this.video.classList.contains("mirrored")) [left, right] = [width - right, width - left];
    [left, right] = [clamp(left, width), clamp(right, width)];
    const [top, bottom] = [clamp(down(frame.top - margin), height), clamp(down(frame.bottom + margin), height)];
    const empty = right - left < 16 || bottom - top < 16;
    return empty ? [0, 0, width, height] : [left, top, right - left, bottom - top];
  }

  /** A JPEG of what is in the frame; side: px of its longer side at most. */
  async photo(side, quality = 0.85) {
    return jpeg(this.#grab(side), quality);
  }

  /** A JPEG of what `signature` saw, at once: `toBlob` waits until the browser is idle, which takes longer than a millisecond of coding. */
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

  /** Take a frame, px of its longer side at most: a small grey picture of it, to compare with `difference`. */
  signature(side = FRAME_SIDE) {
    this.grey.drawImage(this.#grab(side), 0, 0, SIGNATURE, SIGNATURE);
    const { data } = this.grey.getImageData(0, 0, SIGNATURE, SIGNATURE);
    const grey = new Float32Array(SIGNATURE * SIGNATURE);
    for (let i = 0; i < grey.length; i++) grey[i] = 0.3 * data[4 * i] + 0.6 * data[4 * i + 1] + 0.1 * data[4 * i + 2];
    return grey;
  }

  /** Cameras to choose from. */
  async list() {
    const found = await navigator.mediaDevices?.enumerateDevices?.() ?? [];
    return found.filter((device) => device.kind === "videoinput" && device.deviceId);
  }
}

/** Mean difference of two signatures, of 255; light that changes evenly makes none. */
export function difference(one, other) {
  if (!one || !other) return 255;
  let shift = 0;
  for (let i = 0; i < one.length; i++) shift += one[i] - other[i];
  shift /= one.length;
  let sum = 0;
  for (let i = 0; i < one.length; i++) sum += Math.abs(one[i] - other[i] - shift);
  return sum / one.length;
}

const jpeg = (canvas, quality) => new Promise((resolve, reject) => {
  canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("the frame is empty"))), "image/jpeg", quality);
});

/** A photo from a file, upright and no larger than it needs to be; what the browser cannot read goes as it is. */
export async function fromFile(file, side = 1280) {
  try {
    const picture = await createImageBitmap(file, { imageOrientation: "from-image" });
    const scale = Math.min(1, side / Math.max(picture.width, picture.height));
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
