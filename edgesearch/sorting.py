"""Sorting photos into groups by a detail of the product that each shows."""

import contextlib
import filecmp
import hashlib
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import photos
from .catalog import Product, details_of
from .engine import Store
from .errors import CountError, ImageError
from .files import sync_folder
from .photos import Named

REVIEW = "review"  # folder of the photos whose product is not sure, or has no such detail
LONGEST = 80  # characters of a folder's name
_SPECIAL = re.compile(r"(con|prn|aux|nul|com\d|lpt\d|review)(\..*)?", re.I)  # on Windows, and ours


@dataclass(frozen=True)
class Sorted:
    """A photo with its group.

    Attributes: sku, name: of its product, empty where that is not sure; value: of the detail, None: for review; why: it
                is for review; path: of the photo.
    """

    photo: str
    path: Path
    sku: str = ""
    name: str = ""
    value: str | None = None
    why: str = ""

    @property
    def folder(self) -> str:
        """The name of its group's folder."""
        return REVIEW if self.value is None else folder_name(self.value)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return vars(self) | {"path": str(self.path), "folder": self.folder}


def plan(
    store: Store, given: Sequence[Path], by: str, fast: bool | None = None, barcodes: bool | None = None
) -> Iterator[Sorted]:
    """The group of each photo, by name; one that cannot be read is for review.

    Args:    given: folders, or photos; by: a detail: category, location, sku, or any other of the catalogue; fast,
             barcodes: as in `Store.search`.
    Raises:  CountError: no product has that detail, or a folder cannot be read.
    """
    found, _ = photos.find(given)
    _check(by, store.products().values())
    for photo in found:
        try:
            answer = store.search(photo.path, 1, fast, barcodes)
        except ImageError as error:
            yield Sorted(*photo, why=str(error))
            continue
        if answer.decision == "match":
            yield _placed(photo, answer.matches[0].product, by)
        else:
            yield Sorted(*photo, why=answer.conflict or answer.decision)


def place(one: Sorted, output: Path) -> Path:
    """Copy a photo into its group's folder; what is there is kept, and the same photo copied once.

    Returns: where it is.
    Raises:  CountError: it cannot be copied.
    """
    folder, number = output / one.folder, 1
    try:
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / one.path.name
        while os.path.lexists(target):
            if target.is_file() and filecmp.cmp(one.path, target, shallow=False):
                return target
            number += 1
            target = folder / f"{one.path.stem}-{number}{one.path.suffix}"
        _copy(one.path, target)
    except OSError as error:
        raise CountError(f"{one.path}: cannot be copied to {folder} ({error.strerror}); check its space.") from error
    return target


def check_output(given: Iterable[Path], output: Path) -> None:
    """Raises CountError: copies would lie among the photos, to be sorted the next time."""
    for folder in given:
        if folder.is_dir() and output.resolve().is_relative_to(folder.resolve()):
            raise CountError(f"{output}: is inside {folder}, whose photos are sorted; give a folder beside it.")


def folder_name(value: str) -> str:
    """A name that any disk takes, another for each value; only what is changed has a hash at its end."""
    name = re.sub(r'[\x00-\x1f\x7f<>:"/\\|?*]', "_", value).strip(". ")[:LONGEST].strip(". ")
    if name == value and name.isprintable() and not _SPECIAL.fullmatch(name):
        return name
    shown = "".join(letter if letter.isprintable() else "_" for letter in name)
    return f"{shown} {hashlib.sha256(value.encode(errors='backslashreplace')).hexdigest()[:6]}".strip()


def _check(by: str, products: Iterable[Product]) -> None:
    names = {"sku"}.union(*map(details_of, products))
    if by not in names:
        raise CountError(f"{by}: no product has that detail; they have {', '.join(sorted(names))}.")


def _placed(photo: Named, product: Product, by: str) -> Sorted:
    value = product.sku if by == "sku" else details_of(product).get(by)
    why = f"has no {by}" if value is None else ""
    return Sorted(photo.name, photo.path, product.sku, product.name, None if value is None else str(value), why)


def _copy(source: Path, target: Path) -> None:
    """Beside it first: a copy that is there is whole."""
    beside = target.with_name(f".{target.name}.new")
    shutil.copyfile(source, beside)
    with open(beside, "rb+") as file:
        os.fsync(file.fileno())
    os.replace(beside, target)
    with contextlib.suppress(OSError):  # a disk may know neither times nor permissions
        shutil.copystat(source, target)
    sync_folder(target.parent)
