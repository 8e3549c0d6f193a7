"""Merge what a device was taught with the bundle it runs, into the gallery that a query searches."""

import contextlib
from collections.abc import Mapping

from ..catalog.sqlite_catalog import Catalog
from ..errors import DeviceError
from ..search.gallery import Gallery, OverlayRows
from ..search.open_bundle import OpenBundle, Reference
from .overlay import Overlay, Taught


def merge_overlay(base: OpenBundle, overlay: Overlay, before: Gallery | None = None) -> Gallery:
    """The base with what is taught now; before: whose references need not be read again. Raises DeviceError."""
    while True:
        taught = overlay.taught()
        rows = overlay_rows(base.catalog, taught)
        known = before.references if before and before.base is base else {}
        try:
            return Gallery(base, taught.version, rows, _references(base, overlay, rows, known))
        except DeviceError:
            if overlay.version() == taught.version:  # otherwise a picture may have gone in between
                raise


def _references(
    base: OpenBundle, overlay: Overlay, rows: OverlayRows, known: Mapping[int, Reference]
) -> dict[int, Reference]:
    """What is seen in the taught pictures; where another network saw them last, they are looked at again."""
    wanted = [picture for picture, _, _ in rows.pictures]
    references = {picture: known[picture] for picture in wanted if picture in known}
    kept = overlay.references(base.space, [picture for picture in wanted if picture not in references])
    references |= {picture: Reference.from_bytes(data, base.index.dim) for picture, data in kept.items()}
    seen = {p: base.reference(overlay.picture(p)) for p in wanted if p not in references}
    if seen:
        with contextlib.suppress(DeviceError):  # where the folder cannot be written, each time anew
            overlay.keep_references(base.space, {picture: one.to_bytes() for picture, one in seen.items()})
    return references | seen


def overlay_rows(catalog: Catalog, taught: Taught) -> OverlayRows:
    """Return the rows and details that the overlay adds to a catalogue or hides in it, by the rules of `changes`."""
    rows = OverlayRows()
    entered = catalog.find_skus(taught.changes)
    for number, (sku, change) in enumerate(taught.changes.items(), len(catalog)):
        known = entered.get(sku)
        product = change.applied(sku, known.product if known else None)
        if product is not None:
            number = known.number if known else number
            pictures = change.beside(known.sources if known else [])
            rows.products[number] = product
            rows.pictures += [(picture, name, number) for name, picture in pictures.items()]
        elif known:
            rows.hidden[sku] = known.rows
    return rows
