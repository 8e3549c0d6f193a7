"""What a device was told and what a base says, together."""

import pytest

from edgesearch import CatalogError
from edgesearch.catalog.product import Product
from edgesearch.catalog.sqlite_catalog import StoredProduct
from edgesearch.device import changes
from edgesearch.device.changes import Change, edited, enrolled, removed

MUG = Product("P1", "Mug", price=4.0, stock=7, attributes=(("size", "L"),))


def test_a_new_product_needs_a_name_and_is_shown() -> None:
    with pytest.raises(CatalogError, match="needs a name"):
        enrolled("P1", None, None, {"price": 4.0})
    change = enrolled("P1", None, None, {"name": "Mug", "price": 4.0, "size": "L"})
    assert change.applied("P1", None) == Product("P1", "Mug", price=4.0, attributes=(("size", "L"),))


def test_an_edit_changes_what_was_said_and_nothing_else() -> None:
    change = edited("P1", None, MUG, {"price": 5.0, "size": None, "shelf": "A7"})
    assert change.applied("P1", MUG) == Product("P1", "Mug", price=5.0, stock=7, attributes=(("shelf", "A7"),))


def test_a_detail_of_which_a_new_base_says_something_else_is_the_base_s() -> None:
    change = edited("P1", None, MUG, {"price": 5.0, "stock": 3})
    newer = Product("P1", "Mug", price=4.5, stock=7)
    product = change.applied("P1", newer)
    assert product is not None and (product.price, product.stock) == (4.5, 3)
    assert change.overruled(newer) == ["price"]
    again = edited("P1", change, newer, {"price": 5.0}).applied("P1", newer)
    assert again is not None and again.price == 5.0


def test_a_base_that_has_a_taught_product_describes_it_and_the_device_adds_what_it_leaves_open() -> None:
    change = enrolled("P1", None, None, {"name": "Blue mug", "price": 9.0, "location": "A7"})
    product = change.applied("P1", MUG)
    assert product is not None and (product.name, product.price, product.location) == ("Mug", 4.0, "A7")


def test_what_a_base_drops_goes_with_its_edits() -> None:
    assert edited("P1", None, MUG, {"price": 5.0}).applied("P1", None) is None


def test_what_is_removed_stays_so_until_it_is_enrolled_again() -> None:
    gone = removed("P1", edited("P1", None, MUG, {"price": 5.0}), MUG)
    assert gone.applied("P1", MUG) is None
    with pytest.raises(CatalogError, match="no product of that SKU"):
        edited("P1", gone, MUG, {"price": 1.0})
    with pytest.raises(CatalogError, match="no product of that SKU"):
        removed("P1", gone, MUG)
    assert enrolled("P1", gone, MUG, {}).applied("P1", MUG) == MUG
    own = enrolled("P2", None, None, {"name": "Cup"})
    assert removed("P2", own, None).applied("P2", Product("P2", "Cup")) is None  # when the next base has it


def test_settled_is_what_the_base_says_too() -> None:
    change = Change(details={"price": 5.0}, was={"price": 4.0}, pictures={"ab": 1})
    dearer = Product("P1", "Mug", price=5.0)
    assert change.is_settled("P1", StoredProduct(0, dearer, [0, 1], ["a.jpg", "taught/pictures/ab.jpg"]))
    assert not change.is_settled("P1", StoredProduct(0, dearer, [0], ["a.jpg"]))
    assert not change.is_settled("P1", StoredProduct(0, MUG, [0], ["ab.jpg"]))
    assert change.is_settled("P1", None)
    assert not Change(removed=True).is_settled("P1", StoredProduct(0, MUG, [0], ["a.jpg"]))
    assert Change(removed=True).is_settled("P1", None)


def test_a_change_is_read_back() -> None:
    change = changes.enrolled("P1", None, None, {"name": "Mug", "stock": 3})
    assert Change.from_dict(change.to_dict()) == change
