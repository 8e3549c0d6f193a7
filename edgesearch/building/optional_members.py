"""The members that a small bundle can do without: word index, pictures, and the catalogue unpacked.

They are only displayed or save time; no answer depends on them.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..bundle.golden_queries import golden_rows
from ..catalog import packed_catalog, sqlite_catalog
from ..catalog.sqlite_catalog import Catalog
from ..images import image
from ..search.open_bundle import CATALOG, PICTURES
from ..text import full_text
from .budget import Extra
from .staged_bundle import StagedBundle

SIDES = (224, 160, 128, 96, 64)  # px, of reduced pictures
QUALITY = 60  # of WebP
SAMPLE = 64  # pictures from which the size of all is estimated
ESTIMATE_MARGIN = 0.9  # pictures whose estimated size exceeds the limit by more than this factor are not tried
PLACED = "placed"  # the catalogue with the positions of the pictures that are kept


class OptionalMembers:
    """Removes the optional members from a staged bundle, and puts back those that fit.

    Attributes:
        pictured: Rows that have a picture.
    """

    def __init__(self, staged: StagedBundle, folder: Path):
        """Reduce the staged bundle to a packed catalogue and the few small pictures of its golden queries.

        Args:
            staged: Bundle whose folder is changed.
            folder: Folder to move the members to.
        """
        self._staged, self._stage, self._removed = staged, staged.folder, folder
        for name in (PICTURES, CATALOG, full_text.FILE):
            if (self._stage / name).exists():
                shutil.move(self._stage / name, folder / name)
        catalog = Catalog(folder / CATALOG)
        self._positions, owners = catalog.picture_offsets(), catalog.owners
        catalog.close()
        self.pictured = [row for row, (_, size) in enumerate(self._positions) if size]
        self._kept: list[tuple[int, int]] = []
        self._golden = golden_rows(self.pictured)
        first = np.unique(owners[self.pictured], return_index=True)[1].tolist()
        self._first_rows = [self.pictured[i] for i in first]
        self._keep_pictures(self._golden, SIDES[-1])

    def picture(self, row: int) -> bytes:
        """Return the picture of a row as the staged bundle keeps it."""
        return _read(self._stage / PICTURES, *self._kept[row])

    def spend(self, limit_bytes: int) -> tuple[tuple[Extra, ...], tuple[Extra, ...]]:
        """Put back members while the bundle stays within the limit.

        Returns: What the bundle keeps, and what is left out.
        """
        kept: list[Extra] = []
        left_out: list[Extra] = []
        self._spend_on_words(limit_bytes, kept, left_out)
        self._spend_on_pictures(limit_bytes, kept, left_out)
        self._spend_on_catalog(limit_bytes, kept, left_out)
        return tuple(kept), tuple(left_out)

    def _spend_on_words(self, limit_bytes: int, kept: list[Extra], left_out: list[Extra]) -> None:
        if (self._removed / full_text.FILE).exists():
            before = self._staged.size_bytes
            shutil.copy(self._removed / full_text.FILE, self._stage / full_text.FILE)
            extra = Extra("index of words", self._staged.size_bytes - before)
            if self._staged.size_bytes > limit_bytes:
                (self._stage / full_text.FILE).unlink()
                left_out.append(extra)
            else:
                kept.append(extra)

    def _spend_on_pictures(self, limit_bytes: int, kept: list[Extra], left_out: list[Extra]) -> None:
        before, tried = self._staged.size_bytes, False
        for name, rows, side in self._picture_choices():
            extra = Extra(name, self._estimate_bytes(rows, side))
            if before + ESTIMATE_MARGIN * extra.size_bytes <= limit_bytes:
                self._keep_pictures(rows, side)
                tried = True
                extra = replace(extra, size_bytes=self._staged.size_bytes - before)
                if self._staged.size_bytes <= limit_bytes:
                    kept.append(extra)
                    return
            left_out.append(extra)
        if tried:
            self._keep_pictures(self._golden, SIDES[-1])

    def _picture_choices(self) -> Iterator[tuple[str, list[int], int | None]]:
        """Yield name, rows and longest side of the choices of pictures, the best first."""
        rows = {"pictures": self.pictured, "pictures, one a product": self._first_rows}
        if len(self._first_rows) == len(self.pictured):
            rows.popitem()
        for side in (None, *SIDES):
            for name in rows:
                yield f"{name}, {f'{side} px' if side else 'as they were'}", rows[name], side

    def _spend_on_catalog(self, limit_bytes: int, kept: list[Extra], left_out: list[Extra]) -> None:
        packed, before = (self._stage / packed_catalog.FILE).read_bytes(), self._staged.size_bytes
        (self._stage / packed_catalog.FILE).unlink()
        shutil.copy(self._removed / PLACED, self._stage / CATALOG)
        extra = Extra("catalogue unpacked", self._staged.size_bytes - before)
        if self._staged.size_bytes <= limit_bytes:
            kept.append(extra)
        else:
            (self._stage / CATALOG).unlink()
            (self._stage / packed_catalog.FILE).write_bytes(packed)
            left_out.append(extra)

    def _estimate_bytes(self, rows: Sequence[int], side: int | None) -> int:
        """Return the size of these pictures, extrapolated from a sample of them."""
        sample = [rows[i] for i in np.unique(np.linspace(0, len(rows) - 1, SAMPLE).astype(int)).tolist()]
        return round(np.mean([len(self._reduced(row, side)) for row in sample]) * len(rows))

    def _keep_pictures(self, rows: Sequence[int], side: int | None) -> None:
        """Write these pictures and those of the golden queries, and a packed catalogue with their positions."""
        rows, self._kept = sorted({*rows, *self._golden}), [(0, 0)] * len(self._positions)
        with open(self._stage / PICTURES, "wb") as file, ThreadPoolExecutor(os.cpu_count()) as pool:
            for row, picture in zip(rows, pool.map(lambda row: self._reduced(row, side), rows), strict=True):
                self._kept[row] = file.tell(), len(picture)
                file.write(picture)
        shutil.copy(self._removed / CATALOG, self._removed / PLACED)
        sqlite_catalog.set_picture_offsets(self._removed / PLACED, self._kept)
        (self._stage / packed_catalog.FILE).write_bytes(packed_catalog.pack(self._removed / PLACED))

    def _reduced(self, row: int, side: int | None) -> bytes:
        """Return the picture of a row, reduced to the longest side; None leaves it as it is."""
        picture = _read(self._removed / PICTURES, *self._positions[row])
        return image.to_webp(picture, side, QUALITY) if side else picture


def _read(file: Path, start: int, size: int) -> bytes:
    with open(file, "rb") as pictures:
        pictures.seek(start)
        return pictures.read(size)
