// The camera: it opens, reports troubles, and crops frames to the viewfinder on the screen.

const SIGNATURE = 32; // px per side of the grey pictures that compare frames
const FRAME_SIDE = 288; // px; the network takes 224
const MARGIN = 0.12; // share of the viewfinder's side that is added around it
const TROUBLES = {
  NotAllowedError: "denied", SecurityError: "denied", NotFoundError: "missing", OverconstrainedError: "missing",
  NotReadableError: "taken", AbortError: "taken",
};

export class Camera extends EventTarget {
  /** video: element that shows it; finder: the viewfinder. Event: "devices"; lost(): it was unplugged. */
  constructor(video, finder) {
    super();
    Object.assign(this, { video, finder, stream: null, trouble: null, starting: null });
    this.canvas = document.createElement("canvas");
    this.small = document.createElement("canvas");
    this.small.width = this.small.height = SIGNATURE;
    this.grey = this.small.getContext("2d", { willReadFrequently: true });
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

  /** Return [x, y, width, height] of the viewfinder with its margin, in pixels of the video. */
  region() {
    const [shown, frame] = [this.video.getBoundingClientRect(), this.finder.getBoundingClientRect()];
    const { videoWidth: width, videoHeight: height } = this.video;
    const scale = Math.max(shown.width / width, shown.height / height) || 1; // object-fit: cover
    const clamp = (value, most) => Math.max(0, Math.min(most, value));
    const across = (x) => (x - shown.left - (shown.width - width * scale) / 2) / scale;
    const down = (y) => (y - shown.top - (shown.height - height * scale) / 2) / scale;
    const margin = MARGIN * frame.width;
    let [left, right] = [across(frame.left - margin), across(frame.right + margin)];
    if (this.video.classList.contains("mirrored")) [left, right] = [width - right, width - left];
    [left, right] = [clamp(left, width), clamp(right, width)];
    const [top, bottom] = [clamp(down(frame.top - margin), height), clamp(down(frame.bottom + margin), height)];
    const empty = right - left < 16 || bottom - top < 16;
    return empty ? [0, 0, width, height] : [left, top, right - left, bottom - top];
  }

  /** Return a JPEG of the viewfinder; side: px of its longer side at most. */
  async photo(side, quality = 0.85) {
    return jpeg(this.#grab(side), quality);
  }

  /** Return the frame of `signature` as a JPEG, at once: `toBlob` would wait until the browser is idle. */
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

  /** Take a frame and return a small grey picture of it for `difference`; side: px of the longer side at most. */
  signature(side = FRAME_SIDE) {
    this.grey.drawImage(this.#grab(side), 0, 0, SIGNATURE, SIGNATURE);
    const { data } = this.grey.getImageData(0, 0, SIGNATURE, SIGNATURE);
    const grey = new Float32Array(SIGNATURE * SIGNATURE);
    for (let i = 0; i < grey.length; i++) grey[i] = 0.3 * data[4 * i] + 0.6 * data[4 * i + 1] + 0.1 * data[4 * i + 2];
    return grey;
  }

  /** Return the cameras of the device. */
  async list() {
    const found = await navigator.mediaDevices?.enumerateDevices?.() ?? [];
    return found.filter((device) => device.kind === "videoinput" && device.deviceId);
  }
}

/** Return the mean difference of two signatures, 0 to 255; an even change of light adds none. */
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

/** Return the photo in a file, upright and at most `side` px; a file the browser cannot read stays as it is. */
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
