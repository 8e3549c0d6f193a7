// Hold words and filters of the browser to what Python answers; `test_words.py` starts this with node.
// SQLITE is the folder with SQLite's WebAssembly.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import test from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const load = (name) => import(pathToFileURL(join(here, "../../edgesearch/browser/static", name)).href);
const [terms, filters, { facets }, { ProductTable }, { WordIndex, WordSearch }, { interpret }, { countEdits }, { findReadings }, { combine }] = await Promise.all(
  ["terms.js", "filters.js", "facets.js", "product_table.js", "full_text.js", "text_query.js", "spelling.js", "barcode_text.js", "barcode_labels.js"].map(load));
const { products, columns, terms: folded, written, queries, facets: expectedFacets, readings, labels, details } = JSON.parse(readFileSync(join(here, "word_vectors.json"), "utf8"));

const catalogue = {
  count: products.length, hidden: new Set(), changed: new Map(), columns: () => columns,
  column: (name) => products.map((product) => product[name] ?? product.attributes[name] ?? null),
  products: (numbers) => numbers.map((number) => products[number]),
};

async function openIndex() {
  const { default: initialize } = await import(pathToFileURL(join(process.env.SQLITE, "index.mjs")).href);
  globalThis.sqlite3ApiConfig = { warn: () => {} };
  const sqlite3 = await initialize({ wasmBinary: readFileSync(join(process.env.SQLITE, "sqlite3.wasm")), print: () => {}, printErr: () => {} });
  return WordIndex.build(sqlite3, catalogue);
}

test("texts are folded and split", () => {
  for (const [text, expected] of Object.entries(folded)) assert.deepEqual([terms.fold(text), terms.splitWords(text), terms.indexTerms(text)], expected, text);
});

test("filters are read and written", () => {
  for (const [where, expected] of Object.entries(written)) {
    const read = () => filters.writeWhere(filters.parse(where));
    if (expected === null) assert.throws(read, { kind: "QueryError" }, where);
    else assert.equal(read(), expected);
  }
});

test("values to filter by", () => {
  assert.deepEqual(facets(new ProductTable(catalogue)), expectedFacets);
});

test("codes are read in every spelling", () => {
  for (const [code, expected] of Object.entries(readings)) assert.deepEqual([...findReadings(code)].map((forms) => [...forms].sort()), expected, code);
});

test("labels change an answer by appearance", () => {
  const match = (sku) => ({ sku, name: sku, score: details[sku].probability, ...details[sku] });
  for (const { seen: [decision, skus], labels: read, named, ...expected } of labels) {
    const found = combine({ decision, matches: skus.map(match), known: 0.5 }, read.map((label) => ({ format: "EAN-13", ...label })), named.map(match));
    const { matches, conflict, known } = found;
    assert.deepEqual({ decision: found.decision, matches: matches.map(({ sku, probability }) => [sku, probability]), conflict, known }, expected);
  }
});

test("edits are counted", () => {
  for (const [one, other, edits] of [["mug", "mug", 0], ["mug", "mugs", 1], ["jucie", "juice", 1], ["", "ab", 2], ["abc", "", 3], ["kitten", "sitting", 3]]) {
    assert.equal(countEdits([...one], [...other]), edits);
  }
});

test("words and filters find the same products", async () => {
  const table = new ProductTable(catalogue);
  const words = new WordSearch(await openIndex(), new Map(), products.length);
  for (const { text, where, error, ...expected } of queries) {
    const ask = () => {
      const query = interpret(table, words, text, where, false);
      const { found, decision } = query.answer(table);
      const { notes, ...understood } = query.understood;
      return {
        understood: { ...understood, notes: notes.length }, found: found.map((number) => products[number].sku),
        scores: found.map((number) => Math.round(1e4 * query.score(number)) / 1e4), decision,
        emptied_by: query.emptiedBy.map(({ message, ...reason }) => reason),
      };
    };
    if (error) assert.throws(ask, { kind: "QueryError" }, `${text} ${where}`);
    else assert.deepEqual(ask(), expected, `${text} ${where}`);
  }
});
