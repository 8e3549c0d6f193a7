"""Teach a device products: turn enrolments, edits and removals into changes of its overlay."""

import functools
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..answer import Answer, Match
from ..catalog import product
from ..catalog.product import Product
from ..device import changes
from ..device.changes import Change
from ..device.overlay import Overlay
from ..errors import CatalogError, FlawedPhotoError
from ..images import image, quality
from ..images.image import Photo
from ..images.quality import Flaw
from ..search.open_bundle import OpenBundle
from ..text import colour_words

MAX_PHOTOS = 5  # of one enrolment
TAUGHT_SIDE = 960  # px; longer side of a taught picture at most
SHOP_CURRENCY = 0.9  # share of the prices in a currency, from which a price without one is in it
LIKE = 1 / 2  # probability from which an enrolment names another product that looks like it


@dataclass(frozen=True)
class Enrolment:
    """The result of an enrolment.

    Attributes:
        product: The product as it is shown from now on.
        pictures: How many of its reference pictures were taught here.
        like: Another product that its first photo matched before the enrolment; None if there was none.
        flaws: Of each photo, "" or "blurred", as `images.quality` finds them.
        changes: What changed, such as "2 pictures added"; empty if all of it was known.
    """

    product: Product
    pictures: int
    like: Match | None
    flaws: tuple[Flaw, ...] = ()
    changes: tuple[str, ...] = ()


def enrol(
    overlay: Overlay,
    base: OpenBundle,
    search: Callable[[bytes], Answer],
    sku: str,
    photos: Sequence[Photo],
    details: Mapping[str, object],
    who: str | None,
) -> Enrolment:
    """Enrol a product, or more pictures of it; as `Store.enrol`.

    Args:
        overlay: To change.
        base: What the device runs.
        search: Answers an encoded picture, before the change.
        sku: Of the product.
        photos: 1 to `MAX_PHOTOS`.
        details: Of the product, by name.
        who: For the log.
    Raises:
        ImageError: A photo cannot be read, is too dark, or shows nothing.
        CatalogError: There are too many photos, a detail is wrong, or a new product has no name.
        DeviceError: The overlay cannot be changed.
    """
    if not 1 <= len(photos) <= MAX_PHOTOS:
        raise CatalogError(f"{sku}: {len(photos)} photos; give 1 to {MAX_PHOTOS} of them.")
    given = _check_details(overlay, base, sku, details)
    read = [image.read(photo, TAUGHT_SIDE) for photo in photos]
    pairs = zip(photos, read, strict=True)
    flaws = tuple(_check_photo(photo, f"photo {number}", one) for number, (photo, one) in enumerate(pairs, 1))
    pictures = [image.thumbnail(one, TAUGHT_SIDE) for one in read]
    references = [(picture, base.make_reference(picture).to_bytes()) for picture in pictures]
    answer, known = search(pictures[0]), _find_product(base, sku)
    pixels = [] if known else [image.read(picture) for picture in pictures]
    new = given if known else _add_currency(base, colour_words.add_colours_to_details(given, pixels))
    befores: list[Change | None] = []

    def revise(before: Change | None) -> Change:
        befores.append(before)
        is_new = before is None or before.removed
        return changes.enrol(sku, before, known, new if is_new else given)

    change = overlay.change("enrol", sku, revise, who, references, base.space) or Change()
    changed = tuple(changes.describe(befores[-1], change))
    like = [match for match in answer.matches if match.probability >= LIKE and match.sku != sku]
    return Enrolment(_apply(change, sku, known), len(change.pictures), like[0] if like else None, flaws, changed)


def edit(overlay: Overlay, base: OpenBundle, sku: str, details: Mapping[str, object], who: str | None) -> Product:
    """Change details of a product and return it; as `Store.edit`. Raise CatalogError or DeviceError."""
    given, known = _check_details(overlay, base, sku, details), _find_product(base, sku)
    revise = functools.partial(changes.edit, sku, base=known, details=given)
    return _apply(overlay.change("edit", sku, revise, who) or Change(), sku, known)


def remove(overlay: Overlay, base: OpenBundle, sku: str, who: str | None) -> None:
    """Hide a product; as `Store.remove`. Raise CatalogError or DeviceError."""
    revise = functools.partial(changes.remove, sku, base=_find_product(base, sku))
    overlay.change("remove", sku, revise, who)


def _check_photo(photo: Photo, name: str, pixels: np.ndarray) -> Flaw:
    """Return the flaw of a photo, (H, W, 3) uint8; raise FlawedPhotoError if it shows nothing."""
    flaw = quality.find_flaw(pixels)
    if flaw in quality.USELESS:
        name = os.fspath(photo) if isinstance(photo, (str, os.PathLike)) else name
        raise FlawedPhotoError(f"{name}: {quality.ADVICE[flaw]}")
    return flaw


def _find_product(base: OpenBundle, sku: str) -> Product | None:
    stored = base.catalog.find_skus([sku]).get(sku)
    return stored.product if stored else None


def _check_details(overlay: Overlay, base: OpenBundle, sku: str, details: Mapping[str, object]) -> dict[str, Any]:
    """Return checked details; a price is read in the currency of the product as it is shown."""
    known, change = _find_product(base, sku), overlay.snapshot().changes.get(sku)
    shown = change.apply(sku, known) if change else known
    return product.check_details(sku, details, (shown and shown.currency) or "")


def _add_currency(base: OpenBundle, details: dict[str, Any]) -> dict[str, Any]:
    """Return the details of a new product; its price is in the shop's currency unless another is given."""
    currencies = Counter(filter(None, base.catalog.column("currency")))
    if details.get("price") is None or details.get("currency") or not currencies:
        return details
    ((currency, count),) = currencies.most_common(1)
    return {**details, "currency": currency} if count >= SHOP_CURRENCY * currencies.total() else details


def _apply(change: Change, sku: str, known: Product | None) -> Product:
    changed = change.apply(sku, known)
    assert changed is not None  # by the rules of `changes`
    return changed
