"""Sorting photos into groups by a detail of the product that each shows."""

import contextlib
import filecmp
import hashlib
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .._util.files import replacing
from ..catalog.product import Product, details_of
from ..errors import CountError, ImageError
from ..images.photo_files import Named
from ..store.store import Store

REVIEW = "review"  # folder of the photos whose product is not sure, or has no such detail
LONGEST = 80  # bytes of a folder's name
_RESERVED = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*]')
_SPECIAL = re.compile(r"(con|prn|aux|nul|com\d|lpt\d|review)(\..*)?", re.I)  # on Windows, and ours


@dataclass(frozen=True)
class Sorted:
    """A photo with its group.

    Attributes: sku, name: of its product, empty where that is not sure; value: of the detail, None: for review; folder:
                of its group; why: it is for review.
    """

    photo: str
    path: Path
    sku: str = ""
    name: str = ""
    value: str | None = None
    folder: str = REVIEW
    why: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return vars(self) | {"path": str(self.path)}


def plan(
    store: Store, found: Sequence[Named], by: str, fast: bool | None = None, barcodes: bool | None = None
) -> Iterator[Sorted]:
    """The group of each photo, in their order; one that cannot be read is for review.

    Args:    by: a detail: category, location, sku, or any other of the catalogue; fast, barcodes: as in `Store.search`.
    Raises:  CountError: no product has that detail.
    """
    names = folders(_values(store.products().values(), by))
    for photo in found:
        try:
            answer = store.search(photo.path, k=1, fast=fast, barcodes=barcodes)
        except ImageError as error:
            yield Sorted(*photo, why=photo.why(error))
            continue
        if answer.decision == "match":
            yield _grouped(photo, answer.matches[0].product, by, names)
        else:
            yield Sorted(*photo, why=answer.conflict or answer.decision)


def place(one: Sorted, output: Path) -> Path | None:
    """Copy a photo into its group's folder; what is there is kept, and the same photo copied once.

    Returns: where it is; None: there is nothing to copy, its file is gone, none, or may not be read.
    Raises:  CountError: it cannot be copied.
    """
    folder, number = output / one.folder, 1
    if not os.path.isfile(one.path) or not os.access(one.path, os.R_OK):
        return None
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


def folders(values: Iterable[str]) -> dict[str, str]:
    """Names that any disk takes, another for each value; those that would be the same have a hash at their end."""
    clean = {value: _clean(value) for value in values}
    alike = Counter(name.casefold() for name in clean.values())
    return {value: name if alike[name.casefold()] == 1 else f"{name} {_hash(value)}" for value, name in clean.items()}


def _clean(value: str) -> str:
    name = "".join(letter if letter.isprintable() else "_" for letter in _RESERVED.sub("_", value))
    while len(name.encode()) > LONGEST:
        name = name[:-1]
    name = name.strip(". ")
    return name if name and not _SPECIAL.fullmatch(name) else f"_{name}"


def _hash(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()[:6]


def _values(products: Iterable[Product], by: str) -> set[str]:
    """All values of a detail; raises CountError: there is none."""
    known = [details_of(product) | {"sku": product.sku} for product in products]
    values = {str(details[by]) for details in known if by in details}
    if not values:
        names = sorted({name for details in known for name in details})
        raise CountError(f"{by}: no product has that detail; they have {', '.join(names)}.")
    return values


def _grouped(photo: Named, product: Product, by: str, names: Mapping[str, str]) -> Sorted:
    one = Sorted(*photo, product.sku, product.name)
    value = (details_of(product) | {"sku": product.sku}).get(by)
    if value is None:
        return replace(one, why=f"has no {by}")
    name = names.get(str(value)) or _clean(str(value))  # it may have been edited meanwhile
    return replace(one, value=str(value), folder=name)


def _copy(source: Path, target: Path) -> None:
    """Beside it first: a copy that is there is whole."""
    with open(source, "rb") as photo, replacing(target) as file:
        shutil.copyfileobj(photo, file)
    with contextlib.suppress(OSError):  # a disk may know neither times nor permissions
        shutil.copystat(source, target)
