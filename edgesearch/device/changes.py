"""What a device was told of a product, and what that and a base say together.

A change outlives the base it was made on, and may be merged into another catalogue. One rule settles what they then
say: a detail of which the base says something else than when it was changed is the base's, any other is the change's.
No clock is asked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import PurePath
from typing import Any

from ..catalog.product import Product, details_of, product_of
from ..catalog.sqlite_catalog import StoredProduct
from ..errors import CatalogError


@dataclass(frozen=True)
class Change:
    """Attributes: own: the base did not have the product, which goes with its base otherwise; removed: it is not shown;
    details: by name, as they were set; was: what the base said of each; pictures: numbers of the reference pictures it
    was given, by name, which is the hash of their content.
    """

    own: bool = False
    removed: bool = False
    details: Mapping[str, Any] = field(default_factory=dict)
    was: Mapping[str, Any] = field(default_factory=dict)
    pictures: Mapping[str, int] = field(default_factory=dict)

    def applied(self, sku: str, base: Product | None) -> Product | None:
        """The product as it is shown, None where it is not; base: as the base has it, None where it has not."""
        if self.removed or (base is None and not self.own):
            return None
        if base is None:
            return product_of(sku, self.details)
        said = details_of(base)
        kept = {name: value for name, value in self.details.items() if said.get(name) == self.was.get(name)}
        return product_of(sku, said | kept)

    def overruled(self, base: Product) -> list[str]:
        """The details of which the base has the last word, and another."""
        said = details_of(base)
        return [name for name, value in self.details.items() if said.get(name) not in (self.was.get(name), value)]

    def beside(self, sources: Sequence[str]) -> dict[str, int]:
        """The pictures that the base has not: it names those that it got from a device as the device does."""
        merged = {PurePath(source).stem for source in sources}
        return {name: number for name, number in self.pictures.items() if name not in merged}

    def is_settled(self, sku: str, base: StoredProduct | None) -> bool:
        """The base says all of it already."""
        product, sources = (base.product, base.sources) if base else (None, [])
        return self.applied(sku, product) == product and not (product and self.beside(sources))

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form, read back by `from_dict`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> "Change":
        """Raises KeyError, TypeError or ValueError on anything else than a `to_dict`."""
        details, was, pictures = (dict(table[name]) for name in ("details", "was", "pictures"))
        return cls(bool(table["own"]), bool(table["removed"]), details, was, pictures)


def enrolled(sku: str, before: Change | None, base: Product | None, details: Mapping[str, Any]) -> Change:
    """A product that is shown from now on; raises CatalogError where it is new and has no name."""
    if (before.applied(sku, base) if before else base) is None:
        if base is None and not details.get("name"):
            raise CatalogError(f"{sku}: a product that is not in the catalogue needs a name; give it.")
        before = Change(own=base is None)
    return _told(before or Change(), base, details)


def edited(sku: str, before: Change | None, base: Product | None, details: Mapping[str, Any]) -> Change:
    """A product that is shown with other details; raises CatalogError where there is none of that SKU."""
    _shown(sku, before, base)
    return _told(before or Change(), base, details)


def removed(sku: str, before: Change | None, base: Product | None) -> Change:
    """A product that is not shown any more, nor where another base has it; raises CatalogError where there is none."""
    _shown(sku, before, base)
    return Change(removed=True)


def _shown(sku: str, change: Change | None, base: Product | None) -> None:
    if (change.applied(sku, base) if change else base) is None:
        raise CatalogError(f"{sku}: no product of that SKU is here; check it, or enrol the product.")


def _told(before: Change, base: Product | None, details: Mapping[str, Any]) -> Change:
    said = details_of(base) if base else {}
    was = {**before.was, **{name: said.get(name) for name in details}}
    return replace(before, details={**before.details, **details}, was=was)
