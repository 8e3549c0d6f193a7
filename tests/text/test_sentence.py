"""Sentences become filters and words."""

from pathlib import Path

import pytest

from edgesearch import QueryError
from edgesearch.catalog.product import Product
from edgesearch.text import amounts, sentence, text_query
from edgesearch.text.filters import parse
from edgesearch.text.terms import fold

from .shelf import SHELF, shelf

SENTENCES = {
    "red mug under 50": ("price<50 and colour=red", "mug"),
    "Mugs between 3 and 5 euro": ("price>=3 and price<=5 and currency=EUR", "mugs"),
    "不超过30元的牛奶": ("price<=30 and currency=CNY and category=牛奶", ""),
    "红色的杯子": ("colour=red", "杯子"),
    "红茶": ("", "红茶"),
    "有货的伊利": ("stock>0 and brand=伊利", ""),
    "最便宜的牛奶": ("category=牛奶 order by price", ""),
    "cheapest juice": ("order by price", "juice"),
    "most expensive mug": ("order by price desc", "mug"),
    "Adidas in stock": ("stock>0 and brand=Adidas", ""),
    "mug not Adidas": ("brand!=Adidas", "mug"),
    "除了蒙牛的牛奶": ("brand!=蒙牛 and category=牛奶", ""),
    "orange juice": ("", "orange juice"),
    "orchard mug in red or white": ("(colour=red or colour=white)", "orchard mug"),
    "yellow creme": ("colour=yellow", "creme"),
    "Adidas or 伊利": ("brand in (Adidas, 伊利)", ""),
    "drinks up to two euros fifty": ("price<=2 and currency=EUR and category=Drinks", "fifty"),
    "coffee and tea, at least 5 dollars": ('price>=5 and category="Coffee and tea"', ""),
    "十块钱以内的牛奶": ("price<=10 and currency=CNY and category=牛奶", ""),
    "价格在5到10元之间": ("price>=5 and price<=10 and currency=CNY", ""),
    "mug under 500 ml": ("", "mug under 500 ml"),
    "5 euro mug": ("", "5 euro mug"),
    "white or brown": ("(colour=white or colour=brown)", ""),
    "蓝色 牛奶 15元以下": ("price<=15 and currency=CNY and category=牛奶 and colour=blue", ""),
    "sold out mugs": ("stock<=0", "mugs"),
    "mug not Adidas or Nord": ("brand!=Adidas and brand!=Nord", "mug"),
    "除了蒙牛和伊利以外的牛奶": ("brand!=蒙牛 and brand!=伊利 and category=牛奶", ""),
    "not the red one": ("colour!=red", ""),
    "non-red mug": ("colour!=red", "mug"),
    "mug without handle": ("", "mug"),
    "mug not orange": ("", "mug"),
    "不要红茶": ("", ""),
    "不要乌龙茶的饮料": ("", "饮料"),
    "at least 3 in stock, not above 12345.67": ("stock>=3 and price<=12345.67", ""),
    "库存大于5的牛奶": ("stock>5 and category=牛奶", ""),
    "比较便宜的牛奶": ("category=牛奶", ""),
    "": ("", ""),
}


@pytest.mark.parametrize("text", SENTENCES)
def test_sentences_are_understood(text: str, tmp_path: Path) -> None:
    table, words_of_shelf = shelf(tmp_path)
    parsed = sentence.parse(text, table, words_of_shelf, photo=False)
    where, left = SENTENCES[text]
    assert (sorted(parsed.where.split(" and ")), parsed.words) == (sorted(where.split(" and ")), left)
    if parsed.where:
        assert parse(str(parse(parsed.where))) == parse(parsed.where)


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("orange juice", "'orange' is a brand and a colour here"),
        ("mug under 500 ml", "not read as a price bound"),
        ("5 euro mug", "not read as a price bound"),
        ("红茶", "'红' is part of '红茶'"),
        ("mug under 5 dollars", "compared, without conversion, with prices in EUR, CNY"),
        ("cheaper mug", "it does not say than what"),
        ("mug without handle", "'without handle' is not understood, so it is ignored; to filter, use not name~handle"),
        ("mug not orange", "'orange' is a brand and a colour here; to filter, use brand!=Orange"),
        ("不要红茶", "'不要红茶' is not understood"),
        ("不要乌龙茶的饮料", "'茶' comes after '不要乌龙'"),
        ("not navy or red", "'red' comes after 'not navy or'"),
        ("mug under 1.000", "not read as a price bound"),
    ],
)
def test_doubtful_parts_of_a_sentence_are_noted(text: str, note: str, tmp_path: Path) -> None:
    table, words_of_shelf = shelf(tmp_path)
    assert any(note in one for one in sentence.parse(text, table, words_of_shelf, photo=False).notes)


@pytest.mark.parametrize(
    ("text", "conditions"),
    [
        ("under 1234567.89", "price<1234567.89"), ("under 2,500", "price<2500"), ("under 5,50 euro", "price<5.5"),
        ("under 1.000 euro", ""), ("1.000以下", ""), ("under 50k", ""), ("under 50 thousand", ""),
        ("under 50 cents", ""), ("under 500-ml", ""), ("under twenty five ml", ""), ("不超过三十毫升", ""),
        ("not above 5", "price<=5"), ("won't cost more than 5", "price<=5"), ("nothing over 5", "price<=5"),
        ("I want over 5", "price>5"), ("no less than 5", "price>=5"), ("不要超过30元", "price<=30"),
        ("别超过30", "price<=30"), ("不多于30元", "price<=30"), ("不低于30", "price>=30"), ("不到30", "price<30"),
        ("30元内", "price<=30"), ("30欧元以内", "price<=30"), ("3千以下", "price<=3000"), ("两百五以下", "price<=250"),
        ("一百零五以内", "price<=105"), ("一万二以内", "price<=12000"), ("三块五以下", "price<=3.5"),
        ("under two hundred and fifty", "price<250"), ("under \u0665", "price<5"), ("price<=5", "price<=5"),
        ("between one hundred and two hundred", "price>=100 price<=200"),
        ("stock over 10", "stock>10"), ("at least 3 pieces in stock", "stock>=3"), ("库存不少于10", "stock>=10"),
        ("mug in stock under 50", "price<50"), ("more than 5 euro in stock", "price>5"),
        ("stock over 5 euro", "price>5"),
    ],
)  # fmt: skip
def test_bounds_are_read_as_people_mean_them(text: str, conditions: str) -> None:
    found = [
        f"{one.column}{operator}{n:.10g}" for one in amounts.find_bounds(fold(text)) for operator, n in one.conditions
    ]
    assert " ".join(found) == conditions


def test_colour_numbers_are_text(tmp_path: Path) -> None:
    table, words_of_shelf = shelf(tmp_path, [Product("A", "Red Mug", attributes=(("color", "101"),))])
    assert sentence.parse("red mug", table, words_of_shelf, photo=False).where == "(colour=red or name~red)"


def test_a_colour_also_matches_names_that_have_it(tmp_path: Path) -> None:
    table, words_of_shelf = shelf(tmp_path, [*SHELF, Product("B", "White Tea", attributes=(("colour", "green"),))])
    parsed = sentence.parse("white cup", table, words_of_shelf, photo=False)
    assert (parsed.where, parsed.words) == ("(colour=white or name~white)", "white cup")
    parsed = sentence.parse("like this in white", table, words_of_shelf, photo=True)
    assert (parsed.where, parsed.words) == ("(colour=white or name~white)", "")


def test_a_sentence_without_usable_words_says_why(tmp_path: Path) -> None:
    table, words_of_shelf = shelf(tmp_path)
    with pytest.raises(QueryError, match=r"no word to search for \('without handle' is not understood"):
        text_query.interpret(table, lambda: words_of_shelf, "without handle", None, photo=False)


def test_like_this_needs_a_photo(tmp_path: Path) -> None:
    table, words_of_shelf = shelf(tmp_path)
    with pytest.raises(QueryError, match="means a photo"):
        sentence.parse("like this but Adidas, in stock", table, words_of_shelf, photo=False)
    parsed = sentence.parse("like this but Adidas, in stock", table, words_of_shelf, photo=True)
    assert (parsed.where, parsed.words) == ("stock>0 and brand=Adidas", "")
    with pytest.raises(QueryError, match="1001 characters"):
        sentence.parse("x" * 1001, table, words_of_shelf, photo=True)


def test_bounds_without_prices_are_noted(tmp_path: Path) -> None:
    table, words_of_shelf = shelf(tmp_path, [Product("B", "Mug"), Product("C", "Cup")])
    parsed = sentence.parse("mug under 5 in stock", table, words_of_shelf, photo=False)
    assert (parsed.where, parsed.words) == ("", "mug")
    assert len(parsed.notes) == 2
