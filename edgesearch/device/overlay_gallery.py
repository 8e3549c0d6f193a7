"""Merge the overlay of a device with the bundle it runs, into the gallery that a query searches."""

import contextlib
from collections.abc import Mapping
from pathlib import PurePath

from ..catalog.sqlite_catalog import Catalog
from ..errors import DeviceError
from ..search.gallery import LEARNED, Gallery, OverlayRows
from ..search.open_bundle import OpenBundle, Reference
from .learned import LearnedPictures
from .overlay import Overlay, OverlaySnapshot


def merge_overlay(
    base: OpenBundle, overlay: Overlay, before: Gallery | None = None, learned: LearnedPictures | None = None
) -> Gallery:
    """Merge the current overlay into a bundle.

    Args:
        base: The bundle that the device runs.
        overlay: To merge.
        before: An earlier gallery, whose references need not be read again.
        learned: What the device learned, of the same overlay; None opens it.
    Raises:
        DeviceError: The overlay cannot be read.
    """
    learned = learned or LearnedPictures(overlay)
    while True:
        snapshot = overlay.snapshot()
        rows = overlay_rows(base.catalog, snapshot)
        known = before.references if before and before.base is base else {}
        try:
            references = _load_references(base, _Taught(overlay), [picture for picture, _, _ in rows.pictures], known)
            pictures = learned_rows(base.catalog, learned, rows)
            found = _load_references(base, _Learned(learned), [picture for picture, _, _ in pictures], known)
            rows.pictures += [row for row in pictures if row[0] in found]
            return Gallery(base, snapshot.version, rows, references | found, before)
        except DeviceError:
            if overlay.version() == snapshot.version:  # otherwise a picture may have been deleted meanwhile
                raise


class _Taught:
    """The pictures of an overlay and their references, by number."""

    def __init__(self, overlay: Overlay):
        self.references, self.store_references = overlay.references, overlay.store_references
        self.picture = overlay.picture


class _Learned:
    """The learned pictures and their references, by the number of `OverlayRows`."""

    def __init__(self, learned: LearnedPictures):
        self._learned = learned

    def references(self, space: str, pictures: list[int]) -> dict[int, bytes]:
        found = self._learned.references(space, [picture - LEARNED for picture in pictures])
        return {number + LEARNED: content for number, content in found.items()}

    def store_references(self, space: str, references: Mapping[int, bytes]) -> None:
        self._learned.store_references(space, {number - LEARNED: content for number, content in references.items()})

    def picture(self, number: int) -> bytes | None:
        return self._learned.picture(number - LEARNED)


def _load_references(
    base: OpenBundle, source: "_Taught | _Learned", wanted: list[int], known: Mapping[int, Reference]
) -> dict[int, Reference]:
    """Return the references of pictures; compute and store those that another network computed last.

    Omit those without a picture that this network did not compute.
    """
    references = {picture: known[picture] for picture in wanted if picture in known}
    stored = source.references(base.space, [picture for picture in wanted if picture not in references])
    references |= {picture: Reference.from_bytes(data, base.index.dim) for picture, data in stored.items()}
    pictures = {picture: source.picture(picture) for picture in wanted if picture not in references}
    computed = {number: base.make_reference(picture) for number, picture in pictures.items() if picture}
    if computed:
        with contextlib.suppress(DeviceError):  # a read-only folder: compute them each time
            source.store_references(base.space, {number: one.to_bytes() for number, one in computed.items()})
    return references | computed


def learned_rows(catalog: Catalog, learned: LearnedPictures, rows: OverlayRows) -> list[tuple[int, str, int]]:
    """Return the rows of learned pictures in use, as in `OverlayRows`; omit products that are not shown.

    Args:
        catalog: Of the bundle, which may contain some of the pictures.
        learned: What the device learned.
        rows: What the overlay adds and hides.
    """
    used = [picture for picture in learned.all() if picture.state == "used" and picture.sku not in rows.hidden]
    stored = catalog.find_skus({picture.sku for picture in used})
    merged = {sku: {PurePath(source).stem for source in one.sources} for sku, one in stored.items()}
    numbers = {product.sku: number for number, product in rows.products.items()}
    numbers |= {sku: one.number for sku, one in stored.items()}
    return [
        (LEARNED + picture.number, f"learned-{picture.number}", numbers[picture.sku])
        for picture in used
        if picture.sku in numbers and not (picture.name and picture.name in merged.get(picture.sku, ()))
    ]


def overlay_rows(catalog: Catalog, snapshot: OverlaySnapshot) -> OverlayRows:
    """Return the rows and details that the overlay adds to a catalogue or hides in it, by the rule of `changes`."""
    rows = OverlayRows()
    stored = catalog.find_skus(snapshot.changes)
    for number, (sku, change) in enumerate(snapshot.changes.items(), len(catalog)):
        known = stored.get(sku)
        product = change.apply(sku, known.product if known else None)
        if product is not None:
            number = known.number if known else number
            pictures = change.missing_pictures(known.sources if known else [])
            rows.products[number] = product
            rows.pictures += [(picture, name, number) for name, picture in pictures.items()]
        elif known:
            rows.hidden[sku] = known.rows
            rows.hidden_numbers.append(known.number)
    return rows
