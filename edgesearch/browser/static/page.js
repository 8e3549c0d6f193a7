// The find page of a site without a server: a photo from the camera or a file, and what it shows.

import { Host } from "./host.js";

const PHOTO_SIDE = 1024; // px of a photo from the camera
const CHOICES = 5;
const SENTENCES = {
  match: "Found it.", ambiguous: "Perhaps one of these. If not, take the photo from closer.",
  unknown: "This is not in the catalogue, or the photo does not show it well.",
};

/** @param {string} id */
const $ = (id) => /** @type {any} */ (document.getElementById(id));

const host = new Host();

/** @param {string} text @param {string} state */
function say(text, state = "") {
  $("say").textContent = text;
  document.body.dataset.state = state;
}

/** Run an action, and say what went wrong. @param {() => Promise<void>} action */
async function attempt(action) {
  try {
    await action();
  } catch (error) {
    say(error instanceof Error ? error.message : String(error), "error");
  }
}

/** @param {Blob} file @param {string[]} trusted */
async function open(file, trusted) {
  say("Checking the catalogue …", "busy");
  const { name, counts } = await host.open(file, trusted);
  document.title = name;
  $("name").textContent = name;
  $("choose-bundle").hidden = true;
  $("take").disabled = $("photo").disabled = false;
  say(`${counts.products} products. Show one to the camera, or choose a photo.`, "ready");
}

/** @param {Blob} photo */
async function search(photo) {
  say("Looking …", "busy");
  const started = performance.now();
  const answer = await host.search(photo, { k: CHOICES });
  document.body.dataset.ms = String(Math.round(performance.now() - started));
  const shown = answer.decision === "match" ? answer.matches.slice(0, 1) : answer.decision === "ambiguous" ? answer.matches : [];
  $("found").replaceChildren(...await Promise.all(shown.map(describe)));
  say(SENTENCES[/** @type {keyof SENTENCES} */ (answer.decision)], answer.decision);
}

/** @param {any} match */
async function describe(match) {
  const item = document.createElement("li");
  const picture = await host.picture(match.row);
  if (picture) {
    const image = document.createElement("img");
    image.alt = "";
    image.src = URL.createObjectURL(picture);
    image.addEventListener("load", () => URL.revokeObjectURL(image.src));
    item.append(image);
  }
  const words = document.createElement("div");
  const price = typeof match.price === "number" ? [match.price.toFixed(2), match.currency].filter(Boolean).join(" ") : null;
  for (const [kind, text] of Object.entries({ name: match.name, price, sku: match.sku, location: match.location, probability: `${Math.round(100 * match.probability)}%` })) {
    if (!text) continue;
    const line = document.createElement("p");
    line.className = kind;
    line.textContent = text;
    words.append(line);
  }
  item.append(words);
  return item;
}

async function startCamera() {
  const video = $("video");
  try {
    video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: 1280, height: 720 } });
    await video.play();
    video.hidden = false;
  } catch {
    $("take").hidden = true; // choosing a photo still works
  }
}

/** @returns {Promise<Blob>} */
async function takePhoto() {
  const video = $("video");
  const scale = Math.min(1, PHOTO_SIDE / Math.max(video.videoWidth, video.videoHeight));
  const canvas = new OffscreenCanvas(Math.round(video.videoWidth * scale), Math.round(video.videoHeight * scale));
  /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d")).drawImage(video, 0, 0, canvas.width, canvas.height);
  return canvas.convertToBlob({ type: "image/jpeg", quality: 0.9 });
}

/** Keep the site for the time without a network; it also works without, so that a failure is only said. */
async function keepOffline() {
  try {
    await navigator.serviceWorker.register("sw.js");
    await navigator.serviceWorker.ready;
    await navigator.storage?.persist?.();
    document.body.dataset.offline = "yes";
  } catch {
    document.body.dataset.offline = "no";
  }
  $("offline").textContent = document.body.dataset.offline === "yes" ? "Works without a network." : "Not kept on this device; it needs its network.";
}

async function begin() {
  if (!globalThis.isSecureContext) return say("Open this page over https or from this device itself; browsers allow cameras and checks only there.", "error");
  const { bundle, trusted } = await (await fetch("site.json")).json();
  $("take").addEventListener("click", () => attempt(async () => search(await takePhoto())));
  $("photo").addEventListener("change", () => attempt(async () => { if ($("photo").files[0]) await search($("photo").files[0]); $("photo").value = ""; }));
  $("bundle").addEventListener("change", () => attempt(async () => open($("bundle").files[0], trusted)));
  startCamera();
  if (!bundle) return say("Open the bundle, a .edge file.", "empty");
  $("choose-bundle").hidden = true;
  const response = await fetch(bundle);
  if (!response.ok) return say(`${bundle} is missing (${response.status}); make the site again.`, "error");
  return open(await response.blob(), trusted);
}

attempt(async () => { await begin(); }).then(keepOffline);
