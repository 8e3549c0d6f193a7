"""Changes of products that a device was taught, and how they combine with the bundle's catalogue.

A change outlives the bundle on which it was made, and may be merged into another catalogue. One rule combines the two:
if the bundle gives another value for a detail than when the change was made, the bundle's value is used; otherwise the
change's value is used. The rule needs no clock.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import PurePath
from typing import Any

from ..catalog.product import COLUMNS, Product, check_size, details_of, product_of
from ..catalog.sqlite_catalog import StoredProduct
from ..errors import CatalogError


@dataclass(frozen=True)
class Change:
    """The change of one product.

    Attributes:
        own: Whether the device added the product; if not, it disappears when a bundle drops it.
        removed: Whether the product is hidden.
        details: New values by name.
        was: The bundle's value of each when the change was made.
        pictures: Numbers of the added reference pictures, by name, which is the hash of their content.
    """

    own: bool = False
    removed: bool = False
    details: Mapping[str, Any] = field(default_factory=dict)
    was: Mapping[str, Any] = field(default_factory=dict)
    pictures: Mapping[str, int] = field(default_factory=dict)

    def apply(self, sku: str, base: Product | None) -> Product | None:
        """Return the product as it is shown, or None if it is not; `base` is the bundle's product."""
        if self.removed or (base is None and not self.own):
            return None
        if base is None:
            return product_of(sku, self.details)
        current = details_of(base)
        valid = {name: value for name, value in self.details.items() if current.get(name) == self.was.get(name)}
        return product_of(sku, current | valid)

    def overridden_details(self, base: Product) -> list[str]:
        """Return the names of details for which the bundle's value is used, and differs."""
        current = details_of(base)
        return [name for name, value in self.details.items() if current.get(name) not in (self.was.get(name), value)]

    def missing_pictures(self, sources: Sequence[str]) -> dict[str, int]:
        """Return the added pictures that the bundle lacks; it names pictures from a device as the device does."""
        merged = {PurePath(source).stem for source in sources}
        return {name: number for name, number in self.pictures.items() if name not in merged}

    def is_redundant(self, sku: str, base: StoredProduct | None) -> bool:
        """Return whether the bundle already contains everything that this change says."""
        product, sources = (base.product, base.sources) if base else (None, [])
        return self.apply(sku, product) == product and not (product and self.missing_pictures(sources))

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able form that `from_dict` reads."""
        return asdict(self)

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> "Change":
        """Read what `to_dict` returned; raise KeyError, TypeError or ValueError for anything else."""
        details, was, pictures = (dict(table[name]) for name in ("details", "was", "pictures"))
        return cls(bool(table["own"]), bool(table["removed"]), details, was, pictures)


def describe(before: Change | None, after: Change | None) -> list[str]:
    """Return what differs between two changes of a product, a phrase for each: "price 2.50 -> 4.50"."""
    one, other = before or Change(), after or Change()
    if other.removed:
        return ["removed"] if not one.removed else []
    phrases = ["shown again"] if one.removed else ["new product"] if other.own and not one.own else []
    if one.own and after is None:
        return ["no longer here"]
    named = {*one.details, *other.details}
    for name in [*filter(named.__contains__, COLUMNS), *sorted(named.difference(COLUMNS))]:
        was = other.was.get(name, one.was.get(name))  # the bundle's value
        is_valid = name in one.details and one.was.get(name) == was
        old, new = one.details[name] if is_valid else was, other.details.get(name, was)
        if old != new:
            phrases.append(describe_value(name, old, new))
    for pictures, verb in (
        (other.pictures.keys() - one.pictures, "added"),
        (one.pictures.keys() - other.pictures, "gone"),
    ):
        if pictures:
            phrases.append(f"{len(pictures)} picture{'s' * (len(pictures) > 1)} {verb}")
    return phrases


def describe_value(name: str, old: object, new: object) -> str:
    """Return how a detail changed: "price 2.50 -> 4.50", "brand Acme" if it was empty, "brand Acme -> empty"."""
    texts = ["empty" if one is None else f"{one:.2f}" if isinstance(one, float) else str(one) for one in (old, new)]
    return f"{name} {texts[1]}" if old is None else f"{name} {' -> '.join(texts)}"


def enrol(sku: str, before: Change | None, base: Product | None, details: Mapping[str, Any]) -> Change:
    """Return the change that shows a product with these details; raise CatalogError if a new one has no name."""
    if (before.apply(sku, base) if before else base) is None:
        if base is None and not details.get("name"):
            raise CatalogError(f"{sku}: a product that is not in the catalogue needs a name; give it.")
        before = Change(own=base is None)
    return _set_details(sku, before or Change(), base, details)


def edit(sku: str, before: Change | None, base: Product | None, details: Mapping[str, Any]) -> Change:
    """Return the change that gives a product other details; raise CatalogError if no product has that SKU."""
    _check_shown(sku, before, base)
    return _set_details(sku, before or Change(), base, details)


def remove(sku: str, before: Change | None, base: Product | None) -> Change:
    """Return the change that hides a product, also in later bundles; raise CatalogError if no product has that SKU."""
    _check_shown(sku, before, base)
    return Change(removed=True)


def _check_shown(sku: str, change: Change | None, base: Product | None) -> None:
    if (change.apply(sku, base) if change else base) is None:
        raise CatalogError(f"{sku}: no product of that SKU is here; check it, or enrol the product.")


def _set_details(sku: str, before: Change, base: Product | None, details: Mapping[str, Any]) -> Change:
    """Return the change with other details; those that are as the bundle has them need no change."""
    current = details_of(base) if base else {}
    changed = {**before.details, **details}
    check_size(sku, changed)
    was = {**before.was, **{name: current.get(name) for name in details}}
    kept = [
        name for name, value in changed.items() if base is None or name not in details or value != current.get(name)
    ]
    return replace(before, details={name: changed[name] for name in kept}, was={name: was[name] for name in kept})
