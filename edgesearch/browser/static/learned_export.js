// Export what this device learned for `build --merge-learned`; see `learned_export.py`. No person is named.

import { sha256 } from "./bundle.js";

const FORMAT = 1;
const STATES = ["used", "waiting"];

/**
 * Return the files of what was learned, except what was set aside; none if nothing was.
 * @param {import("./learned_pictures.js").LearnedPictures} learned
 * @param {{space: string, network: string, local: string}} bundle hashes of what the references depend on
 * @returns {Promise<{name: string, content: Uint8Array}[]>}
 */
export async function exportLearned(learned, { space, network, local }) {
  const pictures = (await learned.all()).filter(({ state }) => STATES.includes(state));
  const references = await learned.references(space, pictures.map(({ number }) => number));
  /** @type {{name: string, content: Uint8Array}[]} */
  const files = [];
  /** @type {Uint8Array[]} */
  const parts = [];
  /** @type {any[]} */
  const shared = [];
  const seen = new Set();
  for (const one of pictures) {
    const content = references.get(one.number);
    const key = content && await sha256(content);
    if (!content || seen.has(key)) continue; // of another network, or the same picture again
    seen.add(key);
    const picture = await learned.picture(one.number);
    if (picture) files.push({ name: `learned/${one.name}.jpg`, content: picture });
    parts.push(content);
    const { sku, time, source, trust, state, name, against } = one;
    shared.push({ sku, time, source, trust: trust / 2 ** against, state, name, size: content.length, has_picture: picture !== null });
  }
  if (!shared.length) return [];
  const all = new Uint8Array(await new Blob(/** @type {BlobPart[]} */ (parts)).arrayBuffer());
  const table = { format: FORMAT, device: (await learned.settings()).device, network, local, sha256: await sha256(all), pictures: shared };
  return [...files, { name: "learned.bin", content: all }, { name: "learned.json", content: new TextEncoder().encode(JSON.stringify(table)) }];
}
