"""The object that users hold: it takes a photo and returns an answer."""

from __future__ import annotations

import functools
import operator
from collections.abc import Collection, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..answer import Answer, Match
from ..bundle.bundle_file import Bundle
from ..bundle.sealing import Key
from ..catalog.product import Product
from ..embedding.run_settings import ONE_CROP, Settings
from ..errors import CatalogError, DeviceError
from ..images import image
from ..images.image import Photo
from ..search import pipeline
from ..search.candidate import Candidate
from ..search.frame_stream import FRAMES, Stream
from ..search.gallery import Gallery
from ..search.open_bundle import OpenBundle
from ..search.preference import Preference
from .store_session import StoreSession
from .taught_store import TaughtStore
from .warm_up import WarmUps

if TYPE_CHECKING:
    from ..search.comparison_result import Comparison

MAX_TOGETHER = 16  # photos of one search


class Store(TaughtStore):
    """An open catalogue with its model, and what the device was taught.

    Safe to share between threads. A forked process opens its own when it first searches; a pickled store is opened
    again from its path, once in each process.
    """

    def __init__(
        self,
        path: Path,
        threads: int | None = None,
        trusted: Collection[str] = (),
        key: Key | None = None,
        settings: Settings | None = None,
        later: bool = False,
    ):
        """Open a store; `opening.open` calls this, and describes path, threads and key.

        Args:
            path: File or folder.
            threads: For one photo.
            trusted: Public keys, one of which must have signed the bundle; empty accepts any.
            key: Of an encrypted device folder.
            settings: How to run the network; None runs it as `doctor` chose for the device.
            later: Whether to open it at the first use instead of now.
        Raises:
            EdgeSearchError: As `opening.open`.
        """
        self._path = path
        self._session = StoreSession(path, threads, trusted, key, settings, later)
        self._warm_ups = WarmUps()

    @property
    def base(self) -> OpenBundle:
        """The opened parts of the bundle."""
        return self._session.parts.base

    @property
    def bundle(self) -> Bundle:
        """The bundle that it searches."""
        return self.base.bundle

    @property
    def settings(self) -> Settings:
        """The settings that the network runs with."""
        return self.base.settings

    @property
    def closed(self) -> bool:
        """True once the store was closed."""
        return self._session.closed

    def search(
        self,
        photo: Photo | Sequence[Photo] | None = None,
        k: int = 5,
        fast: bool | None = None,
        *,
        text: str | None = None,
        where: str | None = None,
        barcodes: bool | None = None,
        learn: bool = True,
        who: str | None = None,
    ) -> Answer:
        """Find the products that a photo shows, or that words describe, or both.

        Args:
            photo: Path, encoded bytes, PIL image, (H, W, 3) uint8 RGB array, or None; a list holds photos of one
                product, which answer together.
            k: Number of products.
            fast: Whether to embed one crop instead of three, and to skip local features: less than half the time, and
                less accurate. None follows the settings.
            text: A sentence; the answer says how it was understood. With `where` its words are searched as they are.
            where: A filter such as "category=Fruit and price<30".
            barcodes: Whether to read barcodes. None reads them if their reader is installed and a product has one.
            learn: Whether a barcode in the photo teaches the device, if it learns: `learner`.
            who: Who scanned it, for the log; None takes the user of this process.
        Raises:
            ImageError: The photo cannot be read.
            DeviceError: The overlay cannot be read.
            QueryError: `text` or `where` cannot be understood, or names a column that no product has.
            ValueError: k is below 1, or there is no photo, text or filter.
            TypeError: k is no whole number, or `text` or `where` is no text.
            EdgeSearchError: Barcodes are wanted, and their reader is not installed.
        """
        _check_count(k)
        _check_texts(text=text, where=where)
        if photo is None and text is None and where is None:
            raise ValueError("neither a photo, nor text, nor where is given; give one.")
        gallery = self._gallery()
        if photo is None:
            return pipeline.search_words(gallery, text, where, k)
        photos: list[Photo] = [*photo] if isinstance(photo, (list, tuple)) else [photo]  # type: ignore[list-item]
        if not 0 < len(photos) <= MAX_TOGETHER:
            raise ValueError(f"{len(photos)} photos of one product; expected 1 to {MAX_TOGETHER}.")
        seen: list[pipeline.Observation] = []
        answer = pipeline.search_photos(
            gallery, photos, k, self._is_fast(fast), text, where, barcodes, self._preference(), seen
        )
        return self._learn_from_barcodes(answer, seen, who) if learn else answer

    def stream(self, frames: int = FRAMES, k: int = 5, fast: bool | None = None, learn: bool = True) -> Stream:
        """Return a stream for a camera: `Stream.add` each frame; the last ones of one scene answer together."""
        return Stream(self._gallery, frames, k, self._is_fast(fast), self._learn_from_barcodes if learn else None)

    def similar(
        self,
        sku: str,
        k: int = 5,
        *,
        cheaper: bool = False,
        other_brand: bool = False,
        same_category: bool = False,
        in_stock: bool = False,
    ) -> tuple[Match, ...]:
        """Return alternatives to a product: products that look like it, nearest first, and not all the same.

        Args:
            sku: Of the product.
            k: Number of alternatives; fewer come back only if no more satisfy the conditions.
            cheaper: Only products with a lower price in the same currency.
            other_brand: Only products of another brand.
            same_category: Only products of its category.
            in_stock: Only products known to be in stock.
        Raises:
            CatalogError: The product is unknown, or no other satisfies the conditions.
            DeviceError: The overlay cannot be read.
            ValueError: k is below 1.
        """
        _check_count(k)
        from ..search.similar import AlternativeFilter, find_similar  # here, so that a search does not load it

        gallery, wanted = self._gallery(), AlternativeFilter(cheaper, other_brand, same_category, in_stock)
        matches = find_similar(gallery, sku, k, wanted, self._preference())
        gallery.base.release_pages()
        return matches

    def named_by(self, text: str, k: int = 5) -> Answer:
        """Answer a barcode that another reader read, or a SKU that was typed.

        Args:
            text: The barcode or SKU.
            k: Number of matches at most.
        Returns:
            "match" for one product, "ambiguous" for several, "unknown" for none; `barcodes` holds a barcode.
        """
        return pipeline.search_code(self._gallery(), str(text) if isinstance(text, int) else text, k)

    def skus(self) -> set[str]:
        """Return the SKUs of all products that can be found."""
        return self._gallery().skus()

    def named(self, skus: Collection[str]) -> dict[str, Match]:
        """Return these products by SKU, each as its first reference picture matches it; omit unknown SKUs."""
        return self._gallery().first_matches({skus} if isinstance(skus, str) else skus)

    def references(self, sku: str) -> tuple[Match, ...]:
        """Return a product as each of its reference pictures matches it, or once if it has none.

        Raises:
            CatalogError: The SKU is unknown.
        """
        gallery = self._gallery()
        matches = gallery.matches([Candidate(row, 1.0) for row in gallery.rows_of(sku)])
        matches = matches or tuple(gallery.first_matches([sku]).values())
        if not matches:
            raise CatalogError(f"{sku}: no product of that SKU is here; check it.")
        return matches

    def facets(self) -> dict[str, Any]:
        """Return the columns and values to filter by, JSON-able; as `product_table.facets`."""
        from ..text.product_table import facets  # here, so that a photo does not wait for it

        return facets(self._gallery().table)

    def products(self, skus: Collection[str] | None = None) -> dict[str, Product]:
        """Return product details by SKU; omit unknown SKUs. `None` returns all products."""
        return self._gallery().products({skus} if isinstance(skus, str) else skus)

    def embed(self, photos: Photo | Sequence[Photo], fast: bool | None = None) -> np.ndarray:
        """Return embeddings as `search` uses them: (B, D) float32, unit rows. Raise ImageError for a bad photo."""
        listed: list[Photo] = [*photos] if isinstance(photos, (list, tuple)) else [photos]  # type: ignore[list-item]
        return self.base.embedder.embed_photos(listed, self._is_fast(fast))

    def picture(self, match: Match) -> bytes:
        """Return the reference image of a match as a small JPEG or WebP; a blank one if there is none.

        Raises:
            DeviceError: The match comes from another bundle.
        """
        return self._picture(self.base, match)

    def reopen(self) -> bool:
        """Switch to what the device runs now; running searches end with what they began with.

        Returns:
            Whether it is another bundle.
        Raises:
            EdgeSearchError: It cannot be opened; the store keeps what it has.
        """
        return self._session.reopen()

    def warm_up(self, words: bool = False) -> Future[None]:
        """Run every stage of a search once, in a thread of its own, so that the first search need not wait.

        Args:
            words: Whether to warm up searches by words too.
        Returns:
            A future; `result()` waits for the end, and raises what a search would raise.
        """
        return self._warm_ups.start(lambda: pipeline.warm_up(self._gallery(), self.settings.crops == ONE_CROP, words))

    def self_test(self) -> None:
        """Ask the golden queries; raise BundleError if this device answers differently from the one that built it."""
        self.base.self_test()

    def explain(self, photo: Photo, answer: Answer, kind: str = "JPEG", words: bool = True) -> bytes:
        """Draw the photo, the first match's reference image, what made them match, and the figures.

        Args:
            photo: As for `search`.
            answer: Its answer.
            kind: "JPEG" or "PNG".
            words: Whether to add text; False draws the pictures alone.
        Raises:
            ImageError: A picture cannot be read.
            ValueError: The answer has no match.
        """
        from ..search.explanation import draw_explanation  # here, so that a search does not load them
        from ..text import text_query

        if not answer.matches:
            raise ValueError("the answer has no match to explain.")
        best, understood = answer.matches[0], answer.understood
        row = best.row
        is_kept = row is None or row < 0 or self.base.stored_picture(row) is not None
        reference = self.picture(best) if is_kept else self.base.index.read_vectors(np.array([row]))[0]
        removed = text_query.describe_exclusions(self._gallery().table, understood.where) if understood else []
        return draw_explanation(self.base.embedder, photo, answer, reference, removed, kind, words)

    def compare(self, photo: Photo, sku: str) -> Comparison:
        """Judge whether a photo shows this product, a damaged one, or another.

        Raises:
            CatalogError: The product is unknown.
            ImageError: The photo cannot be read.
            DeviceError: The overlay cannot be read.
        """
        from ..search.comparison import compare  # here, so that a search does not load it

        gallery = self._gallery()
        return compare(gallery, functools.partial(self._picture, gallery.base), photo, sku)

    def close(self) -> None:
        """Close its files; the store cannot be used afterwards."""
        self._warm_ups.stop()
        self._session.close()

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the path, to be opened again. Raise DeviceError if the store was closed or has a key."""
        return _open_pickled, self._session.pickle_arguments()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _gallery(self) -> Gallery:
        """Return the bundle with everything taught so far."""
        return self._session.gallery()

    def _picture(self, base: OpenBundle, match: Match) -> bytes:
        if match.row is None:
            return image.blank_picture()
        if match.row < 0:
            return self._taught_picture(-match.row)
        if match.base != base.bundle.digest:
            raise DeviceError(f"{self._path}: runs another bundle than the one that found {match.sku}; search again.")
        return base.picture(match.row)

    def _preference(self) -> Preference | None:
        profile = self._session.parts.profile
        return profile.preference() if profile else None

    def _is_fast(self, fast: bool | None) -> bool:
        return self.settings.crops == ONE_CROP if fast is None else fast


def _check_count(k: int) -> None:
    """Raise ValueError for a number of products below 1, TypeError for anything that is no whole number."""
    if operator.index(k) < 1:
        raise ValueError(f"k is {k}; expected at least 1.")


def _check_texts(**texts: str | None) -> None:
    """Raise TypeError if a value is neither text nor None."""
    for name, text in texts.items():
        if text is not None and not isinstance(text, str):
            raise TypeError(f"{name} is {type(text).__name__}; expected text.")


_pickled_stores: dict[tuple[object, ...], Store] = {}


def _open_pickled(*arguments: Any) -> Store:
    """Return the store of a pickle; `pool.map(store.search, photos)` opens it once in each process."""
    store = _pickled_stores.get(arguments)
    if store is None or store.closed:
        path, threads, trusted, settings = arguments
        store = _pickled_stores[arguments] = Store(Path(path), threads, trusted, settings=settings, later=True)
    store._session.mark_stale()
    return store
