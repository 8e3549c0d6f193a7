"""Measure word search: the cost of typos, what words add to a photo, time and bytes with very many products."""

import argparse
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
from demo_shop import write_catalogue
from demo_shop.products import make_product

import edgesearch
from edgesearch.catalog import sqlite_catalog
from edgesearch.catalog.loader import read_queries
from edgesearch.catalog.product import OPTIONAL, Product
from edgesearch.catalog.sqlite_catalog import Catalog, Picture
from edgesearch.text import full_text, text_query
from edgesearch.text.full_text import WordIndex, WordSearch
from edgesearch.text.product_table import ProductTable
from edgesearch.text.spelling import MIN_LETTERS
from edgesearch.text.terms import fold

from .context import SEED, Results

ASKED, AGAIN = 200, 7
LETTERS = "abcdefghijklmnopqrstuvwxyz"
COLOURS = ("red", "blue", "green", "white", "black, grey")
K = 5
Figures = dict[str, float]


def measure(products: int, folder: Path, seed: int) -> Figures:
    """Return all figures of word search; products: number of made-up products, without pictures, for time and bytes."""
    return typos(2000, seed) | fusion(folder, seed) | scale(products, folder, seed)


def typos(products: int, seed: int) -> Figures:
    """Return recall@5 of names with a typo in one word and in each word, and of the names as they are."""
    rng = np.random.default_rng(seed)
    made = [_product(seed, index) for index in range(products)]
    found = WordSearch(WordIndex(None, lambda: made), {}, products)
    everything = np.ones(products, bool)
    asked = rng.choice(products, min(products, ASKED), replace=False).tolist()

    def recall(change: Callable[[str], str]) -> float:
        first = [found.rank(change(made[number].name)).order(everything)[:K] for number in asked]
        return float(np.mean([number in best for number, best in zip(asked, first, strict=True)]))

    return {
        "names recall@5": recall(lambda name: name),
        "names with a typo recall@5": recall(lambda name: misspelt(name, rng)),
        "names with a typo in each word recall@5": recall(lambda name: misspelt(name, rng, everywhere=True)),
    }


def misspelt(text: str, rng: np.random.Generator, everywhere: bool = False) -> str:
    """Insert, delete, replace or swap letters in one word of letters, or in each."""
    parts = fold(text).split()
    places = [n for n, part in enumerate(parts) if part.isalpha() and len(part) >= MIN_LETTERS]
    for place in places if everywhere else rng.choice(places, 1).tolist():
        part = parts[place]
        at, letter = int(rng.integers(len(part) - 1)), str(rng.choice(list(LETTERS)))
        parts[place] = (
            part[:at] + letter + part[at:],
            part[:at] + part[at + 1 :],
            part[:at] + letter + part[at + 1 :],
            part[:at] + part[at + 1] + part[at] + part[at + 2 :],
        )[rng.integers(4)]
    return " ".join(parts)


def fusion(folder: Path, seed: int, products: int = 60) -> Figures:
    """Return recall@1 and @5 in a drawn shop for the photo alone, for words alone, and for both.

    The words are the kind and the variant, such as "mug orchard": a customer knows them, and several products share
    them.
    """
    write_catalogue(folder / "shop", products, 0, 4, seed)
    edgesearch.build(folder / "shop" / "catalogue.csv", folder / "shop.edge", seed=seed)
    queries = read_queries(folder / "shop" / "queries.csv")
    figures: Figures = {}
    with edgesearch.open(folder / "shop.edge") as store:
        for name, make_query in _query_makers(seed).items():
            places = []
            for photo, sku in queries:
                shown, text = make_query(photo, int(sku[1:]))
                where = None if text is None else ""
                skus = [match.sku for match in store.search(shown, K, text=text, where=where).matches]
                places.append(skus.index(sku) if sku in skus else K)
            figures |= {f"{name} recall@{k}": float(np.mean(np.array(places) < k)) for k in (1, K)}
    return figures


def _query_makers(seed: int) -> Mapping[str, Callable[[Path, int], tuple[Path | None, str | None]]]:
    """Return functions that make the photo and the words of a query from a photo and the number of its product."""

    def kind(index: int) -> str:
        return make_product(seed, index).noun

    def both(index: int) -> str:
        return f"{kind(index)} {make_product(seed, index).variant}"

    return {
        "photo": lambda photo, _: (photo, None),
        "kind": lambda _, index: (None, kind(index)),
        "kind and variant": lambda _, index: (None, both(index)),
        "photo and kind": lambda photo, index: (photo, kind(index)),
        "photo, kind and variant": lambda photo, index: (photo, both(index)),
    }


def scale(products: int, folder: Path, seed: int) -> Figures:
    """Return time and bytes of the index of many products, and of queries to it; times are p50 in ms."""
    made = [_product(seed, index) for index in range(products)]
    sqlite_catalog.write(folder / "catalog.sqlite", _with_pictures(made))
    start = time.perf_counter()
    full_text.write(folder / full_text.FILE, made)
    built = time.perf_counter() - start
    known = Catalog(folder / "catalog.sqlite")
    start = time.perf_counter()
    table, found = (
        ProductTable(known, {}, ()),
        WordSearch(WordIndex(folder / full_text.FILE, lambda: made), {}, products),
    )
    opened = time.perf_counter() - start

    def median_query_ms(text: str | None = None, where: str | None = None) -> float:
        def ask() -> None:
            one = text_query.interpret(table, lambda: found, text, where, photo=False)
            assert len(one.answer(table)[0])

        return _median_ms(ask)

    name, brand = made[products // 2].name, made[products // 2].brand
    return {
        "index_bytes_a_product": (folder / full_text.FILE).stat().st_size / products,
        "catalogue_bytes_a_product": (folder / "catalog.sqlite").stat().st_size / products,
        "index_s": built,
        "open_ms": opened * 1000,
        "first_filter_ms": _once_ms(lambda: filter_once(table, "price<5 and colour=red")),
        "filter_ms": median_query_ms(where="price<5 and colour=red"),
        "name_ms": median_query_ms(name, ""),
        "first_typo_ms": _once_ms(lambda: found.rank("zzkaffea")),
        "typo_ms": median_query_ms("coffe", ""),
        "brand_and_filter_ms": median_query_ms(str(brand), "stock>0"),
        "sentence_ms": median_query_ms("red mug under 50"),
    }


def filter_once(table: ProductTable, where: str) -> None:
    """Search with a filter alone."""
    text_query.interpret(table, _no_words, None, where, photo=False)


def _no_words() -> WordSearch:
    raise AssertionError("a filter needs no words")


def _once_ms(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1000


def _median_ms(work: Callable[[], object]) -> float:
    return float(np.median([_once_ms(work) for _ in range(AGAIN)]))


def _product(seed: int, index: int) -> Product:
    drawn = make_product(seed, index)
    columns = {name: getattr(drawn, name) for name in OPTIONAL}
    return Product(drawn.sku, drawn.name, **columns, attributes=(("colour", COLOURS[index % len(COLOURS)]),))


def _with_pictures(products: list[Product]) -> Iterator[tuple[Product, list[Picture]]]:
    for row, product in enumerate(products):
        yield product, [Picture(row, f"{product.sku}.jpg", 0, 1)]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument("--products", type=int, default=100_000, help="number of made-up products (default: 100,000)")


def run(options: argparse.Namespace, folder: Path) -> Results:
    """Run the benchmark."""
    return measure(options.products, folder, SEED) | {"products": options.products}
