"""Learn the whitening of a model: a linear map that evens out how pictures of one product differ.

Four scatters are added, each scaled to the same trace: of photos around the mean of their product, and of photos around
their product's catalogue picture, for groceries and for objects pasted onto backgrounds. The map is the inverse square
root of the sum, shrunk towards an even one by `SHRINKAGE` times its mean. Both kinds of products are needed: a map
learned from groceries alone finds fewer objects.

The shrinkage was chosen on halves of the training products (mobilenet_v2_v4, vectors alone, recall@1, mean of six
halves): groceries from one catalogue picture .734 without and .749 with the map, from five photos .955 and .962;
objects from one view .918 and .933, from six .956 and .962. With a shrinkage of 1 or 8 they are .750 or .746, .964 or
.959, .933 or .930, .957 or .962. These are with the projection of that model; behind one that `project` fitted, 8 is
better than 4: groceries from one catalogue picture .701 and .696, objects .887 and .889 (`project`'s table).

N pictures, D embedding dimensions.
"""

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from edgesearch.embedding.embedder import Embedder
from edgesearch.embedding.whitening import FILE, Whitening

from . import model_folder
from .training_pictures import Source, rgba

GROUPS = ("groceries", "objects")
SHRINKAGE = 8.0
PHOTOS = 24  # of each product
FRAME_SIDE = 256  # px; of the background that an object is pasted onto
SCALES = 0.45, 0.85  # longer side of the object / side of the background


def whiten(folder: Path, sources: list[Source], precision: str = "int8") -> Whitening:
    """Learn the map of a model folder from training pictures, and add it to the folder.

    Args:
        folder: the model folder.
        sources: training pictures; those of `GROUPS` and "background" are used.
        precision: the network to embed with.
    """
    embedder = Embedder.open(folder, precision)
    backgrounds = [source.path for source in sources if source.group == "background"]
    total = np.zeros((embedder.config.dim, embedder.config.dim))
    for group in GROUPS:
        chosen = [source for source in sources if source.group == group]
        for scatter in scatters(*_embed(embedder, list(choose(chosen)), backgrounds)):
            total += scatter / np.trace(scatter)
    learned = Whitening.from_scatter(total, SHRINKAGE)
    learned.write(folder / FILE)
    model_folder.add_whitening(folder, {"groups": list(GROUPS), "shrinkage": SHRINKAGE, "photos": PHOTOS})
    return learned


def scatters(rows: np.ndarray, product: np.ndarray, clean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the scatter of photos around their product's mean, and around its catalogue pictures' mean.

    Each product counts alike. Products without two photos, or without a catalogue picture, are left out.

    Args:
        rows: (N, D) float32, unit rows.
        product: (N,) str.
        clean: (N,) bool, whether each is a catalogue picture.
    Returns:
        Two (D, D) float64.
    """
    around_mean = np.zeros((rows.shape[1], rows.shape[1]))
    around_catalogue = np.zeros_like(around_mean)
    for name in np.unique(product):
        photos = rows[(product == name) & ~clean].astype(np.float64)
        pictures = rows[(product == name) & clean].astype(np.float64)
        if len(photos) > 1 and len(pictures):
            around_mean += np.cov(photos, rowvar=False)
            off = photos - pictures.mean(0)
            around_catalogue += off.T @ off / len(photos)
    return around_mean, around_catalogue


def choose(sources: Iterable[Source]) -> Iterator[Source]:
    """Yield all catalogue pictures, and at most `PHOTOS` evenly chosen photos of each product."""
    photos: dict[str, list[Source]] = defaultdict(list)
    for source in sources:
        if source.clean:
            yield source
        else:
            photos[source.product].append(source)
    for found in photos.values():
        yield from found[:: max(1, len(found) // PHOTOS)][:PHOTOS]


def _embed(
    embedder: Embedder, sources: list[Source], backgrounds: list[Path]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Embed catalogue pictures as references, and photos as queries; returns the arguments of `scatters`."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = pool.map(lambda source: _embed_one(embedder, source, backgrounds), sources)
        rows = list(tqdm(found, total=len(sources), desc="whiten", disable=None))
    product, clean = np.array([s.product for s in sources]), np.array([s.clean for s in sources])
    return np.concatenate(rows), product, clean


def _embed_one(embedder: Embedder, source: Source, backgrounds: list[Path]) -> np.ndarray:
    """Embed one picture as a build or a search does: (1, D) float32."""
    if source.clean:
        return embedder.embed_references([embedder.read(source.path)])[0]
    return embedder.embed([embedder.read(photo(source, backgrounds))])


def photo(source: Source, backgrounds: list[Path]) -> Path | Image.Image:
    """Return the photo that a device sees: the picture itself, or an object pasted on a background."""
    return paste(source, backgrounds) if source.group == "objects" else source.path


def paste(source: Source, backgrounds: list[Path]) -> Image.Image:
    """Put a cut-out at a random scale and position on a random background, all derived from its name."""
    seed = hashlib.sha256(f"{source.product}/{source.path.stem}".encode()).digest()[:8]
    rng = np.random.default_rng(list(seed))
    with Image.open(backgrounds[rng.integers(len(backgrounds))]) as picture:
        frame = picture.convert("RGB").resize((FRAME_SIDE, FRAME_SIDE), Image.Resampling.BICUBIC)
    cut = rgba(source)
    scale = rng.uniform(*SCALES) * FRAME_SIDE / max(cut.size)
    cut = cut.resize((max(1, round(cut.width * scale)), max(1, round(cut.height * scale))), Image.Resampling.BICUBIC)
    left, top = (int(rng.integers(0, FRAME_SIDE - side + 1)) for side in cut.size)
    frame.paste(cut, (left, top), cut)
    return frame
