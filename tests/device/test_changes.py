"""Changes that a device was taught, combined with the bundle's catalogue."""

import pytest

from edgesearch import CatalogError
from edgesearch.catalog.product import Product
from edgesearch.catalog.sqlite_catalog import StoredProduct
from edgesearch.device import changes
from edgesearch.device.changes import Change

MUG = Product("P1", "Mug", price=4.0, stock=7, attributes=(("size", "L"),))


def test_a_new_product_needs_a_name() -> None:
    with pytest.raises(CatalogError, match="needs a name"):
        changes.enrol("P1", None, None, {"price": 4.0})
    change = changes.enrol("P1", None, None, {"name": "Mug", "price": 4.0, "size": "L"})
    assert change.apply("P1", None) == Product("P1", "Mug", price=4.0, attributes=(("size", "L"),))


def test_an_edit_changes_only_the_given_details() -> None:
    change = changes.edit("P1", None, MUG, {"price": 5.0, "size": None, "shelf": "A7"})
    assert change.apply("P1", MUG) == Product("P1", "Mug", price=5.0, stock=7, attributes=(("shelf", "A7"),))


def test_a_new_value_in_the_bundle_overrides_an_edit() -> None:
    change = changes.edit("P1", None, MUG, {"price": 5.0, "stock": 3})
    newer = Product("P1", "Mug", price=4.5, stock=7)
    product = change.apply("P1", newer)
    assert product is not None and (product.price, product.stock) == (4.5, 3)
    assert change.overridden_details(newer) == ["price"]
    again = changes.edit("P1", change, newer, {"price": 5.0}).apply("P1", newer)
    assert again is not None and again.price == 5.0


def test_the_bundle_describes_a_taught_product_and_the_device_fills_in_missing_details() -> None:
    change = changes.enrol("P1", None, None, {"name": "Blue mug", "price": 9.0, "location": "A7"})
    product = change.apply("P1", MUG)
    assert product is not None and (product.name, product.price, product.location) == ("Mug", 4.0, "A7")


def test_edits_of_a_dropped_product_are_dropped() -> None:
    assert changes.edit("P1", None, MUG, {"price": 5.0}).apply("P1", None) is None


def test_a_removed_product_stays_removed_until_it_is_enrolled_again() -> None:
    gone = changes.remove("P1", changes.edit("P1", None, MUG, {"price": 5.0}), MUG)
    assert gone.apply("P1", MUG) is None
    with pytest.raises(CatalogError, match="no product of that SKU"):
        changes.edit("P1", gone, MUG, {"price": 1.0})
    with pytest.raises(CatalogError, match="no product of that SKU"):
        changes.remove("P1", gone, MUG)
    assert changes.enrol("P1", gone, MUG, {}).apply("P1", MUG) == MUG
    own = changes.enrol("P2", None, None, {"name": "Cup"})
    assert changes.remove("P2", own, None).apply("P2", Product("P2", "Cup")) is None  # the next bundle has it


def test_a_change_that_the_bundle_contains_is_redundant() -> None:
    change = Change(details={"price": 5.0}, was={"price": 4.0}, pictures={"ab": 1})
    dearer = Product("P1", "Mug", price=5.0)
    assert change.is_redundant("P1", StoredProduct(0, dearer, [0, 1], ["a.jpg", "taught/pictures/ab.jpg"]))
    assert not change.is_redundant("P1", StoredProduct(0, dearer, [0], ["a.jpg"]))
    assert not change.is_redundant("P1", StoredProduct(0, MUG, [0], ["ab.jpg"]))
    assert change.is_redundant("P1", None)
    assert not Change(removed=True).is_redundant("P1", StoredProduct(0, MUG, [0], ["a.jpg"]))
    assert Change(removed=True).is_redundant("P1", None)


def test_a_change_round_trips() -> None:
    change = changes.enrol("P1", None, None, {"name": "Mug", "stock": 3})
    assert Change.from_dict(change.to_dict()) == change
