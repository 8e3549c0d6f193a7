"""Preferences derived from reactions, and how far they move a ranking."""

import numpy as np
import pytest

from edgesearch import Match
from edgesearch.catalog.product import Product
from edgesearch.search import preference
from edgesearch.search.preference import BOUND, PHOTO_BOUND, Preference, Reaction, traits_of


def liking(brand: str, picks: int = 8) -> Preference:
    """Return the preference of a user who picks one brand and passes over another."""
    return Preference.of([Reaction(True, "A", {"brand": brand}, [("B", {"brand": "other"})])] * picks)


def make_matches(*pairs: tuple[str, float]) -> list[Match]:
    """Return matches of the given brands and probabilities."""
    likely = ((Product(f"P{i}", "x", brand=brand), score, i) for i, (brand, score) in enumerate(pairs))
    return [Match(product, score, "x.jpg", row, probability=score) for product, score, row in likely]


def test_only_matches_within_the_bound_change_order() -> None:
    rng = np.random.default_rng(0)
    brands = ["liked", "other", "none"]
    for _ in range(300):
        scores = np.exp(-np.sort(rng.uniform(0, 4 * PHOTO_BOUND, 8)))
        matches = make_matches(*((brands[rng.integers(3)], float(score)) for score in scores))
        ranked = liking("liked", 100).rerank(matches)
        assert ranked[0] == matches[0]
        for place, match in enumerate(ranked):
            passed = [np.log(one.probability / match.probability) for one in ranked[place + 1 :]]
            assert max(passed, default=0) <= PHOTO_BOUND + 1e-9


def test_picked_traits_rank_before_passed_over_ones() -> None:
    matches = make_matches(("none", 0.9), ("other", 0.8), ("none", 0.799), ("liked", 0.798), ("liked", 0.3))
    assert [match.row for match in liking("liked").rerank(matches)] == [0, 3, 2, 1, 4]
    assert liking("liked").rerank(matches[:1]) == tuple(matches[:1])
    assert liking("liked").rerank([]) == ()
    assert 0 < liking("liked").lift(matches[3].product) <= BOUND / 2
    assert -BOUND / 2 <= liking("liked").lift(matches[1].product) < 0
    assert Preference().lift(matches[3].product) == 0


def test_older_reactions_count_less_and_fade_when_the_preference_changes() -> None:
    liked, other = (
        [Reaction(True, "A", {"brand": name}, [("B", {"brand": rest})])] for name, rest in (("a", "b"), ("b", "a"))
    )
    product = Product("A", "x", brand="A")
    lifts = [Preference.of(other * count + liked * 10).lift(product) for count in (0, 5, 20, 60)]
    assert lifts == sorted(lifts, reverse=True)
    assert lifts[0] > 0 > lifts[-1]
    once = Preference.of([Reaction(False, "C", {})] * round(preference.HALF_LIFE) + liked).weights[("brand", "a")]
    assert once.picked == pytest.approx(0.5)


def test_the_products_passed_over_for_one_pick_count_once_together() -> None:
    said = Reaction(True, "A", {"brand": "a"}, [("B", {"brand": "b"}), ("C", {"brand": "b"}), ("D", {"brand": "d"})])
    weights = Preference.of([said]).weights
    assert sum(weight.passed for weight in weights.values()) == pytest.approx(1)
    assert weights[("brand", "b")].passed == pytest.approx(2 / 3)


def test_traits_come_from_the_catalogue() -> None:
    product = Product("A", "x", 6.5, "EUR", "Mugs ", "Alm", attributes=(("Colour", "Red"), ("shelf", "A7")))
    assert traits_of(product) == {"brand": "alm", "category": "mugs", "colour": "red", "price": "4 to 8 eur"}
    assert traits_of(Product("A", "x")) == {}
    assert traits_of(Product("A", "x", 0.0)) == {"price": "nothing"}
    assert traits_of(Product("A", "x", 0.7, "EUR"))["price"] == "0.5 to 1 eur"
    assert traits_of(Product("A", "x", 8.0))["price"] == "8 to 16"


def test_each_colour_of_a_product_is_a_trait() -> None:
    red, blue, both = (Product("A", "x", attributes=((name, said),)) for name, said in (
        ("colour", "red, white"), ("Color", "Blue/white"), ("颜色", "红色、蓝")))  # fmt: skip
    preference = Preference.of([Reaction(True, "A", traits_of(red), [("B", traits_of(blue))])] * 4)
    assert {value: weight.log_odds > 0 for (_, value), weight in preference.weights.items() if weight.log_odds} == {
        "red": True,
        "blue": False,
    }
    assert preference.lift(Product("C", "x", attributes=(("colour", "red"),))) > 0
    assert preference.lift(both) == pytest.approx(0)
