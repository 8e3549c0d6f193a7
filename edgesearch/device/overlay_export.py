"""What devices were taught, carried back to the catalogue: a folder that a device writes and a build merges.

taught.json             {"format": 1, "changes": [{"sku", "own", "removed", "details", "was", "pictures": [name]}]}
pictures/<name>.jpg     named by the hash of their content, as the devices name them; so a device sees by the names
                        in its next base that this has them
"""

import json
import os
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .._util.files import sync_folder
from ..catalog import product
from ..catalog.product import Entry, Product
from ..errors import CatalogError, DeviceError
from .changes import Change
from .overlay import Overlay

FILE, PICTURES = "taught.json", "pictures"
FORMAT = 1
_NAME = re.compile(r"[0-9a-f]{16}")


def export(overlay: Overlay, folder: Path) -> int:
    """Write all that was taught into a new folder.

    Returns: of how many products something was taught.
    Raises:  DeviceError: the folder is there already, or cannot be written; nothing half-written is left.
    """
    folder, changes = Path(folder), overlay.taught().changes
    if folder.exists():
        raise DeviceError(f"{folder}: is there already; give the name of a new folder.")
    tables = [{"sku": sku, **change.to_dict(), "pictures": [*change.pictures]} for sku, change in changes.items()]
    try:
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as beside:
            made = Path(beside) / folder.name
            (made / PICTURES).mkdir(parents=True)
            for change in changes.values():
                for name, number in change.pictures.items():
                    _write(made / PICTURES / f"{name}.jpg", overlay.picture(number))
            content = json.dumps({"format": FORMAT, "changes": tables}, ensure_ascii=False, indent=1)
            _write(made / FILE, content.encode())
            os.replace(made, folder)
        sync_folder(folder.parent)
    except OSError as error:
        raise DeviceError(f"{folder}: cannot be written ({error}); check the folder and its free space.") from error
    return len(tables)


def _write(path: Path, content: bytes) -> None:
    with open(path, "xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def merge(entries: Iterable[Entry], folders: Iterable[Path]) -> tuple[list[Entry], list[str]]:
    """Merge into a catalogue what devices were taught, one after the other, by the rule of `changes`.

    Returns: the catalogue; and in a sentence each what was not taken over as the device has it, or left out.
    Raises:  CatalogError: a folder is not what `export` writes.
    """
    merged = {entry.product.sku: entry for entry in entries}
    notes: list[str] = []
    for folder in folders:
        for sku, change in _read(folder).items():
            entry = merged.get(sku)
            product = change.applied(sku, entry.product if entry else None)
            if product is not None:
                images = entry.images if entry else ()
                names = change.beside([name for name, _ in images])
                added = tuple((f"{name}.jpg", str(folder / PICTURES / f"{name}.jpg")) for name in names)
                merged[sku] = Entry(product, images + added)
                notes += _overruled(folder, sku, change, entry.product if entry else None)
            elif entry:
                del merged[sku]
                notes.append(f"{sku}: left out, {folder} has it removed")
            elif not change.removed:
                notes.append(f"{sku}: is not in the catalogue any more, what {folder} says of it is not used")
    return list(merged.values()), notes


def _overruled(folder: Path, sku: str, change: Change, product: Product | None) -> list[str]:
    names = change.overruled(product) if product else []
    return [f"{sku}: {name} stays; {folder} has it otherwise, from an older state" for name in names]


def _read(folder: Path) -> dict[str, Change]:
    path = Path(folder) / FILE
    try:
        table = json.loads(path.read_bytes())
        if table["format"] != FORMAT:
            raise CatalogError(f"{path}: format {table['format']}; this version reads {FORMAT}, upgrade edgesearch.")
        return {str(one["sku"]): _change(one) for one in table["changes"]}
    except OSError as error:
        raise CatalogError(
            f"{path}: cannot be read ({error.strerror}); give a folder that `overlay export` wrote."
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CatalogError(f"{path}: is damaged ({error}); export it again.") from error


def _change(table: dict[str, Any]) -> Change:
    names = table["pictures"]
    if not isinstance(names, list) or not all(isinstance(name, str) and _NAME.fullmatch(name) for name in names):
        raise ValueError(f"pictures {names!r}"[:80])
    told = {name: _details(str(table["sku"]), table[name]) for name in ("details", "was")}
    if not all(isinstance(table[name], bool) for name in ("own", "removed")) or (
        table["own"] and "name" not in told["details"]
    ):
        raise ValueError(f"{table['sku']}: own {table['own']!r}, removed {table['removed']!r}")
    return Change.from_dict({**table, **told, "pictures": dict.fromkeys(names, 0)})


def _details(sku: str, table: Any) -> dict[str, Any]:
    """As `checked` gives them; None where there is none."""
    return dict.fromkeys(table) | product.check_details(
        sku, {name: value for name, value in table.items() if value is not None}
    )
