"""The object users hold: open a store, show it a photo, get an answer."""

import functools
import os
from collections.abc import Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .._util.stopping import Stop
from ..answer import Answer, Match
from ..bundle import signing
from ..bundle.bundle_file import Bundle
from ..bundle.sealing import Key
from ..catalog import product
from ..catalog.product import Product
from ..device import changes
from ..device.changes import Change
from ..device.overlay import Event, Overlay
from ..device.profile import Profile
from ..embedding.run_settings import ONE_CROP, Settings
from ..errors import CatalogError, DeviceError
from ..images import image
from ..images.image import Photo
from ..search import pipeline
from ..search.candidate import Candidate
from ..search.comparison import compare
from ..search.comparison_result import Comparison
from ..search.explanation import draw_explanation
from ..search.frame_stream import FRAMES, Stream
from ..search.gallery import Gallery
from ..search.open_bundle import OpenBundle
from ..search.preference import Preference
from ..search.similar import AlternativeFilter, find_similar
from ..text import colour_words, text_query
from ..text.product_table import facets
from .store_session import StoreSession

MOST_PHOTOS = 5  # of one enrolment
MOST_TOGETHER = 16  # of one question
TAUGHT_SIDE = 960  # px; the longer side at most, of pictures that are taught


@dataclass(frozen=True)
class Enrolment:
    """What was enrolled.

    Attributes: product: as it is shown from now on; pictures: how many of its reference pictures were taught here;
                like: another product that its first photo was taken for, None where it was for none.
    """

    product: Product
    pictures: int
    like: Match | None


class Store:
    """An open catalogue with its model, and what the device was taught.

    Safe to share between threads. A process that is forked opens its own when it first asks; a pickled store is opened
    where it lies, once in a process.
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
        """As `open` says; trusted: as `Bundle` has it; settings: None as `doctor` chose for the device; later: it is
        opened when it is first asked.
        """
        self._path = path
        self._opened = StoreSession(path, threads, trusted, key, settings, later)
        self._warming: list[tuple[Stop, Future[None]]] = []

    @property
    def base(self) -> OpenBundle:
        """The parts of what it runs."""
        return self._opened.parts.base

    @property
    def overlay(self) -> Overlay | None:
        """What the device was taught; None: the store is a file."""
        return self._opened.parts.overlay

    @property
    def bundle(self) -> Bundle:
        """What it runs."""
        return self.base.bundle

    @property
    def settings(self) -> Settings:
        """How it runs."""
        return self.base.settings

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._opened.closed

    @property
    def profile(self) -> Profile:
        """What was liked on this device; raises DeviceError: the store is a file."""
        profile = self._opened.parts.profile
        if profile is None:
            raise DeviceError(f"{self._path}: a file keeps no profile; install it in a device folder, and give that.")
        return profile

    def search(
        self,
        photo: "Photo | Sequence[Photo] | None" = None,
        k: int = 5,
        fast: bool | None = None,
        *,
        text: str | None = None,
        where: str | None = None,
        barcodes: bool | None = None,
    ) -> Answer:
        """Find the products that a photo shows, or that words describe, or both.

        Args:    photo: path, encoded bytes, PIL image, or (H, W, 3) uint8 RGB array, or None; a list of several shows
                 one product, and they answer together; k: products wanted;
                 fast: one look at the photo, its centre, instead of three, and none at its print; less than half the
                 time, and less accurate; None: as the settings say; text: a sentence, of which the answer says how it
                 was understood; with `where` besides its words are searched as they stand; where: only these products
                 are found, such as "category=Fruit and price<30" (`where`); barcodes: read them too; None: where their
                 reader is installed and a product has one.
        Raises:  ImageError: the photo cannot be read; DeviceError: what was taught cannot be; QueryError: text or where
                 cannot be understood, or no product is left: says which condition removed all, and what would work;
                 ValueError: k < 1, or nothing is asked; EdgeSearchError: barcodes without their reader.
        """
        if k < 1:
            raise ValueError(f"k is {k}; expected at least 1.")
        if photo is None and text is None and where is None:
            raise ValueError("neither a photo, nor text, nor where is given; give one.")
        gallery = self._now()
        if photo is None:
            return pipeline.search_words(gallery, text, where, k)
        photos: list[Photo] = [*photo] if isinstance(photo, (list, tuple)) else [photo]  # type: ignore[list-item]
        if not 0 < len(photos) <= MOST_TOGETHER:
            raise ValueError(f"{len(photos)} photos of one product; expected 1 to {MOST_TOGETHER}.")
        return pipeline.search_photos(gallery, photos, k, self._fast(fast), text, where, barcodes, self._taste())

    def stream(self, frames: int = FRAMES, k: int = 5, fast: bool | None = None) -> Stream:
        """For a camera: `Stream.add` each frame; the last ones of one scene answer together."""
        return Stream(self._now, frames, k, self._fast(fast))

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
        """Alternatives to a product, nearest first, by what its pictures look like; not all the same.

        Args:    k: wanted; fewer come only where no more satisfy the conditions, which are those of `similar.Wanted`.
        Raises:  CatalogError: no such product, or no other that satisfies them; DeviceError: as `search`;
                 ValueError: k < 1.
        """
        if k < 1:
            raise ValueError(f"k is {k}; expected at least 1.")
        gallery, preference = self._now(), self._taste()
        matches = find_similar(gallery, sku, k, AlternativeFilter(cheaper, other_brand, same_category, in_stock), preference)
        gallery.base.release_pages()
        return matches

    def feedback(self, shown: Answer | Sequence[str], sku: str, picked: bool = True) -> bool:
        """Tell the profile what was picked, or dismissed, of what was shown.

        Args:    shown: an answer, or SKUs in the order they were shown: those before a picked one are taken as passed
                 over, all where it is not among them; picked: False: it was dismissed.
        Returns: False where the profile is off, and nothing is kept.
        Raises:  CatalogError: no product of that SKU is shown; DeviceError: the store is a file, or its profile cannot
                 be written.
        """
        profile, gallery = self.profile, self._now()
        skus = [match.sku for match in shown.matches] if isinstance(shown, Answer) else list(shown)
        known = gallery.find_product(sku)
        if known is None:
            raise CatalogError(f"{sku}: no product of that SKU is here; check it.")
        if not picked:
            return profile.dismiss(known[1])
        before = [gallery.find_product(one) for one in skus[: skus.index(sku) if sku in skus else None]]
        return profile.pick(known[1], [one[1] for one in before if one])

    def named_by(self, text: str, k: int = 5) -> Answer:
        """The product of a barcode that another reader has read, or of a SKU that was typed.

        Returns: a match where it is one product's, ambiguous where it is several', unknown where it is none's; a code
                 is in its `barcodes`.
        """
        return pipeline.search_code(self._now(), text, k)

    def skus(self) -> set[str]:
        """The SKUs of all products that can be found."""
        return self._now().skus()

    def named(self, skus: Collection[str]) -> dict[str, Match]:
        """Those of these products that can be found, by SKU, each as its first reference picture finds it."""
        return self._now().first_matches(skus)

    def references(self, sku: str) -> tuple[Match, ...]:
        """A product as each of its reference pictures finds it, for `picture`; raises CatalogError: there is none."""
        gallery = self._now()
        found = gallery.matches([Candidate(row, 1.0) for row in gallery.rows_of(sku)])
        if not found:
            raise CatalogError(f"{sku}: no product of that SKU is here; check it.")
        return found

    def facets(self) -> dict[str, Any]:
        """By what the products that can be found may be told apart: JSON-able, as `table.facets` says."""
        return facets(self._now().table)

    def products(self, skus: Collection[str] | None = None) -> dict[str, Product]:
        """What is known of these products, by SKU, None for all; those that are not here are left out."""
        return self._now().products(skus)

    def embed(self, photos: Sequence[Photo], fast: bool | None = None) -> np.ndarray:
        """Embeddings of photos, as `search` uses them: (B, D) float32, unit rows; raises ImageError."""
        return self.base.embedder.embed_photos(photos, self._fast(fast))

    def picture(self, match: Match) -> bytes:
        """The reference image of a match, as a small JPEG or, of a bundle that was fitted into a budget, WebP.

        Where none is kept it is a blank one. Raises DeviceError: it was found in another bundle.
        """
        return self._picture(self.base, match)

    def enrol(self, /, sku: str, photos: Sequence[Photo], *, who: str | None = None, **details: object) -> Enrolment:
        """Teach the device a product, or more pictures of one that it knows; it is found from then on.

        Args:    photos: 1 to 5, each as `search` takes one; who: for the log, None for the user of this process;
                 details: name, price and the others of `catalog.Product`, any other name is an attribute's; of a
                 product that is known, those that change; the colour of a new one is seen where it is not said.
        Raises:  ImageError: a photo cannot be read; CatalogError: a detail is wrong, or a new product has no name;
                 DeviceError: the store is a file, or its folder cannot be changed. Then nothing is changed.
        """
        if not 1 <= len(photos) <= MOST_PHOTOS:
            raise CatalogError(f"{sku}: {len(photos)} photos; give 1 to {MOST_PHOTOS} of them.")
        overlay, base, given = self._taught(), self.base, product.check_details(sku, details)
        pictures = [image.thumbnail(image.read(photo, TAUGHT_SIDE), TAUGHT_SIDE) for photo in photos]
        seen = [(picture, base.make_reference(picture).to_bytes()) for picture in pictures]
        answer, known = self.search(pictures[0], k=1), _known(base, sku)
        coloured = (
            given
            if known
            else colour_words.add_colours_to_details(given, [image.read(picture) for picture in pictures])
        )

        def revise(before: Change | None) -> Change:
            is_new = before is None or before.removed
            return changes.enrolled(sku, before, known, coloured if is_new else given)

        change = _after(overlay.change("enrol", sku, revise, who, seen, base.space))
        like = [match for match in answer.matches if answer.decision != "unknown" and match.sku != sku]
        return Enrolment(_shown(change, sku, known), len(change.pictures), like[0] if like else None)

    def edit(self, /, sku: str, *, who: str | None = None, **details: object) -> Product:
        """Change details of a product, and return it as it is shown from then on.

        Args:    who, details: as `enrol` has them; None empties one.
        Raises:  CatalogError: no such product, or a detail is wrong; DeviceError: as `enrol`.
        """
        given, known = product.check_details(sku, details), _known(self.base, sku)
        revise = functools.partial(changes.edited, sku, base=known, details=given)
        return _shown(_after(self._taught().change("edit", sku, revise, who)), sku, known)

    def remove(self, sku: str, *, who: str | None = None) -> None:
        """Show a product no more; raises CatalogError: no such product; DeviceError: as `enrol`."""
        revise = functools.partial(changes.removed, sku, base=_known(self.base, sku))
        self._taught().change("remove", sku, revise, who)

    def undo(self, *, who: str | None = None) -> Event:
        """Take back the last enrolment, edit or removal that was not yet taken back, one more each time.

        Raises:  DeviceError: there was none since the last installation; or as `enrol`.
        """
        return self._taught().undo(who)

    def reopen(self) -> bool:
        """Go on with what the device runs by now; searches under way end with what they began with.

        Returns: whether it is another bundle.
        Raises:  EdgeSearchError: it cannot be opened; the store goes on with what it has.
        """
        return self._opened.reopen()

    def warm_up(self, words: bool = False) -> "Future[None]":
        """Do once, in a thread of its own, what the first search would have to wait for; the caller waits for nothing.

        Args:    words: also what the first search in words waits for.
        Returns: its end, for those who care: `result()` waits for it, and raises what a search would raise.
        """
        stop, pool = Stop(), ThreadPoolExecutor(1, "edgesearch-warm")
        self._warming.append((stop, pool.submit(self._warm, stop, words)))
        pool.shutdown(wait=False)  # nothing more is asked of it
        return self._warming[-1][1]

    def self_test(self) -> None:
        """Ask the golden queries; raises BundleError where this device answers otherwise than the one that built it."""
        self.base.self_test()

    def explain(self, photo: Photo, answer: Answer, kind: str = "JPEG", words: bool = True) -> bytes:
        """A picture of the photo and the first match's reference image, what in them made them match, and the figures.

        Args:    kind: "JPEG" or "PNG"; words: False: the pictures alone, for whoever says the rest.
        Raises:  ImageError: one of them cannot be read; ValueError: the answer has no match.
        """
        if not answer.matches:
            raise ValueError("the answer has no match to explain.")
        best, said = answer.matches[0], answer.understood
        is_kept = best.row < 0 or self.base.stored_picture(best.row) is not None
        reference = self.picture(best) if is_kept else self.base.index.vectors(np.array([best.row]))[0]
        removed = text_query.describe_exclusions(self._now().table, said.where) if said else []
        return draw_explanation(self.base.embedder, photo, answer, reference, removed, kind, words)

    def compare(self, photo: Photo, sku: str) -> Comparison:
        """Is it really this product, or damaged, or another?

        Raises:  CatalogError: no such product; ImageError: the photo cannot be read; DeviceError: as `search`.
        """
        gallery = self._now()
        return compare(gallery, functools.partial(self._picture, gallery.base), photo, sku)

    def close(self) -> None:
        """Close its files; the store is not used afterwards."""
        for stop, end in self._warming:
            stop.set()
            wait([end])
        self._opened.close()

    def __reduce__(self) -> tuple[object, ...]:
        """A pickle says where it lies, to be opened there again; raises DeviceError: it was closed, or has a key."""
        return _again, self._opened.again()

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _warm(self, stop: Stop, words: bool) -> None:
        with stop:
            pipeline.warm_up(self._now(), self.settings.crops == ONE_CROP, words)

    def _picture(self, base: OpenBundle, match: Match) -> bytes:
        if match.row < 0:
            return self._taught().picture(-match.row)
        if match.base != base.bundle.digest:
            raise DeviceError(f"{self._path}: runs another bundle than that which found {match.sku}; search again.")
        return base.picture(match.row)

    def _taste(self) -> Preference | None:
        profile = self._opened.parts.profile
        return profile.preference() if profile else None

    def _fast(self, fast: bool | None) -> bool:
        return self.settings.crops == ONE_CROP if fast is None else fast

    def _now(self) -> Gallery:
        """The base with all that is taught by now."""
        return self._opened.now()

    def _taught(self) -> Overlay:
        if self.overlay is None:
            raise DeviceError(f"{self._path}: a file cannot be taught; install it in a device folder, and give that.")
        return self.overlay


def open(
    path: str | os.PathLike[str],
    threads: int | None = None,
    trust: Path | None = None,
    key: Key | None = None,
    *,
    warm: bool = False,
) -> Store:
    """Open a store, and use no byte of it that is not verified: of a file all before, of a device's as they are read.

    Args:    path: a `.edge` file, or a device folder where one is installed; threads: of the network, for one photo;
             None: as `edgesearch doctor` chose for the device, else 1; trust: public key that must have signed it, None
             for what a device has checked or whoever gave the file; key: of an encrypted device folder, 32 bytes or
             what returns them, None for that of the environment (`sealing.key_bytes`); warm: it is warmed up meanwhile
             (`Store.warm_up`).
    Raises:  EdgeSearchError: it is not a bundle, or damaged, or its parts do not belong together, or onnxruntime is not
             installed.
    """
    store = Store(Path(path), threads, [signing.read_public(trust)] if trust else (), key)
    if warm:
        store.warm_up()
    return store


_shared: dict[tuple[object, ...], Store] = {}


def _again(*given: Any) -> Store:
    """The store of a pickle: opened once in a process, however often `pool.map(store.search, photos)` sends it."""
    store = _shared.get(given)
    if store is None or store.closed:
        path, threads, trusted, settings = given
        store = _shared[given] = Store(Path(path), threads, trusted, settings=settings, later=True)
    store._opened.refresh()
    return store


def _known(base: OpenBundle, sku: str) -> Product | None:
    entered = base.catalog.find_skus([sku]).get(sku)
    return entered.product if entered else None


def _after(event: Event) -> Change:
    return Change.from_dict(event.detail["after"])


def _shown(change: Change, sku: str, known: Product | None) -> Product:
    product = change.applied(sku, known)
    assert product is not None  # by the rules of `changes`
    return product
