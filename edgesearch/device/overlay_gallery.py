"""Merge the overlay of a device with the bundle it runs, into the gallery that a query searches."""

import contextlib
from collections.abc import Mapping

from ..catalog.sqlite_catalog import Catalog
from ..errors import DeviceError
from ..search.gallery import Gallery, OverlayRows
from ..search.open_bundle import OpenBundle, Reference
from .overlay import Overlay, OverlaySnapshot


def merge_overlay(base: OpenBundle, overlay: Overlay, before: Gallery | None = None) -> Gallery:
    """Merge the current overlay into a bundle.

    Args:
        base: The bundle that the device runs.
        overlay: To merge.
        before: An earlier gallery, whose references need not be read again.
    Raises:
        DeviceError: The overlay cannot be read.
    """
    while True:
        snapshot = overlay.snapshot()
        rows = overlay_rows(base.catalog, snapshot)
        known = before.references if before and before.base is base else {}
        try:
            return Gallery(base, snapshot.version, rows, _load_references(base, overlay, rows, known))
        except DeviceError:
            if overlay.version() == snapshot.version:  # otherwise a picture may have been deleted meanwhile
                raise


def _load_references(
    base: OpenBundle, overlay: Overlay, rows: OverlayRows, known: Mapping[int, Reference]
) -> dict[int, Reference]:
    """Return the references of taught pictures; compute and store those that another network computed last."""
    wanted = [picture for picture, _, _ in rows.pictures]
    references = {picture: known[picture] for picture in wanted if picture in known}
    stored = overlay.references(base.space, [picture for picture in wanted if picture not in references])
    references |= {picture: Reference.from_bytes(data, base.index.dim) for picture, data in stored.items()}
    computed = {
        picture: base.make_reference(overlay.picture(picture)) for picture in wanted if picture not in references
    }
    if computed:
        with contextlib.suppress(DeviceError):  # a read-only folder: compute them each time
            overlay.store_references(
                base.space, {picture: reference.to_bytes() for picture, reference in computed.items()}
            )
    return references | computed


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
    return rows
