"""Made-up shoppers with known preferences: what a profile gains them, and what it costs a photo search.

A shopper prefers some brands, colours and prices, and values each product for further reasons of its own. The shopper
sees alternatives to a product, picks one by preference and chance, and so on; then sees alternatives to products that
were not used before. nDCG@5 (Jarvelin and Kekalainen, TOIS 2002) compares these with the best five of the twenty most
similar products. A shopper without preferences values products for their own reasons only.

The shop is drawn, with eight brands and a colour for each product, so that there is something to prefer.
"""

import argparse
import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from demo_shop import write_catalogue
from demo_shop.products import FAMILY, make_product
from tqdm import tqdm

import edgesearch
from edgesearch import Match, Store
from edgesearch.catalog.loader import read, read_queries
from edgesearch.catalog.product import Product
from edgesearch.device.overlay_gallery import merge_overlay
from edgesearch.embedding.embedder import Embedder
from edgesearch.embedding.shipped_models import default_model
from edgesearch.search.gallery import Gallery
from edgesearch.search.preference import traits_of
from edgesearch.search.similar import RELEVANCE, AlternativeFilter, find_similar

from .context import SEED, Results

HOUSES = ("Alm", "Birk", "Corv", "Dorn", "Elva", "Fjor", "Gren", "Hald")
COLOURS = ("red", "orange", "green", "cyan", "blue", "purple")
DEALT = "dealt.csv"  # the catalogue with the assigned brands and colours
PRODUCTS, UNKNOWN, PHOTOS = 240, 2, 1
SHOPPERS = 40
PICKS = 30
ASKED = 30  # products whose alternatives are evaluated
POOL = 20  # most similar products, from which the ideal ranking is taken
K = 5
GRADES = 5
STRENGTH = {"brand": 1.0, "colour": 0.5, "price": 0.5}  # standard deviation of a shopper's preferences
OWN = 0.5  # standard deviation of a product's own worth
CHANCE = 0.5  # scale of the Gumbel noise of a pick
SearchedPhoto = tuple[Sequence[Match], str]  # matches of a photo, and its right SKU


@dataclass(frozen=True)
class Shopper:
    """A shopper; worth: of each product, by SKU."""

    worth: dict[str, float]

    @classmethod
    def make_up(cls, products: Sequence[Product], strength: float, rng: np.random.Generator) -> "Shopper":
        """Make up a shopper; strength: of the preferences, 0 for none."""
        tastes: dict[tuple[str, str], float] = {}
        worth = {}
        for product in products:
            traits = [trait for trait in traits_of(product).items() if trait[0] in STRENGTH]
            for trait in traits:
                tastes.setdefault(trait, strength * STRENGTH[trait[0]] * float(rng.standard_normal()))
            worth[product.sku] = sum(tastes[trait] for trait in traits) + OWN * float(rng.standard_normal())
        return cls(worth)

    def pick(self, shown: Sequence[str], rng: np.random.Generator) -> str:
        """Pick one of the shown products."""
        return shown[int(np.argmax([self.worth[sku] + CHANCE * rng.gumbel() for sku in shown]))]

    def ndcg(self, shown: Sequence[str], pool: Sequence[str]) -> float:
        """Return nDCG@K of the shown products, with grades from equal parts of the pool ranked by worth."""
        order = sorted(pool, key=lambda sku: self.worth[sku])
        gains = {sku: 2.0 ** (place * GRADES // len(order)) - 1 for place, sku in enumerate(order)}
        discounts = 1 / np.log2(np.arange(2, K + 2))
        best = sorted(gains.values(), reverse=True)[:K]
        return float(np.dot([gains.get(sku, 0.0) for sku in shown], discounts) / np.dot(best, discounts))


def measure(kept: Path, seed: int, shoppers: int = SHOPPERS, products: int = PRODUCTS) -> dict[str, float]:
    """Replay shoppers with and without a profile; kept: folder where the shop is kept for the next run."""
    folder = kept / f"shop-{products}-{seed}-{Embedder.open(default_model()).space[:12]}"
    if not (folder / "device" / "current").exists():  # written last
        make_shop(folder, products, seed)
    rng = np.random.default_rng([seed, 1])
    listed = [entry.product for entry in read(folder / DEALT).entries]
    with edgesearch.open(folder / "device") as store:
        store.profile.erase()
        found = diversity(store, [product.sku for product in listed])
        asked = [(store.search(photo, k=K).matches, sku) for photo, sku in read_queries(folder / "queries.csv") if sku]
        found |= _recall(asked)
        for name, strength in (("taste", 1.0), ("no taste", 0.0)):
            replays = [
                _replay(store, Shopper.make_up(listed, strength, rng), asked, rng)
                for _ in tqdm(range(shoppers), desc="shoppers", disable=None)
            ]
            found |= _summary(replays, name)
    return found


def make_shop(folder: Path, products: int, seed: int) -> None:
    """Draw a shop, assign brands and colours, and install it in a device folder."""
    write_catalogue(folder, products=products, unknown=UNKNOWN, photos=PHOTOS, seed=seed)
    with open(folder / "catalogue.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        index = int(row["sku"][1:])
        red, green, blue = make_product(seed, index).design.main
        turn = np.degrees(np.arctan2(3**0.5 * (green - blue), 2 * red - green - blue)) % 360
        row["colour"] = COLOURS[int(turn // (360 / len(COLOURS)))]
        row["brand"] = HOUSES[index // FAMILY % len(HOUSES)]
    with open(folder / DEALT, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    edgesearch.build(folder / DEALT, folder / "shop.edge")
    edgesearch.install(folder / "shop.edge", folder / "device")


def diversity(store: Store, skus: Sequence[str]) -> dict[str, float]:
    """Return how similar the alternatives to all products are, as the nearest ones and as `similar` chooses them."""
    gallery = _merged_gallery(store)
    found: dict[str, float] = {}
    for name, relevance in (("nearest", 1.0), ("chosen", RELEVANCE)):
        rows = []
        for sku in skus:
            matches = find_similar(gallery, sku, K, AlternativeFilter(), None, relevance)
            vectors = gallery.vectors(np.array([match.row for match in matches]))  # a product has one picture
            among = (vectors @ vectors.T)[np.triu_indices(K, 1)]
            brands = {match.product.brand for match in matches}
            near = float(np.mean([match.score for match in matches]))
            rows.append((near, float(among.mean()), float(among.max()), float(len(brands))))
        to, mean, most, brands_shown = np.mean(rows, axis=0).tolist()
        found |= {f"{name}: cosine to the product": to, f"{name}: cosine among them": mean}
        found |= {f"{name}: highest among them": most, f"{name}: brands": brands_shown}
    return found


def _replay(
    store: Store, shopper: Shopper, asked: Sequence[SearchedPhoto], rng: np.random.Generator
) -> dict[str, float]:
    """Replay one shopper on a device without a profile, and erase the profile afterwards."""
    order = rng.permutation(sorted(shopper.worth)).tolist()
    judged = order[PICKS : PICKS + ASKED]
    gallery, before = _merged_gallery(store), [_find_similar(store, sku) for sku in judged]
    pools = [
        [match.sku for match in find_similar(gallery, sku, POOL, AlternativeFilter(), None, 1.0)] for sku in judged
    ]
    store.profile.switch(True)
    for sku in order[:PICKS]:
        shown = _find_similar(store, sku)
        store.feedback(shown, shopper.pick(shown, rng))
    after, preference = [_find_similar(store, sku) for sku in judged], store.profile.preference()
    assert preference is not None
    store.profile.erase()
    assert [_find_similar(store, sku) for sku in judged[:3]] == before[:3]  # no trace is left
    ranked = [(preference.rerank(matches), sku) for matches, sku in asked]
    moved = [before != after for (before, _), (after, _) in zip(asked, ranked, strict=True)]
    return {
        f"nDCG@{K} without": float(np.mean([shopper.ndcg(*one) for one in zip(before, pools, strict=True)])),
        f"nDCG@{K} with": float(np.mean([shopper.ndcg(*one) for one in zip(after, pools, strict=True)])),
        "share of alternatives that are others": float(
            np.mean([len({*a} - {*b}) / K for a, b in zip(after, before, strict=True)])
        ),
        **_recall(ranked),
        "photos answered in another order": float(np.mean(moved)),
    }


def _summary(replays: Sequence[dict[str, float]], name: str) -> dict[str, float]:
    """Return means over shoppers."""
    columns = {key: np.array([replay[key] for replay in replays]) for key in replays[0]}
    gains = columns[f"nDCG@{K} with"] - columns[f"nDCG@{K} without"]
    means = {f"{name}: {key}": float(values.mean()) for key, values in columns.items()}
    error = float(gains.std(ddof=1) / len(gains) ** 0.5)
    return means | {f"{name}: gain": float(gains.mean()), f"{name}: its standard error": error}


def _recall(ranked: Sequence[SearchedPhoto]) -> dict[str, float]:
    return {
        f"recall@{k}": float(np.mean([sku in [match.sku for match in matches[:k]] for matches, sku in ranked]))
        for k in (1, 2, K)
    }


def _find_similar(store: Store, sku: str) -> list[str]:
    return [match.sku for match in store.similar(sku, K)]


def _merged_gallery(store: Store) -> Gallery:
    assert store.overlay is not None
    return merge_overlay(store.base, store.overlay)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument("--shoppers", type=int, default=SHOPPERS, help=f"default: {SHOPPERS}")
    parser.add_argument("--seed", type=int, default=SEED, help=f"seed of shop and shoppers (default: {SEED})")
    parser.add_argument("--kept", type=Path, default=Path("build/personal"), help="folder where the drawn shop is kept")


def run(options: argparse.Namespace, folder: Path) -> Results:
    """Run the benchmark."""
    return measure(options.kept, options.seed, options.shoppers) | {"shoppers": options.shoppers}
