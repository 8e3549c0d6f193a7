// Answer the requests of the page beside it, so that it stays responsive while a photo is searched.

import { answer } from "./routes.js";
import { Shop } from "./shop.js";

const shop = new Shop();
const opening = shop.begin();

/** @type {Promise<unknown>} */
let before = opening; // one change or search at a time: the network runs one at a time

addEventListener("message", ({ data: { id, request } }) => {
  const run = async () => postMessage({ id, ...await answer(shop, request) });
  if (request.method === "GET") opening.then(run);
  else before = before.then(run);
});
