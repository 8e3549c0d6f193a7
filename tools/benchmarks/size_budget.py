"""Measure what fits into a budget and the recall it leaves, for very many made-up products and for groceries."""

import argparse
import csv
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from demo_shop import write_twins
from demo_shop.products import make_product

import edgesearch
from edgesearch.building.budget import PlanAccuracy, budget_bytes
from edgesearch.building.extraction import PICTURE_SIDE
from edgesearch.building.fit_to_budget import fit_to_budget
from edgesearch.building.search_plans import SearchPlans
from edgesearch.building.staged_bundle import StagedBundle
from edgesearch.bundle.golden_queries import FILE as GOLDEN_FILE
from edgesearch.bundle.golden_queries import GoldenQueries
from edgesearch.catalog import packed_catalog, sqlite_catalog
from edgesearch.catalog.product import Product
from edgesearch.catalog.sqlite_catalog import Catalog, Picture
from edgesearch.embedding.embedder import Embedder, copy_model
from edgesearch.embedding.shipped_models import default_model
from edgesearch.images import image
from edgesearch.index.compact_index import CompactIndex
from edgesearch.local_features.local_index import FILE as LOCAL_FILE
from edgesearch.local_features.local_index import LocalIndex
from edgesearch.search.open_bundle import CATALOG, INDEX, MODEL, PICTURES
from edgesearch.text import full_text

from . import local_features_cost, protocols, vectors
from .context import SEED, Results, add_data, require_photos

Row = dict[str, Any]
OPENED = 5  # times
ASKED = 300  # queries


def measure(x: np.ndarray, queries: np.ndarray, budgets_mb: list[float], folder: Path, seed: int) -> list[Row]:
    """Fit made-up products with a picture each into budgets.

    Args:
        x:       (N, D) float32, embeddings of the pictures.
        queries: (Q, D) float32, embeddings of other pictures; the right product is the nearest without compression.
        folder:  for gigabytes of temporary files.
    """
    staged = _stage_bundle(x, folder / "stage", seed)
    right = np.concatenate([np.argmax(part @ x.T, 1) for part in np.array_split(queries, 20)])

    def measure_recall(index: CompactIndex, local: LocalIndex | None) -> PlanAccuracy:
        rows = index.search(queries, 1).rows[:, 0]
        return PlanAccuracy(float((rows == right).mean()), 0.0, len(queries))

    sizes = {f"{name} bytes": size for name, size in staged.sizes().items() if size > 10_000}
    packed = {
        "packed catalogue bytes": len(packed_catalog.pack(staged.folder / CATALOG)),
        **_measure_opening_ms(staged.folder),
    }
    rows: list[Row] = [{"bytes": staged.size_bytes, **sizes, **packed}]
    plans = SearchPlans(x, staged.index, staged.local, seed)
    for budget_mb in budgets_mb:
        tried = folder / "tried"
        shutil.copytree(staged.folder, tried, copy_function=os.link)
        try:
            chosen, fitted = fit_to_budget(
                _move_stage(staged, tried), folder / "x.edge", budget_bytes(budget_mb), measure_recall, plans
            )
            times = _measure_queries_us([staged.index, chosen.index], queries)
            found = {"bytes": fitted.size_bytes, "lines": fitted.lines(), **fitted.card(), **times}
        except edgesearch.BundleError as error:
            found = {"refused": str(error).removeprefix(f"{folder}/")}
        rows.append({"budget MB": budget_mb, **found})
        shutil.rmtree(tried)
    return rows


def groceries(data: Path, budgets_mb: list[float | None], folder: Path) -> list[Row]:
    """Build the groceries within budgets and search the photos of `val.txt`, which no choice was based on."""
    products = {product.number: product for product in protocols.grocery_products(data / "groceries")}
    with open(folder / "c.csv", "w", encoding="utf-8", newline="") as file:
        named = ((one.sku, one.name, one.catalogue_picture.resolve()) for one in products.values())
        csv.writer(file).writerows([("sku", "name", "images"), *named])
    asked = [
        (path, number) for number, paths in protocols.split(data / "groceries", "val.txt").items() for path in paths
    ]
    rows: list[Row] = []
    for budget_mb in budgets_mb:
        try:
            built = edgesearch.build(folder / "c.csv", folder / "c.edge", budget_mb=budget_mb)
        except edgesearch.BundleError as error:
            rows.append({"budget MB": budget_mb, "refused": str(error).removeprefix(f"{folder}/")})
            continue
        with edgesearch.open(folder / "c.edge", threads=2) as store:
            first = [store.search(path, k=1).matches[0].sku for path, _ in asked]
        right = [sku == products[number].sku for sku, (_, number) in zip(first, asked, strict=True)]
        lines = built.fitted.lines() if built.fitted else []
        found = {"photos": len(asked), "recall@1 of photos": float(np.mean(right)), "lines": lines}
        rows.append({"budget MB": budget_mb, "bytes": built.size_bytes, **found})
    return rows


def format_lines(rows: list[Row]) -> str:
    """Return the figures as lines."""
    parts: list[str] = []
    for row in rows:
        parts += [
            f"{name}: {value}"
            for name, value in row.items()
            if name in _PRINTED or name.endswith((" bytes", " ms", " us"))
        ]
        parts += [*row.get("lines", []), ""]
    return "\n".join(parts)


def table(rows: list[Row]) -> str:
    """Return Markdown: the plan chosen for each budget."""
    lines = ["| budget, MB | file, MB | searched by | recall@1 | shown besides |", "|---|---|---|---|---|"]
    for row in (row for row in rows if "budget MB" in row):
        named = {how: [key.removeprefix(how) for key in row if key.startswith(how)] for how in ("taken ", "kept ")}
        if "refused" in row:
            lines.append(f"| {row['budget MB']} | | {row['refused'].partition(': ')[2]} | | |")
        elif named["taken "]:
            cells = f"{row['bytes'] / 1e6:.2f}", named["taken "][0], f"{row['recall@1']:.3f}"
            lines.append(f"| {row['budget MB']} | {' | '.join(cells)} | {'; '.join(named['kept ']) or '-'} |")
    return "\n".join(lines)


_PRINTED = ("budget MB", "bytes", "refused", "photos", "recall@1 of photos")


def _stage_bundle(x: np.ndarray, stage: Path, seed: int) -> StagedBundle:
    """Stage a bundle of made-up products; local features are random, pictures are those of a few drawn products."""
    for part in (MODEL, INDEX):
        (stage / part).mkdir(parents=True)
    copy_model(default_model(), "int8", stage / MODEL)
    embedder = Embedder.open(default_model(), threads=2)
    index = CompactIndex.build(x, embedder.space, seed=seed)
    index.write(stage / INDEX)
    local = local_features_cost.make_index(len(x), seed)
    local.write(stage / LOCAL_FILE)
    write_twins(stage.parent / "drawn", families=4, photos=1, seed=seed)
    files = sorted(stage.parent.glob("drawn/pictures/*.jpg"))
    drawn = [image.thumbnail(image.read(path), PICTURE_SIDE) for path in files]
    with open(stage / PICTURES, "wb") as file:
        file.writelines(drawn[row % len(drawn)] for row in range(len(x)))
    products = [_product(seed, number) for number in range(len(x))]
    starts = np.cumsum([0, *(len(drawn[row % len(drawn)]) for row in range(len(x)))]).tolist()
    places = [
        [Picture(row, f"pictures/{one.sku}.jpg", starts[row], starts[row + 1] - starts[row])]
        for row, one in enumerate(products)
    ]
    sqlite_catalog.write(stage / CATALOG, zip(products, places, strict=True))
    full_text.write(stage / full_text.FILE, products)
    golden = GoldenQueries.record(embedder, index, lambda row: drawn[row % len(drawn)], range(len(index)))
    golden.write(stage / GOLDEN_FILE)
    return StagedBundle(stage, len(x), x, embedder, index, local, seed)


def _product(seed: int, number: int) -> Product:
    made = make_product(seed, number)
    return Product(**{name: getattr(made, name) for name in Product.__dataclass_fields__ if name != "attributes"})


def _move_stage(staged: StagedBundle, folder: Path) -> StagedBundle:
    return replace(staged, folder=folder)


def _measure_queries_us(indexes: list[CompactIndex], queries: np.ndarray) -> Row:
    """Return the median query time of the whole index and of the chosen one, queried in turn."""
    times: list[list[float]] = [[], []]
    for query in queries[:ASKED]:
        for index, taken in zip(indexes, times, strict=True):
            start = time.perf_counter()
            index.search(query[None], 10)
            taken.append((time.perf_counter() - start) * 1e6)
    whole, chosen = (round(float(np.median(taken))) for taken in times)
    return {"query us": chosen, "query of the whole us": whole}


def _measure_opening_ms(stage: Path) -> Row:
    """Return the processor time to open the catalogue, as it is and packed."""
    packed, into = packed_catalog.pack(stage / CATALOG), stage.parent / "unpacked"
    times: dict[str, list[float]] = {"catalogue opened ms": [], "packed catalogue opened ms": []}
    for _ in range(OPENED):
        start = time.process_time()
        into.write_bytes((stage / CATALOG).read_bytes())
        Catalog(into).close()
        middle = time.process_time()
        into.unlink()
        packed_catalog.unpack(packed, into)
        Catalog(into).close()
        end = time.process_time()
        into.unlink()
        times["catalogue opened ms"].append((middle - start) * 1000)
        times["packed catalogue opened ms"].append((end - middle) * 1000)
    return {name: round(float(np.median(ms)), 1) for name, ms in times.items()}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument("--data", choices=["embeddings", "synthetic", "groceries"], default="embeddings")
    parser.add_argument(
        "--products", type=int, default=50_000, help="number of made-up products, a picture each (default: 50,000)"
    )
    parser.add_argument("--budget-mb", type=float, nargs="+", default=[5, 6, 8, 10, 20, 24], metavar="X")
    parser.add_argument("--kept", type=Path, default=Path("build/index"), help="folder where embeddings are kept")
    add_data(parser, "--photos")


def run(options: argparse.Namespace, folder: Path) -> Results:
    """Run `measure` or `groceries`."""
    if options.data != "synthetic":
        require_photos(options.photos, "--photos")
    if options.data == "groceries":
        rows = groceries(options.photos, [None, *options.budget_mb], folder)
    else:
        if options.data == "embeddings":
            given = vectors.embeddings(options.photos, default_model(), options.products, options.kept, SEED)
        else:
            given = vectors.synthetic(options.products, Embedder.open(default_model()).config.dim, SEED)
        x, queries = map(np.ascontiguousarray, given)
        rows = measure(x, queries, options.budget_mb, folder, SEED)
    return {
        "data": options.data,
        "budgets": rows,
        "table": table(rows),
        "markdown": format_lines(rows),
        "note": "sizes in bytes, MB of a million.",
    }
