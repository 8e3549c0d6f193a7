"""What barcodes in a photo say, beside what it looks like.

A code that belongs to one product names it, unless the photo looks like another one: a label may be on the wrong thing,
or beside it. Where the look is not sure of any product, the label is believed.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

from ..answer import Answer, Decision, Label, Match
from ..catalog.product import Product
from ..catalog.sqlite_catalog import Catalog
from ..images import barcode
from ..images.barcode import Barcode
from .decision import Calibration

SURE = 0.99  # probability of a product that its label names; it may be on another


class Labels:
    """Which products have which barcodes. Safe to share between threads."""

    def __init__(self, catalog: Catalog, products: Mapping[str, Product], hidden: Collection[str]):
        """products: as they were taught, by SKU; hidden: SKUs of the catalogue that are not shown."""
        self._catalog, self._products, self._hidden = catalog, products, hidden

    @cached_property
    def has_any(self) -> bool:
        """There is a product with a barcode."""
        return any(product.barcode for product in self._products.values()) or self._catalog.has_barcodes()

    def label(self, code: Barcode) -> Label:
        """A code with the products it belongs to."""
        forms = barcode.equivalent_codes(code.text)
        skus = set(self._catalog.skus_with_barcodes(forms)) - self._products.keys() - set(self._hidden)
        taught = self._products.items()
        skus |= {sku for sku, one in taught if not forms.isdisjoint(barcode.split_codes(one.barcode or ""))}
        return Label(code.text, code.format, tuple(sorted(skus)))


def judged(answer: Answer, labels: Sequence[Label], named: Sequence[Match], calibration: Calibration) -> Answer:
    """The answer of the look with what the labels say.

    Args:    named: the products that the labels name, as the look scores them, best first; calibration: of the look.
             What is more likely one product than not speaks against a label, even where it is not accepted.
    """
    best = answer.matches[0] if answer.matches else None
    looks = best if best and (answer.decision != "unknown" or best.probability >= 1 / 2) else None
    decision, conflict = _decided(labels, named, looks, calibration.lead) if named else _without_product(labels, looks)
    if decision == "match":
        named = [replace(named[0], probability=max(SURE, named[0].probability))]
    skus = {match.sku for match in named}
    matches = (*named, *(match for match in answer.matches if match.sku not in skus))
    return replace(
        answer,
        decision=decision or ("ambiguous" if named and answer.decision == "unknown" else answer.decision),
        matches=matches[: max(1, len(answer.matches))],
        barcodes=tuple(labels),
        conflict=conflict,
        known=max(answer.known, *(match.probability for match in named), 0.0),
    )


def _decided(
    labels: Sequence[Label], named: Sequence[Match], looks: Match | None, lead: float
) -> tuple[Decision | None, str]:
    beside = looks is not None and looks.sku != named[0].sku
    if looks is not None and beside and looks.probability >= lead * (looks.probability + named[0].probability):
        return "ambiguous", f"the label says {_names(named)}, it looks like {_names([looks])}"
    if len(named) == 1:
        return "match", ""
    if len({label.skus for label in labels if label.skus}) == 1:
        return None, ""  # a code of several products leaves it to the look which
    return "ambiguous", f"the labels say {_names(named)}"


def _without_product(labels: Sequence[Label], looks: Match | None) -> tuple[Decision | None, str]:
    """A number of trade that is another than that of the product it looks like."""
    read = {number: label.text for label in labels if (number := barcode.parse_gtin(label.text))}
    own = [code for code in barcode.split_codes((looks and looks.product.barcode) or "") if barcode.parse_gtin(code)]
    if looks is None or not read or not own or not read.keys().isdisjoint(map(barcode.parse_gtin, own)):
        return None, ""
    codes = ", ".join(read.values())
    return (
        "ambiguous",
        f"the label says {codes}, of no product here; it looks like {_names([looks])}, whose barcode is {own[0]}",
    )


def _names(matches: Sequence[Match]) -> str:
    return " and ".join(f"{match.sku} {match.name}" for match in matches)
