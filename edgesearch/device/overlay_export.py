"""Export what a device was taught into a folder, which a build merges into the catalogue.

What the device learned from use is exported beside it (`learned_export`).

taught.json             {"format": 1, "changes": [{"sku", "own", "removed", "details", "was", "pictures": [name]}]}
pictures/<name>.jpg     named by the hash of their content, as on the device; the names tell the device which of its
                        pictures the next bundle contains
"""

import json
import os
import re
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from .._util.files import sync_folder, write_new
from ..bundle.manifest import Manifest
from ..catalog import product
from ..catalog.product import Entry, Product
from ..errors import CatalogError, DeviceError
from . import learned_export
from .changes import Change
from .learned import LearnedPictures
from .overlay import Overlay

FILE, PICTURES = "taught.json", "pictures"
FORMAT = 1
_NAME = re.compile(r"[0-9a-f]{16}")


class Exported(NamedTuple):
    """The result of an export.

    Attributes:
        products: Number of products that staff changed.
        learned: Number of pictures that were learned from use.
    """

    products: int
    learned: int


def export(overlay: Overlay, folder: Path, running: Callable[[], Manifest]) -> Exported:
    """Write all changes and their pictures, and what was learned, into a new folder; leave nothing incomplete behind.

    Args:
        overlay: To export.
        folder: To create.
        running: Returns the manifest of the bundle that the device runs; called if the device learned anything.
    Raises:
        DeviceError: The folder exists, or cannot be written.
    """
    folder = Path(folder)
    if folder.exists():
        raise DeviceError(f"{folder}: exists already; give the name of a new folder.")
    try:
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as temporary:
            incomplete = Path(temporary) / folder.name
            for path in (incomplete, incomplete / PICTURES, incomplete / learned_export.PICTURES):
                path.mkdir(mode=0o700)
            done = _write(overlay, running, lambda name, content: write_new(incomplete / name, content))
            if not done.learned:
                (incomplete / learned_export.PICTURES).rmdir()
            os.replace(incomplete, folder)
        sync_folder(folder.parent)
    except OSError as error:
        raise DeviceError(
            f"{folder}: cannot be written ({error.strerror or error}); check the folder and its free space."
        ) from error
    return done


def export_zip(overlay: Overlay, file: BinaryIO, running: Callable[[], Manifest]) -> Exported:
    """Write the same as the folder `taught` of a zip, into an open file; raise DeviceError or OSError."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        return _write(overlay, running, lambda name, content: archive.writestr(f"taught/{name}", content))


def _write(overlay: Overlay, running: Callable[[], Manifest], write: Callable[[str, bytes], None]) -> Exported:
    """Write each file by its name and content."""
    changes = overlay.snapshot().changes
    tables = [{"sku": sku, **change.to_dict(), "pictures": [*change.pictures]} for sku, change in changes.items()]
    pictures = {name: number for change in changes.values() for name, number in change.pictures.items()}
    for name, number in pictures.items():  # once, even if several products were taught the same picture
        write(f"{PICTURES}/{name}.jpg", overlay.picture(number))
    write(FILE, json.dumps({"format": FORMAT, "changes": tables}, ensure_ascii=False, indent=1).encode())
    return Exported(len(tables), learned_export.write(LearnedPictures(overlay), running, write))


def merge(entries: Iterable[Entry], folders: Iterable[Path]) -> tuple[list[Entry], list[str]]:
    """Merge exported folders into a catalogue in the given order, by the rule of `changes`.

    Returns:
        The merged catalogue, and a sentence for each change that was not applied or removed a product.
    Raises:
        CatalogError: A folder is not what `export` writes.
    """
    merged = {entry.product.sku: entry for entry in entries}
    notes: list[str] = []
    for folder in folders:
        for sku, change in _read_changes(folder).items():
            notes += _merge_change(merged, folder, sku, change)
    return list(merged.values()), notes


def _merge_change(merged: dict[str, Entry], folder: Path, sku: str, change: Change) -> list[str]:
    """Apply a change to the entries by SKU; return a sentence for each part that was not applied."""
    entry = merged.get(sku)
    product = change.apply(sku, entry.product if entry else None)
    if product is not None:
        images = entry.images if entry else ()
        names = change.missing_pictures([name for name, _ in images])
        added = tuple((f"{name}.jpg", str(folder / PICTURES / f"{name}.jpg")) for name in names)
        merged[sku] = Entry(product, images + added)
        return _describe_overridden(folder, sku, change, entry.product if entry else None)
    if entry:
        del merged[sku]
        return [f"{sku}: left out, because it was removed in {folder}"]
    return [] if change.removed else [f"{sku}: is no longer in the catalogue, its change in {folder} is not used"]


def _describe_overridden(folder: Path, sku: str, change: Change, product: Product | None) -> list[str]:
    names = change.overridden_details(product) if product else []
    return [f"{sku}: the catalogue's {name} is kept; {folder} changed an older value" for name in names]


def _read_changes(folder: Path) -> dict[str, Change]:
    path = Path(folder) / FILE
    try:
        table = json.loads(path.read_bytes())
        if table["format"] != FORMAT:
            raise CatalogError(f"{path}: format {table['format']}; this version reads {FORMAT}, upgrade edgesearch.")
        return {str(change["sku"]): _parse_change(change) for change in table["changes"]}
    except OSError as error:
        raise CatalogError(
            f"{path}: cannot be read ({error.strerror}); give a folder that `overlay export` wrote."
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CatalogError(f"{path}: is damaged ({error}); export it again.") from error


def _parse_change(table: dict[str, Any]) -> Change:
    names = table["pictures"]
    if not isinstance(names, list) or not all(isinstance(name, str) and _NAME.fullmatch(name) for name in names):
        raise ValueError(f"pictures {names!r}"[:80])
    checked = {name: _check_details(str(table["sku"]), table[name]) for name in ("details", "was")}
    if not all(isinstance(table[name], bool) for name in ("own", "removed")) or (
        table["own"] and "name" not in checked["details"]
    ):
        raise ValueError(f"{table['sku']}: own {table['own']!r}, removed {table['removed']!r}")
    return Change.from_dict({**table, **checked, "pictures": dict.fromkeys(names, 0)})


def _check_details(sku: str, table: Any) -> dict[str, Any]:
    """Return checked details; None stands for a detail without a value."""
    return dict.fromkeys(table) | product.check_details(
        sku, {name: value for name, value in table.items() if value is not None}
    )
