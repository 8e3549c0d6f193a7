"""Measure whether the regions shown by `search --explain` are those that made two pictures match.

The measures are deletion and insertion scores (Petsiuk et al., RISE, BMVC 2018): parts of a photo are covered with
grey, or restored in a grey photo, the strongest first, while the cosine with the matched picture is recorded. For a
good map the area under this curve is small for deletion and large for insertion. The map is compared with the network's
own response and with random orders.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from demo_shop import catalogue_picture, lone_photo, make_product
from PIL import Image
from tqdm import tqdm

from edgesearch.embedding.embedder import Embedder
from edgesearch.embedding.shipped_models import default_model
from edgesearch.images import crops, image
from edgesearch.search.explanation import CELLS, occlusion_map

from .context import SEED, Results, add_data, require_photos
from .protocols import split

STEPS = 8  # points of a curve
ORDERS = 3  # random orders, averaged
MAPS = ("occlusion", "response", "random")


def pairs(photos: str, data: Path, number: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return photos, each with a picture of the same product.

    Args:    photos: "drawn", or "groceries": photos of `val.txt` with the first photo of `train.txt`, of odd class id.
    Returns: pairs of (H, W, 3) uint8 arrays.
    """
    rng = np.random.default_rng(seed)
    if photos == "drawn":
        products = [make_product(seed, int(place)) for place in rng.permutation(1000)[:number]]
        return [(_pixels(lone_photo(one, rng)), _pixels(catalogue_picture(one))) for one in products]
    folder = data / "groceries"
    train, asked = split(folder, "train.txt"), split(folder, "val.txt")
    known = [(one, train[product][0]) for product in asked if product % 2 for one in asked[product]]
    chosen = [known[place] for place in rng.permutation(len(known))[:number].tolist()]
    return [(image.read(photo, image.WORKING_SIDE), image.read(other)) for photo, other in chosen]


def _pixels(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture.convert("RGB"))


def measure(embedder: Embedder, pairs: Sequence[tuple[np.ndarray, np.ndarray]], seed: int) -> dict[str, float]:
    """Return each map's mean scores, {"occlusion deletion": 0.3, ...}, and the share of pairs in which occlusion wins.

    Args:    pairs: photo and matched picture, (H, W, 3) uint8 each.
    """
    rng, scores = np.random.default_rng(seed), []
    for photo, reference in tqdm(pairs, desc="explain", unit="photo", disable=None):
        other = embedder.embed([reference])[0]
        seen = embedder.config.preprocessing(photo, crops.whole_crop(photo.shape[:2]))
        orders = [rng.random((CELLS, CELLS)) for _ in range(ORDERS)]
        curves = [_curves(embedder, seen, order, other) for order in orders]
        heats = [occlusion_map(embedder, photo, other)[0], _response(embedder, seen)]
        scores.append([*(_curves(embedder, seen, heat, other) for heat in heats), np.mean(curves, 0)])
    found = np.array(scores)  # (pairs, maps, deletion and insertion)
    names = [f"{name} {score}" for name in MAPS for score in ("deletion", "insertion")]
    figures = dict(zip(names, found.mean(0).ravel().tolist(), strict=True))
    for place, name in enumerate(MAPS[1:], 1):
        figures[f"deletion beats {name}"] = float((found[:, 0, 0] < found[:, place, 0]).mean())
        figures[f"insertion beats {name}"] = float((found[:, 0, 1] > found[:, place, 1]).mean())
    return figures | {"photos": len(pairs)}


def _response(embedder: Embedder, seen: np.ndarray) -> np.ndarray:
    """Return the network's own response, (CELLS, CELLS), sampled at the nearest cells."""
    response = embedder.run(seen[None])[1][0]
    nearest = ((np.arange(CELLS) + 0.5) * len(response) / CELLS).astype(int)
    return np.asarray(response[np.ix_(nearest, nearest)])


def _curves(embedder: Embedder, seen: np.ndarray, heat: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Return the areas under the curves of deletion and insertion; seen: (3, S, S) float32, other: (D,) float32."""
    order = np.argsort(-heat.ravel(), kind="stable")
    edges = np.linspace(0, seen.shape[1], CELLS + 1).astype(int)
    grey = np.broadcast_to(seen.mean((1, 2), keepdims=True), seen.shape)
    inputs = []
    for first, second in ((seen, grey), (grey, seen)):
        for step in range(STEPS + 1):
            mixed = first.copy()
            for cell in order[: round(step / STEPS * len(order))].tolist():
                y, x = divmod(cell, CELLS)
                part = (slice(None), slice(edges[y], edges[y + 1]), slice(edges[x], edges[x + 1]))
                mixed[part] = second[part]
            inputs.append(mixed)
    cosines = (embedder.run(np.stack(inputs))[0] @ other).reshape(2, STEPS + 1)
    deletion, insertion = ((row[:-1] + row[1:]).mean() / 2 for row in cosines)
    return float(deletion), float(insertion)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument("--photos", choices=["drawn", "groceries"], default="drawn")
    parser.add_argument("--number", type=int, default=24, help="number of photos (default: 24)")
    add_data(parser)


def run(options: argparse.Namespace, folder: Path) -> Results:
    """Run the benchmark."""
    if options.photos == "groceries":
        require_photos(options.data)
    return measure(Embedder.open(default_model()), pairs(options.photos, options.data, options.number, SEED), SEED)
