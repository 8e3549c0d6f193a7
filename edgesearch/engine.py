"""The object users hold: open a store, show it a photo, get an answer."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from .bundle import Bundle
from .catalog import Catalog, Product
from .decision import Calibration, Decision
from .embedder import CONFIG_FILE, Embedder, ModelConfig
from .errors import BundleError
from .image import Photo
from .index import ARRAYS_FILE, ROUTER_FILE, CompactIndex
from .manifest import sha256

# Where the parts lie inside a bundle.
MODEL, INDEX, CATALOG, PICTURES = "model/", "index/", "catalog.sqlite", "pictures.bin"
ROWS_PER_RESULT = 4  # rows asked of the index for each product wanted, before asking again for more
T = TypeVar("T")


@dataclass(frozen=True)
class Match:
    """One product that was found.

    Attributes: score: cosine of the photo and its best reference image; image: that image as the catalogue names it;
                row: the number of that image, for `Store.picture`.
    """

    product: Product
    score: float
    image: str
    row: int

    @property
    def sku(self) -> str:
        """The product's SKU."""
        return self.product.sku

    @property
    def name(self) -> str:
        """The product's name."""
        return self.product.name

    @property
    def price(self) -> float | None:
        """The product's price, in its currency."""
        return self.product.price

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form: the product's details, score and image."""
        details = {key: value for key, value in vars(self.product).items() if key != "attributes"}
        found = {"sku": self.sku, "name": self.name, "score": round(self.score, 4), "image": self.image}
        return found | details | {"attributes": dict(self.product.attributes)}


@dataclass(frozen=True)
class Answer:
    """What one photo found.

    Attributes: photo: its name; matches: best first, kept even when the decision is "unknown"; elapsed_ms: by stage.
    """

    photo: str
    decision: Decision
    matches: tuple[Match, ...]
    elapsed_ms: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form, as `edgesearch search --json` prints it."""
        elapsed = {stage: round(ms, 3) for stage, ms in self.elapsed_ms.items()}
        matches = [match.to_dict() for match in self.matches]
        return {"photo": self.photo, "decision": self.decision, "matches": matches, "elapsed_ms": elapsed}


class Store:
    """An open catalogue with its model. Safe to share between threads."""

    def __init__(self, bundle: Bundle, threads: int = 1):
        """
        Args:    threads: of the network, for one photo.
        Raises:  EdgeSearchError: the parts do not belong together, or one of them is damaged.
        """
        self.bundle = bundle
        self.embedder = _embedder(bundle, threads)
        self.index = CompactIndex.open(
            bundle.member(INDEX + ARRAYS_FILE), bundle.get(INDEX + ROUTER_FILE), bundle.mapped
        )
        self.calibration = _calibration(bundle)
        self._pictures = bundle.member(PICTURES)
        self.catalog = Catalog(bundle.unpacked(CATALOG))
        try:
            self._check_parts()
        except BundleError:
            self.catalog.close()
            raise

    def search(self, photo: Photo, k: int = 5, fast: bool = False) -> Answer:
        """Find the products that a photo shows.

        Args:    photo: path, encoded bytes, PIL image, or (H, W, 3) uint8 RGB array; k: products wanted;
                 fast: one look at the photo, its centre, instead of three; less than half the time, and less accurate.
        Raises:  ImageError: the photo cannot be read; ValueError: k < 1.
        """
        if k < 1:
            raise ValueError(f"k is {k}; expected at least 1.")
        elapsed: dict[str, float] = {}
        pixels = _timed(elapsed, "image", lambda: self.embedder.read(photo))
        embedding = _timed(elapsed, "embed", lambda: self.embedder.embed([pixels], fast))
        found = _timed(elapsed, "index", lambda: self._products(embedding, k))
        self.index.let_go()
        matches = _timed(elapsed, "catalog", lambda: self._matches(found))
        elapsed["total"] = sum(elapsed.values())
        decision = self.calibration.decide(np.array([score for _, score in found[:2]]))
        return Answer(_photo_name(photo), decision, matches, elapsed)

    def embed(self, photos: Sequence[Photo], fast: bool = False) -> np.ndarray:
        """Embeddings of photos, as `search` uses them: (B, D) float32, unit rows; raises ImageError."""
        return self.embedder.embed_photos(photos, fast)

    def picture(self, match: Match) -> bytes:
        """The reference image of a match, as a small JPEG."""
        ((_, place),) = self.catalog.find([match.row])
        return bytes(self._pictures[place.start : place.start + place.size])

    def close(self) -> None:
        """Close the catalogue and remove temporary files; the store is not used afterwards."""
        self.catalog.close()
        self.bundle.close()

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check_parts(self) -> None:
        """Fail closed where parts do not belong together: scores of two embedding spaces are nonsense."""
        path, found = self.bundle.path, bindings(self.embedder, self.index)
        for part, digest in found.items():
            if self.bundle.manifest.hashes.get(part) != digest:
                raise BundleError(f"{path}: its {part} is not the one it was built with; build the bundle again.")
        if self.index.space != self.embedder.space or len(self.index) != self.catalog.rows:
            raise BundleError(
                f"{path}: the index holds {len(self.index)} rows for model {self.index.space[:8]}, but there are "
                f"{self.catalog.rows} pictures and model {self.embedder.space[:8]}; build the bundle again."
            )

    def _products(self, embedding: np.ndarray, k: int) -> list[tuple[int, float]]:
        """Best row and score of the k best products; the best picture of a product speaks for it."""
        wanted = min(k, len(self.catalog))
        rows = min(len(self.index), k * ROWS_PER_RESULT)
        while True:
            hits = self.index.search(embedding, rows)
            best: dict[int, tuple[int, float]] = {}
            for row, score in zip(hits.rows[0].tolist(), hits.scores[0].tolist(), strict=True):
                if row >= 0:
                    best.setdefault(self.catalog.owner(row), (row, score))
            if len(best) >= wanted or rows >= len(self.index):
                return list(best.values())[:k]
            rows = min(len(self.index), rows * 4)

    def _matches(self, found: list[tuple[int, float]]) -> tuple[Match, ...]:
        details = self.catalog.find([row for row, _ in found])
        return tuple(
            Match(product, score, picture.source, row)
            for (row, score), (product, picture) in zip(found, details, strict=True)
        )


def open(path: str | os.PathLike[str], threads: int = 1) -> Store:
    """Open a store: verify every byte of it, then load it.

    Args:    path: a `.edge` file; threads: of the network, for one photo.
    Raises:  EdgeSearchError: it is not a bundle, or damaged, or its parts do not belong together.
    """
    bundle = Bundle(Path(path))
    try:
        return Store(bundle, threads)
    except BaseException:
        bundle.close()
        raise


def bindings(embedder: Embedder, index: CompactIndex) -> dict[str, str]:
    """The hashes by which a manifest binds model, preprocessing, codebook and index to each other."""
    rotation, codebook = index.blocks.rotation, index.blocks.codebook
    return {
        "model": embedder.network_sha256,
        "preprocessing": embedder.config.preprocessing.digest(),
        "codebook": sha256(rotation.tobytes() + codebook.tobytes()),
        "index": index.space,
    }


def _embedder(bundle: Bundle, threads: int) -> Embedder:
    config = ModelConfig.parse(bytes(bundle.member(MODEL + CONFIG_FILE)), f"{bundle.path}: {MODEL}{CONFIG_FILE}")
    if len(config.files) != 1:
        raise BundleError(f"{bundle.path}: its model names {len(config.files)} networks, expected one; build it again.")
    ((file, _),) = config.files.values()
    return Embedder(config, bytes(bundle.member(MODEL + file)), threads)


def _calibration(bundle: Bundle) -> Calibration:
    try:
        return Calibration.from_dict(dict(bundle.manifest.calibration))
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(f"{bundle.path}: its calibration lacks or has a wrong {error}; build it again.") from error


def _timed(elapsed: dict[str, float], stage: str, work: Callable[[], T]) -> T:
    start = time.perf_counter()
    done = work()
    elapsed[stage] = (time.perf_counter() - start) * 1000
    return done


def _photo_name(photo: Photo) -> str:
    return os.fspath(photo) if isinstance(photo, (str, os.PathLike)) else "photo"
