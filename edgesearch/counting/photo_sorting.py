"""Sort photos into folders by a detail of the product that each shows."""

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
from ..answer import CHOICES
from ..catalog.product import Product, details_of
from ..errors import CountError, ImageError
from ..images.photo_files import PhotoFile
from ..store.store import Store
from .review_reasons import review_reason

REVIEW = "review"  # folder of photos whose product is not sure, or lacks the detail
MAX_NAME_BYTES = 80  # of a folder's name
_RESERVED = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*]')
_SPECIAL = re.compile(r"(con|prn|aux|nul|com\d|lpt\d|review)(\..*)?", re.I)  # names of Windows devices, and `REVIEW`


@dataclass(frozen=True)
class SortedPhoto:
    """A photo with its group.

    Attributes:
        photo, path: Name and file of the photo.
        sku, name: Of its product; empty if that is not sure.
        value: Value of the detail; None if the photo needs review.
        folder: Name of the group's folder.
        why: Reason for the review.
        candidates: SKU and name of the products to choose from, for photos to review.
    """

    photo: str
    path: Path
    sku: str = ""
    name: str = ""
    value: str | None = None
    folder: str = REVIEW
    why: str = ""
    candidates: tuple[tuple[str, str], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able form."""
        return vars(self) | {"path": str(self.path)}


def assign_groups(
    store: Store, photos: Sequence[PhotoFile], by: str, fast: bool | None = None, barcodes: bool | None = None
) -> Iterator[SortedPhoto]:
    """Yield each photo with its group, in the given order; unreadable photos are for review.

    Args:
        store: Recognizes the products.
        photos: To sort.
        by: A detail: category, location, sku, or any other column of the catalogue.
        fast, barcodes: As in `Store.search`.
    Raises:
        CountError: No product has that detail.
    """
    names = folder_names(_values(store.products().values(), by))
    for photo in photos:
        try:
            answer = store.search(photo.path, k=CHOICES, fast=fast, barcodes=barcodes)
        except ImageError as error:
            yield SortedPhoto(*photo, why=photo.strip_path(error))
            continue
        if answer.decision == "match":
            yield _assign_group(photo, answer.matches[0].product, by, names)
        else:
            choices = tuple((match.sku, match.name) for match in answer.matches)
            yield SortedPhoto(*photo, why=review_reason(answer), candidates=choices)


def copy_to_group(photo: SortedPhoto, output: Path) -> Path | None:
    """Copy a photo into its group's folder; keep existing files, and copy the same photo once.

    Returns:
        The copy; None if the photo is no file, or may not be read.
    Raises:
        CountError: The copy fails.
    """
    folder, number = output / photo.folder, 1
    if not os.path.isfile(photo.path) or not os.access(photo.path, os.R_OK):
        return None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / photo.path.name
        while os.path.lexists(target):
            if target.is_file() and filecmp.cmp(photo.path, target, shallow=False):
                return target
            number += 1
            target = folder / f"{photo.path.stem}-{number}{photo.path.suffix}"
        _copy(photo.path, target)
    except OSError as error:
        raise CountError(
            f"{photo.path}: cannot be copied to {folder} ({error.strerror}); check its space and permissions."
        ) from error
    return target


def check_output(paths: Iterable[Path], output: Path) -> None:
    """Raise CountError if the output lies inside a folder of photos, whose next sorting would include the copies."""
    for folder in paths:
        if folder.is_dir() and output.resolve().is_relative_to(folder.resolve()):
            raise CountError(f"{output}: is inside {folder}, whose photos are sorted; give a folder outside it.")


def folder_names(values: Iterable[str]) -> dict[str, str]:
    """Return a different folder name for each value, valid on any disk; add a hash where two would be the same."""
    clean = {value: _clean_name(value) for value in values}
    uses = Counter(name.casefold() for name in clean.values())
    return {value: name if uses[name.casefold()] == 1 else f"{name} {_hash(value)}" for value, name in clean.items()}


def _clean_name(value: str) -> str:
    name = "".join(letter if letter.isprintable() else "_" for letter in _RESERVED.sub("_", value))
    while len(name.encode()) > MAX_NAME_BYTES:
        name = name[:-1]
    name = name.strip(". ")
    return name if name and not _SPECIAL.fullmatch(name) else f"_{name}"


def _hash(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()[:6]


def _values(products: Iterable[Product], by: str) -> set[str]:
    """Return all values of a detail; raise CountError if there is none."""
    known = [details_of(product) | {"sku": product.sku} for product in products]
    values = {str(details[by]) for details in known if by in details}
    if not values:
        names = sorted({name for details in known for name in details})
        raise CountError(f"{by}: no product has that detail; they have {', '.join(names)}.")
    return values


def _assign_group(photo: PhotoFile, product: Product, by: str, names: Mapping[str, str]) -> SortedPhoto:
    recognized = SortedPhoto(*photo, product.sku, product.name)
    value = (details_of(product) | {"sku": product.sku}).get(by)
    if value is None:
        return replace(recognized, why=f"has no {by}")
    name = names.get(str(value)) or _clean_name(str(value))  # the product may have been edited since
    return replace(recognized, value=str(value), folder=name)


def _copy(source: Path, target: Path) -> None:
    """Copy through a temporary file, so that an existing copy is always complete."""
    with open(source, "rb") as photo, replacing(target) as file:
        shutil.copyfileobj(photo, file)
    with contextlib.suppress(OSError):  # some file systems keep neither times nor permissions
        shutil.copystat(source, target)
