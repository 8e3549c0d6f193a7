"""Check a catalogue for likely mistakes before anything is built from it."""

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..catalog.loader import SourceCatalog
from ..catalog.product import Entry, Product
from ..embedding.embedder import Embedder
from ..embedding.shipped_models import find_model
from ..images import barcode, photo_formats
from . import outliers, suspects
from .outliers import Outlier
from .suspects import ExaminedPictures, NearDuplicate, PictureRef

KINDS = {
    "same": "Products with the same picture",
    "alike": "Products with nearly the same picture",
    "unlike": "Pictures unlike the others of their product",
    "unreadable": "Pictures that cannot be read",
    "cut": "Pictures whose files lack their end",
    "small": "Small pictures",
    "blank": "Pictures that show nothing",
    "without": "Products without a picture",
    "barcode": "Products with the same barcode",
    "name": "Products with the same name",
    "price": "Unusual prices",
}
PRODUCTS_NAMED = 3
MIN_PRICES = 5  # in a category; with fewer, none is called unusual
UNUSUAL_FACTOR = 100.0  # an unusual price is this many times more or less than the median of its category


class FindingPicture(NamedTuple):
    """A picture of a finding: the SKU and name of its product, its name in the catalogue, and its source."""

    sku: str
    product: str
    name: str
    source: str


@dataclass(frozen=True)
class Finding:
    """A likely mistake; kind: one of `KINDS`; says: the mistake in a sentence."""

    kind: str
    skus: tuple[str, ...]
    says: str
    pictures: tuple[FindingPicture, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able form."""
        pictures = [{"sku": one.sku, "product": one.product, "name": one.name} for one in self.pictures]
        return {"kind": self.kind, "skus": list(self.skus), "says": self.says, "pictures": pictures}


@dataclass(frozen=True)
class CheckResult:
    """The result of checking a catalogue.

    Attributes:
        products, pictures: how many the catalogue has.
        examined: products whose pictures were examined.
        findings: in the order of `KINDS`, surest first.
        notes: how the catalogue was read, and what was not checked.
    """

    products: int
    pictures: int
    examined: int
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]

    def findings_of(self, kind: str) -> list[Finding]:
        """Return the findings of a kind."""
        return [finding for finding in self.findings if finding.kind == kind]

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able form."""
        counts = {"products": self.products, "pictures": self.pictures, "looked_at": self.examined}
        return {**counts, "findings": [finding.to_dict() for finding in self.findings], "notes": list(self.notes)}


def check(
    catalog: SourceCatalog,
    sample: int | None = None,
    model: str | Path | None = None,
    seed: int = 0,
) -> CheckResult:
    """Check the texts and pictures of a catalogue for likely mistakes.

    Args:
        sample: examine the pictures of only so many products, chosen by `seed`; None for all.
        model: as `build` takes it.
    Raises:
        ModelError: the model cannot be used.
    """
    entries, notes = catalog.entries, list(catalog.notes)
    numbers = np.arange(len(entries))
    if sample is not None and sample < len(entries):
        numbers = np.sort(np.random.default_rng(seed).choice(len(entries), sample, replace=False))
        notes.append(f"the pictures of {sample:,} of {len(entries):,} products, chosen at random, were examined")
    embedder = Embedder.open(find_model(model), threads=os.cpu_count() or 1)
    examined = suspects.examine_pictures(entries, numbers.tolist(), embedder)
    findings = [
        *_find_without_picture(entries),
        *_find_same_barcode(entries),
        *_find_same_name(entries),
        *_find_unusual_prices(entries),
    ]
    findings += [*_find_flawed(entries, examined), *_find_same_picture(entries, examined)]
    compared, not_compared = _compare_products(entries, examined, embedder)
    if not_compared:
        notes.append(f"{not_compared:,} more pairs of similar pictures were not compared closely")
    order = [*KINDS]
    findings = sorted(findings + compared, key=lambda finding: order.index(finding.kind))
    pictures = sum(len(entry.images) for entry in entries)
    return CheckResult(len(entries), pictures, len(numbers), tuple(findings), tuple(notes))


def _compare_products(
    entries: Sequence[Entry], examined: ExaminedPictures, embedder: Embedder
) -> tuple[list[Finding], int]:
    """Return near duplicates and outliers, and the number of pairs that were too many to compare."""
    if len({ref.entry for ref in examined.readable}) < 2:
        return [], 0
    near = suspects.find_neighbours(examined, embedder.space)
    pairs, not_compared = suspects.find_near_duplicates(entries, examined, near, embedder)
    reported = {ref for group in examined.identical for ref in group} | {ref for pair in pairs for ref in pair[:2]}
    unlike = [one for one in outliers.find_outliers(examined, near) if one.picture not in reported]
    findings = [_describe_near_duplicates(entries, group) for group in _join_pairs(pairs)]
    return findings + [_describe_outlier(entries, outlier) for outlier in unlike], not_compared


def _find_same_picture(entries: Sequence[Entry], examined: ExaminedPictures) -> Iterable[Finding]:
    for group in sorted(examined.identical, key=len, reverse=True):
        products = [entries[number].product for number in dict.fromkeys(ref.entry for ref in group)]
        says = "have the same picture" if len(products) > 1 else "has the same picture twice"
        pictures = tuple(_picture(entries, ref) for ref in group)
        yield Finding("same", _skus(products), f"{_list(products)} {says}", pictures)


def _join_pairs(pairs: Sequence[NearDuplicate]) -> list[list[NearDuplicate]]:
    """Group pairs, surest first, whose products they link directly or through others; keep the order."""
    group_of: dict[int, list[NearDuplicate]] = {}
    for pair in pairs:
        first, second = (group_of.setdefault(ref.entry, []) for ref in pair[:2])
        if first is not second:
            first += second
            group_of |= dict.fromkeys((ref.entry for one in (pair, *second) for ref in one[:2]), first)
        first.append(pair)
    groups = {id(group): group for group in group_of.values()}.values()
    return [sorted(group, key=lambda pair: -pair.correlation) for group in groups]


def _describe_near_duplicates(entries: Sequence[Entry], group: Sequence[NearDuplicate]) -> Finding:
    refs = {ref.entry: ref for pair in reversed(group) for ref in pair[:2]}  # of each product that of the surest pair
    products = [entries[number].product for number in sorted(refs)]
    says = f"{_list(products)} have nearly the same picture (correlation {group[0].correlation:.3f})"
    return Finding("alike", _skus(products), says, tuple(_picture(entries, refs[number]) for number in sorted(refs)))


def _describe_outlier(entries: Sequence[Entry], outlier: Outlier) -> Finding:
    picture, sibling, nearest = (_picture(entries, ref) for ref in (outlier.picture, outlier.sibling, outlier.nearest))
    own, other = (entries[ref.entry].product for ref in (outlier.picture, outlier.nearest))
    cosines = f"(cosine {outlier.nearest_cosine:.2f} against {outlier.own_cosine:.2f})"
    says = f"{_title(own)}: {picture.name} looks like {_title(other)}, not like {sibling.name} {cosines}"
    return Finding("unlike", (own.sku,), says, (picture, sibling, nearest))


def _find_flawed(entries: Sequence[Entry], examined: ExaminedPictures) -> Iterable[Finding]:
    """Yield the pictures that are bad by themselves: unreadable, small or blank."""
    flaws = [("unreadable", ref, reason) for ref, reason in examined.unreadable]
    flaws += [("cut", ref, photo_formats.WITHOUT_END) for ref in examined.cut_off]
    flaws += [
        ("small", ref, f"{side} px; products are found less often below {suspects.SMALL_PX}")
        for ref, side in sorted(examined.small, key=lambda pair: pair[1])
    ]
    flaws += [("blank", ref, "one colour all over") for ref in examined.blank]
    for kind, ref, reason in flaws:
        picture = _picture(entries, ref)
        named = "" if kind == "unreadable" else f"{picture.name}: "  # that error names the source
        title = _title(entries[ref.entry].product)
        yield Finding(kind, (picture.sku,), f"{title}: {named}{reason}", (picture,))


def _find_without_picture(entries: Sequence[Entry]) -> Iterable[Finding]:
    for product in (entry.product for entry in entries if not entry.images):
        says = f"{_title(product)} has no picture; only words, filters and barcodes find it"
        yield Finding("without", (product.sku,), says)


def _find_same_barcode(entries: Sequence[Entry]) -> Iterable[Finding]:
    owners: dict[str, list[Product]] = defaultdict(list)
    for entry in entries:
        codes = barcode.split_codes(entry.product.barcode or "")
        for code in {(code.isdecimal() and barcode.parse_gtin(code)) or code: None for code in codes}:
            owners[code].append(entry.product)
    for code, products in owners.items():
        if len(products) > 1:
            says = f"{_list(products)} have the barcode {code.lstrip('0') or code}"
            yield Finding("barcode", _skus(products), says)


def _find_same_name(entries: Sequence[Entry]) -> Iterable[Finding]:
    owners: dict[str, list[Product]] = defaultdict(list)
    for entry in entries:
        owners[" ".join(entry.product.name.casefold().split())].append(entry.product)
    for products in owners.values():
        if len(products) > 1:
            skus = _skus(products)
            yield Finding("name", skus, f"{products[0].name} is the name of {_join(skus)}")


def _find_unusual_prices(entries: Sequence[Entry]) -> Iterable[Finding]:
    """Yield prices of 0, and prices far from those of the same category and currency."""
    groups: dict[tuple[str | None, str | None], list[int]] = defaultdict(list)
    for number, entry in enumerate(entries):
        product = entry.product
        if product.price:
            groups[product.category, product.currency].append(number)
        elif product.price == 0:
            yield Finding("price", (product.sku,), f"{_title(product)} costs 0")
    for (category, currency), numbers in groups.items():
        median = float(np.median([entries[number].product.price or 0.0 for number in numbers]))
        for product in (entries[number].product for number in numbers if len(numbers) >= MIN_PRICES):
            factor = (product.price or 0.0) / median
            if factor >= UNUSUAL_FACTOR or factor <= 1 / UNUSUAL_FACTOR:
                others = f"the median of {category or 'all without a category'} is {median:,.2f}"
                says = f"{_title(product)} costs {product.price:,.2f} {currency or ''}".rstrip()
                yield Finding("price", (product.sku,), f"{says}; {others}")


def _picture(entries: Sequence[Entry], ref: PictureRef) -> FindingPicture:
    entry = entries[ref.entry]
    return FindingPicture(entry.product.sku, entry.product.name, *entry.images[ref.picture])


def _title(product: Product) -> str:
    """Return the name of a product with its SKU."""
    return product.name if product.name == product.sku else f"{product.name} ({product.sku})"


def _skus(products: Iterable[Product]) -> tuple[str, ...]:
    return tuple(product.sku for product in products)


def _list(products: Sequence[Product]) -> str:
    return _join([_title(product) for product in products])


def _join(names: Sequence[str]) -> str:
    """List the first names, and say how many more there are."""
    if len(names) > PRODUCTS_NAMED + 1:
        return f"{', '.join(names[:PRODUCTS_NAMED])} and {len(names) - PRODUCTS_NAMED:,} more"
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
