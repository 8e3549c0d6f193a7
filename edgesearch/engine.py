"""The object users hold: open a store, show it a photo, get an answer."""

import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from . import signing
from .bundle import Bundle
from .catalog import Catalog, Product
from .decision import Calibration, Decision
from .embedder import CONFIG_FILE, Embedder, ModelConfig
from .errors import BundleError, EdgeSearchError
from .golden import FILE as GOLDEN_FILE
from .golden import Golden
from .image import Photo
from .index import ARRAYS_FILE, ROUTER_FILE, CompactIndex, Hits
from .local import FILE as LOCAL_FILE
from .local import NOTHING, Evidence, LocalIndex, Print, look
from .manifest import Manifest, sha256
from .slots import Slots, open_bundle
from .views import explained

# Where the parts lie inside a bundle.
MODEL, INDEX, CATALOG, PICTURES = "model/", "index/", "catalog.sqlite", "pictures.bin"
ROWS_PER_RESULT = 4  # rows asked of the index for each product wanted, before asking again for more
SURE_LEAD = 0.1  # of the best cosine, with which the print is not looked at: it never mended what led by so much
VERIFIED = 20  # pictures the embedding is nearest to whose print is compared
NAMED = 10  # and pictures that share most visual words
T = TypeVar("T")


@dataclass(frozen=True)
class Match:
    """One product that was found.

    Attributes: score: cosine of the photo and its nearest reference image, raised where the print of one agrees;
                image: the one whose print agrees, or the nearest, as the catalogue names it; row: its number, for
                `Store.picture`; points: places of its print that agree with the photo, 0 where there are none or it was
                not compared; outline: where the print is in the photo, four corners (x, y) in shares of its width and
                height, none without points; mirrored: it is the photo's mirror image whose print agrees.
    """

    product: Product
    score: float
    image: str
    row: int
    points: int = 0
    outline: tuple[tuple[float, float], ...] = ()
    mirrored: bool = False

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
        """JSON-able form: the product's details, score, image and what agrees."""
        details = {key: value for key, value in vars(self.product).items() if key != "attributes"}
        found = {"sku": self.sku, "name": self.name, "score": round(self.score, 4), "image": self.image}
        found |= {"points": self.points, "outline": [[round(x, 4), round(y, 4)] for x, y in self.outline]}
        found["mirrored"] = self.mirrored
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


@dataclass(frozen=True)
class _Found:
    """A product's best picture, and what its print has in common with the photo."""

    row: int
    cosine: float
    evidence: Evidence = NOTHING

    @property
    def score(self) -> float:
        """The cosine, raised where the print agrees."""
        return self.evidence.raise_score(self.cosine)


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
        features = bundle.get(LOCAL_FILE)
        self.local = LocalIndex.open(features, bundle.mapped) if features is not None else None
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
                 fast: one look at the photo, its centre, instead of three, and none at its print; less than half the
                 time, and less accurate.
        Raises:  ImageError: the photo cannot be read; ValueError: k < 1.
        """
        if k < 1:
            raise ValueError(f"k is {k}; expected at least 1.")
        elapsed: dict[str, float] = {}
        pixels = _timed(elapsed, "image", lambda: self.embedder.read(photo))
        embedding, objects = _timed(elapsed, "embed", lambda: self.embedder.see([pixels], fast))
        near = _timed(elapsed, "index", lambda: self._nearest(embedding, max(k, VERIFIED)))
        found = list(self._by_product(near).values())
        if self.local is not None and not fast and not _sure(found):
            found = _timed(elapsed, "print", lambda: self._verified(near, look(pixels, objects[0]), embedding))
            self.local.let_go()
        self.index.let_go()
        matches = _timed(elapsed, "catalog", lambda: self._matches(found[:k], pixels.shape[:2]))
        elapsed["total"] = sum(elapsed.values())
        scores = np.array([one.score for one in found[:2]])
        decision = self.calibration.decide(scores, found[0].cosine, found[0].evidence.points)
        return Answer(_photo_name(photo), decision, matches, elapsed)

    def embed(self, photos: Sequence[Photo], fast: bool = False) -> np.ndarray:
        """Embeddings of photos, as `search` uses them: (B, D) float32, unit rows; raises ImageError."""
        return self.embedder.embed_photos(photos, fast)

    def picture(self, match: Match) -> bytes:
        """The reference image of a match, as a small JPEG."""
        return self._picture(match.row)

    def self_test(self) -> None:
        """Ask the golden queries; raises BundleError where this device answers otherwise than the one that built it."""
        try:
            golden = Golden.read(self.bundle.member(GOLDEN_FILE))
            golden.check(self.embedder, self.index, self._picture)
        except EdgeSearchError as error:
            raise BundleError(f"{self.bundle.path}: {error}") from error

    def explain(self, photo: Photo, answer: Answer) -> bytes:
        """A JPEG of the photo, where the print of the first match is in it, and that match's reference image beside.

        Raises: ImageError: one of them cannot be read; ValueError: the answer has no match.
        """
        if not answer.matches:
            raise ValueError("the answer has no match to explain.")
        best = answer.matches[0]
        return explained(self.embedder.read(photo), best.outline, self.embedder.read(self.picture(best)))

    def close(self) -> None:
        """Close the catalogue and remove temporary files; the store is not used afterwards."""
        self.catalog.close()
        self.bundle.close()

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _picture(self, row: int) -> bytes:
        ((_, place),) = self.catalog.find([row])
        return bytes(self._pictures[place.start : place.start + place.size])

    def _check_parts(self) -> None:
        """Fail closed where parts do not belong together: scores of two embedding spaces are nonsense."""
        path, found = self.bundle.path, bindings(self.embedder, self.index, self.local)
        for part, digest in found.items():
            if self.bundle.manifest.hashes.get(part) != digest:
                raise BundleError(f"{path}: its {part} is not the one it was built with; build the bundle again.")
        if self.local is not None and len(self.local) != len(self.index):
            raise BundleError(
                f"{path}: its local features are of {len(self.local)} pictures, its index of {len(self.index)}; build "
                "the bundle again."
            )
        if self.index.space != self.embedder.space or len(self.index) != self.catalog.rows:
            raise BundleError(
                f"{path}: the index holds {len(self.index)} rows for model {self.index.space[:8]}, but there are "
                f"{self.catalog.rows} pictures and model {self.embedder.space[:8]}; build the bundle again."
            )

    def _nearest(self, embedding: np.ndarray, k: int) -> list[_Found]:
        """The nearest pictures, nearest first: enough of them to show k products, where there are as many."""
        wanted = min(k, len(self.catalog))
        rows = min(len(self.index), k * ROWS_PER_RESULT)
        while True:
            pictures = _pictures(self.index.search(embedding, rows))
            if len(self._by_product(pictures)) >= wanted or rows >= len(self.index):
                return pictures
            rows = min(len(self.index), rows * 4)

    def _by_product(self, pictures: Iterable[_Found]) -> dict[int, _Found]:
        """The first picture of each product speaks for it."""
        first: dict[int, _Found] = {}
        for one in pictures:
            first.setdefault(self.catalog.owner(one.row), one)
        return first

    def _verified(self, near: list[_Found], photo: Print, embedding: np.ndarray) -> list[_Found]:
        """The products of these pictures and of those that visual words name, as their print orders them.

        A product's nearest picture and the one whose print agrees most need not be the same: photos of a product differ
        in what they show of it.
        """
        assert self.local is not None
        looked = near[:VERIFIED]
        seen = {one.row for one in looked}
        named = [row for row in self.local.candidates(photo, NAMED).tolist() if row not in seen]
        looked = [*looked, *self._compared(named, embedding)]
        evidence = self.local.verify(photo, [one.row for one in looked])
        looked = [replace(one, evidence=agrees) for one, agrees in zip(looked, evidence, strict=True)]
        nearest = self._by_product(sorted([*near, *looked], key=lambda one: -one.cosine))
        agreeing = self._by_product(sorted(looked, key=lambda one: -one.evidence.weight))
        together = [_together(one, agreeing.get(product, one)) for product, one in nearest.items()]
        return sorted(together, key=lambda one: -one.score)

    def _compared(self, rows: list[int], embedding: np.ndarray) -> list[_Found]:
        """Those rows with their cosines."""
        if not rows:
            return []
        mask = np.zeros(len(self.index), bool)
        mask[rows] = True
        return _pictures(self.index.search(embedding, len(rows), allowed=self.index.allow(mask)))

    def _matches(self, found: list[_Found], size: tuple[int, ...]) -> tuple[Match, ...]:
        """size: (H, W) of the photo."""
        details = self.catalog.find([one.row for one in found])
        shares = np.array([max(size) / size[1], max(size) / size[0]])
        return tuple(
            Match(
                product,
                one.score,
                picture.source,
                one.row,
                one.evidence.points,
                tuple((x, y) for x, y in (one.evidence.outline * shares).tolist()),
                one.evidence.mirrored,
            )
            for one, (product, picture) in zip(found, details, strict=True)
        )


def _pictures(hits: Hits) -> list[_Found]:
    """What one query found."""
    pairs = zip(hits.rows[0].tolist(), hits.scores[0].tolist(), strict=True)
    return [_Found(row, cosine) for row, cosine in pairs if row >= 0]


def _together(nearest: _Found, agreeing: _Found) -> _Found:
    """Two pictures of one product: the cosine of the one, the print of the other."""
    return replace(agreeing if agreeing.evidence.points else nearest, cosine=nearest.cosine, evidence=agreeing.evidence)


def _sure(found: list[_Found]) -> bool:
    return len(found) < 2 or found[0].score - found[1].score >= SURE_LEAD


def open(path: str | os.PathLike[str], threads: int = 1, trust: Path | None = None) -> Store:
    """Open a store: verify every byte of it, then load it.

    Args:    path: a `.edge` file, or a device folder where one is installed; threads: of the network, for one photo;
             trust: public key that must have signed it, None for what a device has checked or whoever gave the file.
    Raises:  EdgeSearchError: it is not a bundle, or damaged, or its parts do not belong together.
    """
    bundle = open_bundle(Path(path), [signing.read_public(trust)] if trust else ())
    try:
        return Store(bundle, threads)
    except BaseException:
        bundle.close()
        raise


def install(bundle: str | os.PathLike[str], device: str | os.PathLike[str], trust: Path | None = None) -> Manifest:
    """Install a bundle in a device folder beside the one that runs there, and switch to it.

    Verified, copied, verified again, and asked its golden queries first; whatever fails or interrupts that, the old one
    runs on. A running process goes on with what it has open.

    Args:    device: made where it is absent; trust: public key that a new device trusts from now on.
    Raises:  SignatureError: signed by nobody whom the device trusts; BundleError: damaged, or does not do on this
             device what it did where it was built; DeviceError: older than what the device has had, another
             installation is going on, or the folder cannot be changed.
    """
    return Slots(Path(device)).install(Path(bundle), trust, _tried)


def rollback(device: str | os.PathLike[str]) -> Manifest:
    """Go back to the bundle that ran before the last one; raises BundleError, DeviceError."""
    return Slots(Path(device)).roll_back(_tried)


def _tried(bundle: Bundle) -> None:
    store = Store(bundle)
    try:
        store.self_test()
    finally:
        store.catalog.close()


def bindings(embedder: Embedder, index: CompactIndex, local: LocalIndex | None) -> dict[str, str]:
    """The hashes by which a manifest binds model, preprocessing, codebooks and index to each other."""
    rotation, codebook = index.blocks.rotation, index.blocks.codebook
    return {
        **({} if local is None else {"local": local.space}),
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
