"""Filters, orders and facets over the columns of products."""

import re
from pathlib import Path

import numpy as np
import pytest

from edgesearch import QueryError
from edgesearch.catalog.product import Product
from edgesearch.text import sentence, text_query
from edgesearch.text.filters import MAX_DEPTH, parse
from edgesearch.text.product_table import facets

from .shelf import SHELF, join_skus, shelf, skus


@pytest.mark.parametrize(
    ("where", "holds"),
    [
        ("category=Kitchen", "A1 A2"),
        ("CATEGORY = kitchen", "A1 A2"),
        ("price<3 or category=茶", "A3 A4 A7"),
        ("not (price<3 or category=茶) and currency=EUR", "A1 A2 A8 A9"),
        ('category="Coffee and tea"', "A8 A9"),
        ("brand in (Adidas, 伊利)", "A1 A5 A9"),
        ("brand not in (Nord, 伊利, 蒙牛)", "A1 A4"),
        ("stock>0 and price<=4.5", "A1 A3"),
        ("stock!=0 and currency=EUR", "A1 A3 A4 A8 A9"),
        ("name~creme", "A8"),
        ("name~牛奶 and price≥20", "A6"),
        ("colour=white", "A1 A3 A5"),
        ("color=红色", "A1 A2"),
        ("颜色=brown", "A6 A9"),
        ("size>1", "A6 A8"),
        ("size in (1, 10.0)", "A4 A8"),
        ("价格\uff1c3", "A3 A4"),
    ],
)
def test_filters_match_exactly(where: str, holds: str, tmp_path: Path) -> None:
    table, _ = shelf(tmp_path)
    parsed = parse(where)
    assert parsed.filter is not None
    assert skus(table.matching(parsed.filter)) == holds
    assert parse(str(parsed)) == parsed


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("", "expected a column"),
        ("price", "expected one of = != < <= > >= ~ or `in` after 'price'"),
        ("price<", "expected a value"),
        ("price<3 and", "expected a column"),
        ("(price<3", "expected `\\)`"),
        ("price<3)", "found '\\)', expected `and`, `or`, or the end"),
        ("category=Coffee and tea", "after 'tea'"),
        ("price!3", "cannot be read"),
        ("brand in Nord", "expected `\\(`"),
        ("(" * 200 + "a=1", f"more than {MAX_DEPTH} deep"),
        ("not " * 2000, "4000 characters|8000 characters"),
        (" or ".join(["a=1"] * 101), "more than 100 conditions"),
        ("order by", "a column after `order by`"),
    ],
)
def test_malformed_filters_say_what_was_expected(where: str, says: str) -> None:
    with pytest.raises(QueryError, match=says):
        parse(where)


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("pric<3", r"no product has a column pric; expected one of sku, name, price, .* \(price is the closest\)"),
        ("price<abc", "price is 'abc'; expected a number such as 2.50"),
        ("price=2,50", "found ','"),
        ("name<3", "name holds text"),
    ],
)
def test_filters_that_cannot_be_applied_are_errors(where: str, says: str, tmp_path: Path) -> None:
    table, words_of_shelf = shelf(tmp_path)
    with pytest.raises(QueryError, match=says):
        text_query.interpret(table, lambda: words_of_shelf, None, where, photo=False)


@pytest.mark.parametrize(
    ("text", "where", "says"),
    [
        (None, "brand=Adidsa", ["without brand=Adidsa, 9 products are left; the products' brand is such as Adidas"]),
        (None, "price<1", ["without price<1, 9 products are left; the products' price is 1.5 to 60"]),
        (
            None,
            "category=Kitchen and price<2",
            ["without price<2, 2 products are left; their price is 4.5 to 60", "without category=Kitchen, 1 product"],
        ),
        (
            None,
            "category=Kitchen and not brand=Adidas and not brand=Nord",
            ["without category=Kitchen, ", "without not brand=Adidas, 1 product", "without not brand=Nord, 1 product"],
        ),
        (
            None,
            "category=Kitchen and size=2",
            ["without size=2, 2 .*; their size is empty, leave the condition out", "without category=Kitchen, 1 "],
        ),
        (
            None,
            "category=Kitchen and brand=Zzz and price<1",
            ["without brand=Zzz and price<1, 2 products are left; their brand is Adidas, Nord; their price is 4.5 to"],
        ),
        (None, "price<1 or price>1000", ["without price<1 or price>1000, 9 .* loosen that condition"]),
        ("zeppelin", None, ["without the words 'zeppelin', 9 products are left; try other words"]),
        ("zeppelin", "category=Kitchen", ["without the words 'zeppelin', 2 products are left"]),
        ("zeppelin", "price<1", ["without price<1 and the words 'zeppelin', 9 products are left"]),
        ("mug", "category=Drinks", ["without category=Drinks, 2 products", "without the words 'mug', 2 products"]),
        ("mug under 3", None, ["without price<3, 2 products are left", "without the words 'mug', 2 products are left"]),
        ("orchard", "stock>2 and category=Kitchen", ["without stock>2, 1 product", "without the words 'orchard', 1 "]),
        ("orchard under 1", None, ["without price<1, 1 product is left; its price is 60$"]),
    ],
)
def test_conditions_that_match_nothing_are_blamed_one_by_one(
    text: str | None, where: str | None, says: list[str], tmp_path: Path
) -> None:
    table, words_of_shelf = shelf(tmp_path)
    query = text_query.interpret(table, lambda: words_of_shelf, text, where, photo=False)
    found, decision = query.answer(table)
    assert (len(found), decision) == (0, "unknown")
    for reason, start in zip(query.emptied_by, says, strict=True):
        assert re.match(start, str(reason)), str(reason)


def test_blame_counts_what_a_search_without_the_condition_finds(tmp_path: Path) -> None:
    table, words_of_shelf = shelf(tmp_path)
    parts = ["category=Drinks", "price<2", "brand=Adidas"]
    query = text_query.interpret(table, lambda: words_of_shelf, None, " and ".join(parts), photo=False)
    assert query.emptied_by
    for reason in query.emptied_by:
        others = " and ".join(part for part in parts if part != reason.where)
        again = text_query.interpret(table, lambda: words_of_shelf, None, others, photo=False)
        assert len(again.answer(table)[0]) == reason.others_leave > 0


def test_a_filter_restricts_a_photo_and_words_do_not(tmp_path: Path) -> None:
    table, words_of_shelf = shelf(tmp_path)
    assert not text_query.interpret(table, lambda: words_of_shelf, "zeppelin", None, photo=True).emptied_by
    assert text_query.interpret(table, lambda: words_of_shelf, "zeppelin", "price<1", photo=True).emptied_by


def test_colour_columns_of_any_language_are_combined(tmp_path: Path) -> None:
    products = [
        Product("A", "Mug", attributes=(("Color", "Navy / red"),)),
        Product("B", "Mug", attributes=(("colour", "red"),)),  # as `build` adds it if the shop names no colour
        Product("C", "Mug", attributes=(("Color", "gray"),)),
        Product("D", "Mug"),
    ]
    table, words_of_shelf = shelf(tmp_path, products)
    for where, holds in (("colour=red", [0, 1]), ("Color=Navy", [0]), ("颜色=灰色", [2]), ("color!=red", [2, 3])):
        condition = parse(where).filter
        assert condition is not None
        assert np.flatnonzero(table.matching(condition)).tolist() == holds
    assert sentence.parse("navy mug", table, words_of_shelf, photo=False).where == "colour=Navy"


def test_order_by_puts_empty_values_last(tmp_path: Path) -> None:
    table, _ = shelf(tmp_path)
    every = np.arange(len(SHELF))
    assert join_skus(table.order_by(every, "brand", descending=False)) == "A1 A2 A3 A7 A8 A4 A5 A9 A6"
    assert join_skus(table.order_by(every, "size", descending=True)) == "A8 A6 A4 A1 A2 A3 A5 A7 A9"


def test_facets_list_the_values_to_choose_from(tmp_path: Path) -> None:
    found = facets(shelf(tmp_path)[0])
    assert found["categories"][:2] == ["Kitchen", "Drinks"] and found["brands"][0] == "Nord"
    assert found["colours"][0] == "white" and set(found["colours"]) >= {"red", "green", "blue"}
    assert (found["currency"], found["price"]) == ("EUR", {"low": 1.5, "high": 60.0})
    assert (found["has_stock"], found["has_location"]) == (True, False)
    assert found["examples"][:2] == [{"sku": "A1", "name": "Red Mug 350 ml"}, {"sku": "A3", "name": "Orange Juice 1 l"}]


def test_facets_of_sparse_products_are_empty(tmp_path: Path) -> None:
    found = facets(shelf(tmp_path, [Product("A1", "Mug")])[0])
    assert found["categories"] == found["colours"] == [] and found["price"] is None and found["currency"] is None
    assert found["examples"] == [{"sku": "A1", "name": "Mug"}]
