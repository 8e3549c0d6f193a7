"""What in a catalogue may be wrong, before anything is built of it."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..catalog.loader import SourceCatalog
from ..catalog.product import Entry
from ..embedding.embedder import Embedder, default_model
from ..images import barcode
from . import suspects
from .suspects import ExaminedPictures, PictureRef

KINDS = {
    "same": "Products with the same picture",
    "alike": "Products with nearly the same picture",
    "unlike": "Pictures unlike the others of their product",
    "unreadable": "Pictures that cannot be read",
    "small": "Small pictures",
    "blank": "Pictures that show nothing",
    "barcode": "Products with the same barcode",
    "name": "Products with the same name",
    "price": "Unusual prices",
}
SKUS_LISTED = 5  # of many SKUs
MIN_PRICES = 5  # of a category, from which on one may be unusual
UNUSUAL_FACTOR = 100.0  # times the median price of its category, or less than that part of it


class FindingPicture(NamedTuple):
    """One that a finding is about: its product's SKU and name, its own name in the catalogue, and its place."""

    sku: str
    product: str
    name: str
    place: str


@dataclass(frozen=True)
class Finding:
    """What may be wrong, in a sentence; kind: of `KINDS`."""

    kind: str
    skus: tuple[str, ...]
    says: str
    pictures: tuple[FindingPicture, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        pictures = [{"sku": one.sku, "product": one.product, "name": one.name} for one in self.pictures]
        return {"kind": self.kind, "skus": list(self.skus), "says": self.says, "pictures": pictures}


@dataclass(frozen=True)
class CheckResult:
    """What was looked at and found.

    Attributes: looked_at: products whose pictures were looked at; findings: by kind in the order of `KINDS`, the surest
                first; notes: how the catalogue was read, and what was not looked at.
    """

    products: int
    pictures: int
    examined: int
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]

    def findings_of(self, kind: str) -> list[Finding]:
        return [one for one in self.findings if one.kind == kind]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        counts = {"products": self.products, "pictures": self.pictures, "looked_at": self.examined}
        return {**counts, "findings": [one.to_dict() for one in self.findings], "notes": list(self.notes)}


def check(
    catalogue: SourceCatalog,
    sample: int | None = None,
    model: Path | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> CheckResult:
    """Look for what may be wrong in a catalogue: in what it says, and in its pictures.

    Args:    sample: look at the pictures of so many products alone, chosen by `seed`; None for all; model: model
             folder, None for the shipped one.
    Raises:  ModelError: the model cannot be used.
    """
    entries, notes = catalogue.entries, list(catalogue.notes)
    numbers = np.arange(len(entries))
    if sample is not None and sample < len(entries):
        numbers = np.sort(np.random.default_rng(seed).choice(len(entries), sample, replace=False))
        notes.append(f"the pictures of {sample:,} of {len(entries):,} products were looked at, chosen by chance")
    embedder = Embedder.open(Path(model or default_model()), threads=os.cpu_count() or 1)
    looked = suspects.examine_pictures(entries, numbers.tolist(), embedder, progress)
    findings = [*_find_same_barcode(entries), *_find_same_name(entries), *_find_unusual_prices(entries), *_find_flawed(entries, looked)]
    findings += _find_same_picture(entries, looked)
    if len({which.entry for which in looked.which}) > 1:
        near = suspects.find_neighbours(looked, embedder.space)
        pairs, left = suspects.find_near_duplicates(entries, looked, near, embedder)
        if left:
            notes.append(f"{left:,} more pairs of pictures that look alike were not compared closely")
        findings += [_near_duplicate(entries, pair) for pair in pairs]
        told = {which for group in looked.twins for which in group} | {one for pair in pairs for one in pair[:2]}
        findings += [_outlier(entries, looked, one) for one in suspects.find_outliers(looked, near) if one.one not in told]
    order = [*KINDS]
    findings.sort(key=lambda one: order.index(one.kind))
    pictures = sum(len(entry.images) for entry in entries)
    return CheckResult(len(entries), pictures, len(numbers), tuple(findings), tuple(notes))


def _find_same_picture(entries: Sequence[Entry], looked: ExaminedPictures) -> Iterable[Finding]:
    for group in sorted(looked.twins, key=len, reverse=True):
        skus = tuple(dict.fromkeys(entries[which.entry].product.sku for which in group))
        says = f"{_list_skus(skus)} have the same picture" if len(skus) > 1 else f"{skus[0]} has the same picture twice"
        yield Finding("same", skus, says, tuple(_picture(entries, which) for which in group))


def _near_duplicate(entries: Sequence[Entry], pair: suspects.NearDuplicate) -> Finding:
    pictures = _picture(entries, pair.one), _picture(entries, pair.other)
    skus = tuple(one.sku for one in pictures)
    return Finding(
        "alike", skus, f"{_list_skus(skus)} have nearly the same picture (correlation {pair.correlation:.3f})", pictures
    )


def _outlier(entries: Sequence[Entry], looked: ExaminedPictures, stray: suspects.Outlier) -> Finding:
    one, nearest = _picture(entries, stray.one), _picture(entries, stray.nearest)
    own = [which for which in looked.which if which.entry == stray.one.entry]
    sibling = _picture(entries, next(which for which in own if which != stray.one))
    if len(own) == 2:
        says = f"the two pictures of {one.sku} are unlike, and {one.name} looks like {nearest.sku}"
    else:
        says = f"{one.name} of {one.sku} looks like {nearest.sku}, not like its others"
    cosines = f"(cosine {stray.others:.2f} against {stray.own:.2f})"
    return Finding("unlike", (one.sku,), f"{says} {cosines}", (one, sibling, nearest))


def _find_flawed(entries: Sequence[Entry], looked: ExaminedPictures) -> Iterable[Finding]:
    """Pictures that are bad whatever the others are."""
    flaws = [("unreadable", which, why) for which, why in looked.unreadable]
    flaws += [
        ("small", which, f"{side} px; products are found less often below {suspects.SMALL_PX}")
        for which, side in sorted(looked.small, key=lambda one: one[1])
    ]
    flaws += [("blank", which, "one colour all over") for which in looked.blank]
    for kind, which, why in flaws:
        picture = _picture(entries, which)
        named = "" if kind == "unreadable" else f"{picture.name}: "  # its error names the place
        yield Finding(kind, (picture.sku,), f"{picture.sku}: {named}{why}", (picture,))


def _find_same_barcode(entries: Sequence[Entry]) -> Iterable[Finding]:
    owners: dict[str, list[str]] = defaultdict(list)
    for entry in entries:
        codes = barcode.split_codes(entry.product.barcode or "")
        for code in {(code.isdecimal() and barcode.parse_gtin(code)) or code: None for code in codes}:
            owners[code].append(entry.product.sku)
    for code, skus in owners.items():
        if len(skus) > 1:
            yield Finding("barcode", tuple(skus), f"{_list_skus(skus)} have the barcode {code.lstrip('0') or code}")


def _find_same_name(entries: Sequence[Entry]) -> Iterable[Finding]:
    owners: dict[str, list[int]] = defaultdict(list)
    for number, entry in enumerate(entries):
        owners[" ".join(entry.product.name.casefold().split())].append(number)
    for numbers in owners.values():
        if len(numbers) > 1:
            skus = tuple(entries[number].product.sku for number in numbers)
            yield Finding("name", skus, f"{_list_skus(skus)} are all called {entries[numbers[0]].product.name}")


def _find_unusual_prices(entries: Sequence[Entry]) -> Iterable[Finding]:
    """Prices of nothing, and far from those of the same category and currency."""
    groups: dict[tuple[str | None, str | None], list[int]] = defaultdict(list)
    for number, entry in enumerate(entries):
        product = entry.product
        if product.price:
            groups[product.category, product.currency].append(number)
        elif product.price == 0:
            yield Finding("price", (product.sku,), f"{product.sku} costs 0")
    for (category, currency), numbers in groups.items():
        middle = float(np.median([entries[number].product.price or 0.0 for number in numbers]))
        for product in (entries[number].product for number in numbers if len(numbers) >= MIN_PRICES):
            times = (product.price or 0.0) / middle
            if times >= UNUSUAL_FACTOR or times <= 1 / UNUSUAL_FACTOR:
                others = f"the median of {category or 'all without a category'} is {middle:,.2f}"
                says = f"{product.sku} costs {product.price:,.2f} {currency or ''}".rstrip()
                yield Finding("price", (product.sku,), f"{says}; {others}")


def _picture(entries: Sequence[Entry], which: PictureRef) -> FindingPicture:
    entry = entries[which.entry]
    return FindingPicture(entry.product.sku, entry.product.name, *entry.images[which.picture])


def _list_skus(skus: Sequence[str]) -> str:
    """The first of them, and how many more."""
    if len(skus) > SKUS_LISTED:
        return f"{', '.join(skus[:SKUS_LISTED])} and {len(skus) - SKUS_LISTED:,} more"
    return " and ".join([", ".join(skus[:-1]), skus[-1]])
