"""A bundle that is ready to be written is made small enough for a budget.

The network and all that is said of the products stay. First the way to search is chosen (`ways`, `budget`), beside a
packed catalogue and the few pictures that golden queries ask. What is left is spent on the index of words, then on
pictures, the larger the better, then on a catalogue that need not be unpacked whenever the bundle is opened.
"""

import os
import shutil
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..bundle import bundle_file
from ..bundle.golden_queries import FILE as GOLDEN_FILE
from ..bundle.golden_queries import Golden, asked_rows
from ..catalog import packed_catalog, sqlite_catalog
from ..catalog.sqlite_catalog import Catalog
from ..embedding.embedder import Embedder
from ..errors import BundleError
from ..images import image
from ..index.compact_index import ARRAYS_FILE, CompactIndex
from ..local_features.local_index import FILE as LOCAL_FILE
from ..local_features.local_index import LocalIndex
from ..search.open_bundle import CATALOG, INDEX, PICTURES
from ..text import full_text
from .budget import Extra, Fitted, Plan, least_mb, megabytes, searched
from .search_plans import CODES, Ask, SearchPlans

HEAD_BYTES = 16_384  # manifest and signature, at most
LEAST_ROW = min(CODES) // 2 + 4  # bytes: its codes and its number
SIDES = (224, 160, 128, 96, 64)  # px, of pictures
QUALITY = 60
SAMPLE = 64  # pictures that tell about how large all of them will be
SHY = 0.9  # of what they tell: where that is too large, the pictures are not tried


@dataclass(frozen=True)
class Staged:
    """A bundle before it is written.

    Attributes: folder: its members, which are changed; x: (N, D) float32, the rows of its index; local: its print;
                only_its_codes: the index's quantizer must stay.
    """

    folder: Path
    x: np.ndarray
    embedder: Embedder
    index: CompactIndex
    local: LocalIndex | None
    seed: int = 0
    only_its_codes: bool = False

    @property
    def size_bytes(self) -> int:
        """Of the bundle, at most."""
        return bundle_file.size_bytes(self.sizes(), HEAD_BYTES)

    def sizes(self) -> dict[str, int]:
        """Of each member."""
        files = (path for path in self.folder.rglob("*") if path.is_file())
        return {path.relative_to(self.folder).as_posix(): path.stat().st_size for path in files}


def check_possible(output: Path, model_bytes: int, pictures: int, limit_bytes: int) -> None:
    """Refuse what cannot fit before any picture is read; raises BundleError."""
    least = model_bytes + pictures * LEAST_ROW + HEAD_BYTES
    if least > limit_bytes:
        fewer = ", or fewer pictures" if model_bytes + HEAD_BYTES < limit_bytes else ""
        raise BundleError(
            f"{output}: {megabytes(limit_bytes)} were given, but the network takes {megabytes(model_bytes)} and "
            f"{pictures:,} pictures {megabytes(pictures * LEAST_ROW)} more, whatever else is given up; give more than "
            f"--budget-mb {least_mb(least)}{fewer}."
        )


def fit(
    staged: Staged, output: Path, limit_bytes: int, ask: Ask, ways: SearchPlans | None = None
) -> tuple[Staged, Fitted]:
    """Keep what is best within a budget that is too small for all of it.

    Args:    output: what to call the bundle in errors; ask: measures an index and a print; ways: those of what is
             staged, where several budgets are tried.
    Raises:  BundleError: it cannot be made so small; what is in the folder is of no use then.
    """
    all_bytes = staged.size_bytes
    ways = ways or SearchPlans(staged.x, staged.index, staged.local, staged.seed, staged.only_its_codes)
    with tempfile.TemporaryDirectory(prefix="edgesearch-build-") as work:
        shown = _Shown(staged, Path(work))
        rest = {name: size for name, size in staged.sizes().items() if name not in (INDEX + ARRAYS_FILE, LOCAL_FILE)}
        plans = ways.plans(staged.folder, bundle_file.size_bytes(rest, HEAD_BYTES))
        if plans[-1].size_bytes > limit_bytes:
            raise _too_small(output, rest, plans[-1], limit_bytes)
        plans = ways.asked(plans, limit_bytes, ask)
        taken = searched(plans, limit_bytes)
        assert taken is not None
        whole = Plan(
            staged.index.code_bytes, True, max(plan.features for plan in plans), all_bytes,
            ask(staged.index, staged.local),
        )  # fmt: skip
        chosen = replace(staged, index=ways.index(taken), local=ways.print(taken.features))
        _write(chosen)
        kept, left_out = shown.spend(limit_bytes)
        Golden.ask(chosen.embedder, chosen.index, shown.picture).write(chosen.folder / GOLDEN_FILE)
    return chosen, Fitted(limit_bytes, chosen.size_bytes, taken, tuple(plans), whole, kept, left_out)


def _write(chosen: Staged) -> None:
    shutil.rmtree(chosen.folder / INDEX)
    (chosen.folder / INDEX).mkdir()
    chosen.index.write(chosen.folder / INDEX)
    (chosen.folder / LOCAL_FILE).unlink(missing_ok=True)
    if chosen.local:
        chosen.local.write(chosen.folder / LOCAL_FILE)


def _too_small(output: Path, rest: dict[str, int], plan: Plan, limit_bytes: int) -> BundleError:
    network = sum(size for name, size in rest.items() if name.startswith("model/"))
    said = rest[packed_catalog.FILE]
    other, least = plan.size_bytes - network - said, least_mb(plan.size_bytes)
    return BundleError(
        f"{output}: {megabytes(limit_bytes)} were given and {least} MB are the least, without print, pictures, index "
        f"of words and int8 vectors (network {megabytes(network)}, packed catalogue {megabytes(said)}, {plan.name} and "
        f"all else {megabytes(other)}); give --budget-mb {least}, or less said of fewer products."
    )


class _Shown:
    """What is shown of the products, or makes it quicker; at first the least of it is left in the folder."""

    def __init__(self, staged: Staged, work: Path):
        """work: folder for what is taken out."""
        self._staged, self._folder, self._work = staged, staged.folder, work
        for name in (PICTURES, CATALOG, full_text.FILE):
            if (self._folder / name).exists():
                shutil.move(self._folder / name, work / name)
        known = Catalog(work / CATALOG)
        self._places, owners = known.places(), known.owners
        known.close()
        self._kept: list[tuple[int, int]] = []
        self._golden = asked_rows(len(owners))
        self._firsts = np.unique(owners, return_index=True)[1].tolist()
        self._keep(self._golden, SIDES[-1])

    def picture(self, row: int) -> bytes:
        """As it is kept."""
        return _read(self._folder / PICTURES, *self._kept[row])

    def spend(self, limit_bytes: int) -> tuple[tuple[Extra, ...], tuple[Extra, ...]]:
        """What is kept within the limit, and what is left out."""
        kept: list[Extra] = []
        left_out: list[Extra] = []
        self._spend_on_words(limit_bytes, kept, left_out)
        self._spend_on_pictures(limit_bytes, kept, left_out)
        self._spend_on_catalogue(limit_bytes, kept, left_out)
        return tuple(kept), tuple(left_out)

    def _spend_on_words(self, limit_bytes: int, kept: list[Extra], left_out: list[Extra]) -> None:
        if (self._work / full_text.FILE).exists():
            before = self._staged.size_bytes
            shutil.copy(self._work / full_text.FILE, self._folder / full_text.FILE)
            extra = Extra("index of words", self._staged.size_bytes - before)
            if self._staged.size_bytes > limit_bytes:
                (self._folder / full_text.FILE).unlink()
                left_out.append(extra)
            else:
                kept.append(extra)

    def _spend_on_pictures(self, limit_bytes: int, kept: list[Extra], left_out: list[Extra]) -> None:
        before, tried = self._staged.size_bytes, False
        rows = {"pictures": [*range(len(self._places))], "pictures, one a product": self._firsts}
        if len(self._firsts) == len(self._places):
            rows.popitem()
        for name, side in ((name, side) for side in (None, *SIDES) for name in rows):
            extra = Extra(f"{name}, {f'{side} px' if side else 'as they were'}", self._guessed(rows[name], side))
            if before + SHY * extra.size_bytes <= limit_bytes:
                self._keep(rows[name], side)
                tried = True
                extra = replace(extra, size_bytes=self._staged.size_bytes - before)
                if self._staged.size_bytes <= limit_bytes:
                    kept.append(extra)
                    return
            left_out.append(extra)
        if tried:
            self._keep(self._golden, SIDES[-1])

    def _spend_on_catalogue(self, limit_bytes: int, kept: list[Extra], left_out: list[Extra]) -> None:
        packed, before = (self._folder / packed_catalog.FILE).read_bytes(), self._staged.size_bytes
        (self._folder / packed_catalog.FILE).unlink()
        shutil.copy(self._work / "placed", self._folder / CATALOG)
        extra = Extra("catalogue unpacked", self._staged.size_bytes - before)
        if self._staged.size_bytes <= limit_bytes:
            kept.append(extra)
        else:
            (self._folder / CATALOG).unlink()
            (self._folder / packed_catalog.FILE).write_bytes(packed)
            left_out.append(extra)

    def _guessed(self, rows: Sequence[int], side: int | None) -> int:
        """Bytes of these pictures, by some of them."""
        some = [rows[at] for at in np.unique(np.linspace(0, len(rows) - 1, SAMPLE).astype(int)).tolist()]
        return round(np.mean([len(self._made(row, side)) for row in some]) * len(rows))

    def _keep(self, rows: Sequence[int], side: int | None) -> None:
        """Write these pictures, and those of golden queries, and where they are."""
        rows, self._kept = sorted({*rows, *self._golden}), [(0, 0)] * len(self._places)
        with open(self._folder / PICTURES, "wb") as file, ThreadPoolExecutor(os.cpu_count()) as pool:
            for row, picture in zip(rows, pool.map(lambda row: self._made(row, side), rows), strict=True):
                self._kept[row] = file.tell(), len(picture)
                file.write(picture)
        shutil.copy(self._work / CATALOG, self._work / "placed")
        sqlite_catalog.place(self._work / "placed", self._kept)
        (self._folder / packed_catalog.FILE).write_bytes(packed_catalog.pack(self._work / "placed"))

    def _made(self, row: int, side: int | None) -> bytes:
        picture = _read(self._work / PICTURES, *self._places[row])
        return image.smaller(picture, side, QUALITY) if side else picture


def _read(file: Path, start: int, size: int) -> bytes:
    with open(file, "rb") as pictures:
        pictures.seek(start)
        return pictures.read(size)
