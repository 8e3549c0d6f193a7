"""Words and filters: what is asked is understood, shown, and honoured exactly."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import edgesearch
from edgesearch import QueryError
from edgesearch.catalog.product import Product
from edgesearch.catalog.sqlite_catalog import Catalog, Picture, write
from edgesearch.commands.cli import main
from edgesearch.images import colours
from edgesearch.text import amounts, colour_words, sentence, text_query
from edgesearch.text import full_text as words
from edgesearch.text.filters import MAX_DEPTH, Condition, parse
from edgesearch.text.full_text import WordIndex, WordSearch
from edgesearch.text.product_table import ProductTable, facets
from edgesearch.text.spelling import Vocabulary, edit_distances
from edgesearch.text.terms import fold, index_terms

from ..conftest import TINY_MODEL
from ..store.test_store import restaged

SHELF = (
    Product("A1", "Red Mug 350 ml", 4.5, "EUR", "Kitchen", "Adidas", stock=3, attributes=(("colour", "red, white"),)),
    Product("A2", "Mug Orchard 350 ml", 60.0, "EUR", "Kitchen", "Nord", stock=0, attributes=(("colour", "red"),)),
    Product("A3", "Orange Juice 1 l", 2.5, "EUR", "Drinks", "Nord", stock=9, attributes=(("colour", "white"),)),
    Product("A4", "Apple Juice 1 l", 1.5, "EUR", "Drinks", "Orange", attributes=(("colour", "green"), ("size", "1"))),
    Product("A5", "纯牛奶 250ml", 12.0, "CNY", "牛奶", "伊利", stock=7, attributes=(("colour", "blue, white"),)),
    Product("A6", "巧克力牛奶", 35.0, "CNY", "牛奶", "蒙牛", stock=1, attributes=(("colour", "brown"), ("size", "2"))),
    Product("A7", "红茶", 8.0, "CNY", "茶", "Nord", stock=2, attributes=(("colour", "yellow"),)),
    Product(
        "A8", "Crème Brûlée", 3.9, "EUR", "Coffee and tea", "Nord", attributes=(("colour", "yellow"), ("size", "10"))
    ),
    Product("A9", "コーヒー 豆", 9.0, "EUR", "Coffee and tea", "伊利", "หอม", attributes=(("colour", "brown"),)),
)
NUMBERS = {product.sku: number for number, product in enumerate(SHELF)}


def shelf(folder: Path, products: Sequence[Product] = SHELF) -> tuple[ProductTable, WordSearch]:
    write(folder / "catalog.sqlite", [(one, [Picture(n, "x.jpg", 0, 1)]) for n, one in enumerate(products)])
    catalog = Catalog(folder / "catalog.sqlite")
    return ProductTable(catalog, {}, ()), WordSearch(WordIndex(None, catalog.products), {}, len(products))


def skus(mask: np.ndarray) -> str:
    return " ".join(SHELF[number].sku for number in np.flatnonzero(mask))


def found(words: WordSearch, text: str) -> str:
    return " ".join(SHELF[number].sku for number in words.rank(text).order(np.ones(len(SHELF), bool)))


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
def test_filters_hold_exactly(where: str, holds: str, tmp_path: Path) -> None:
    table, _ = shelf(tmp_path)
    asked = parse(where)
    assert asked.filter is not None
    assert skus(table.matching(asked.filter)) == holds
    assert parse(str(asked)) == asked


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
def test_a_wrong_filter_says_what_was_expected(where: str, says: str) -> None:
    with pytest.raises(QueryError, match=says):
        parse(where)


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("pric<3", r"no product says its pric; expected one of sku, name, price, .* \(price is the closest\)"),
        ("price<abc", "price is 'abc'; expected a number such as 2.50"),
        ("price=2,50", "found ','"),
        ("name<3", "name is text"),
        ("brand=Adidsa", "brand=Adidsa holds for no product; their brand is such as Adidas"),
        ("price<1", "price<1 holds for no product; their price is 1.5 to 60"),
        (
            "category=Kitchen and price<2",
            "price<2 holds for none of the 2 products with category=Kitchen; .* 4.5 to 60",
        ),
        ("category=Kitchen and not brand=Adidas and not brand=Nord", "loosen it"),
        ("category=Kitchen and size=2", "size=2 holds for none of the 2 .*; none of them says its size; leave it out"),
    ],
)
def test_what_cannot_be_asked_here_says_what_would_work(where: str, says: str, tmp_path: Path) -> None:
    table, found_words = shelf(tmp_path)
    with pytest.raises(QueryError, match=says):
        text_query.interpret(table, lambda: found_words, None, where, photo=False)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("mug", "A1 A2"),
        ("orchard mug", "A2 A1"),
        ("牛奶", "A5 A6"),
        ("奶", "A5 A6"),
        ("茶", "A7"),
        ("巧克力", "A6"),
        ("コーヒー", "A9"),
        ("หอม", "A9"),
        ("creme brulee", "A8"),
        ("CRÈME", "A8"),
        ("choko", ""),
        ("orchart", "A2"),
        ("jiuce aplle", "A4 A3"),
        ("orch", "A2"),
        ("350ml", "A1 A2 A5"),
        ("a4", "A4"),
    ],
)
def test_words_are_found_in_any_script_and_misspelt(text: str, holds: str, tmp_path: Path) -> None:
    _, found_words = shelf(tmp_path)
    assert found(found_words, text) == holds


def test_a_word_read_otherwise_is_said(tmp_path: Path) -> None:
    table, found_words = shelf(tmp_path)
    one = text_query.interpret(table, lambda: found_words, "orchart zzz", "", photo=False)
    assert one.understood.notes == (
        "'orchart' is read as orchard",
        "no product here says 'zzz', or anything like it",
    )


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
    table, found_words = shelf(tmp_path)
    said = sentence.parse(text, table, found_words, photo=False)
    where, left = SENTENCES[text]
    assert (sorted(said.where.split(" and ")), said.words) == (sorted(where.split(" and ")), left)
    if said.where:
        assert parse(str(parse(said.where))) == parse(said.where)


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("orange juice", "'orange' is a brand and a colour here"),
        ("mug under 500 ml", "not taken for a price bound"),
        ("5 euro mug", "not taken for a price bound"),
        ("红茶", "'红' is part of '红茶'"),
        ("mug under 5 dollars", "compared as it stands with prices in EUR, CNY"),
        ("cheaper mug", "does not say than what"),
        ("mug without handle", "'without handle' is not understood, and not used; not name~handle filters"),
        ("mug not orange", "'orange' is a brand and a colour here; brand!=Orange filters"),
        ("不要红茶", "'不要红茶' is not understood"),
        ("不要乌龙茶的饮料", "'茶' comes after '不要乌龙'"),
        ("not navy or red", "'red' comes after 'not navy or'"),
        ("mug under 1.000", "not taken for a price bound"),
    ],
)
def test_what_is_not_sure_is_said(text: str, note: str, tmp_path: Path) -> None:
    table, found_words = shelf(tmp_path)
    assert any(note in one for one in sentence.parse(text, table, found_words, photo=False).notes)


@pytest.mark.parametrize(
    ("text", "said"),
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
def test_bounds_are_those_that_people_mean(text: str, said: str) -> None:
    found = [
        f"{one.column}{operator}{n:.10g}" for one in amounts.find_bounds(fold(text)) for operator, n in one.conditions
    ]
    assert " ".join(found) == said


def test_a_shop_may_say_colours_itself_in_a_column_of_its_own_name(tmp_path: Path) -> None:
    said = [
        Product("A", "Mug", attributes=(("Color", "Navy / red"),)),
        Product("B", "Mug", attributes=(("colour", "red"),)),  # as seen, where the shop says none
        Product("C", "Mug", attributes=(("Color", "gray"),)),
        Product("D", "Mug"),
    ]
    table, found_words = shelf(tmp_path, said)
    for where, holds in (("colour=red", [0, 1]), ("Color=Navy", [0]), ("颜色=灰色", [2]), ("color!=red", [2, 3])):
        asked = parse(where).filter
        assert asked is not None
        assert np.flatnonzero(table.matching(asked)).tolist() == holds
    assert sentence.parse("navy mug", table, found_words, photo=False).where == "colour=Navy"


def test_colours_by_number_are_text(tmp_path: Path) -> None:
    table, found_words = shelf(tmp_path, [Product("A", "Red Mug", attributes=(("color", "101"),))])
    assert sentence.parse("red mug", table, found_words, photo=False).where == "(colour=red or name~red)"


def test_an_order_by_text_puts_what_says_nothing_last(tmp_path: Path) -> None:
    table, _ = shelf(tmp_path)
    every = np.arange(len(SHELF))
    assert skus_in(table.order_by(every, "brand", descending=False)) == "A1 A2 A3 A7 A8 A4 A5 A9 A6"
    assert skus_in(table.order_by(every, "size", descending=True)) == "A8 A6 A4 A1 A2 A3 A5 A7 A9"


def skus_in(numbers: np.ndarray) -> str:
    return " ".join(SHELF[number].sku for number in numbers)


def test_a_colour_that_names_have_lets_those_through_too(tmp_path: Path) -> None:
    table, found_words = shelf(tmp_path, [*SHELF, Product("B", "White Tea", attributes=(("colour", "green"),))])
    said = sentence.parse("white cup", table, found_words, photo=False)
    assert (said.where, said.words) == ("(colour=white or name~white)", "white cup")
    said = sentence.parse("like this in white", table, found_words, photo=True)
    assert (said.where, said.words) == ("(colour=white or name~white)", "")


def test_what_is_not_used_is_said_where_nothing_is_left(tmp_path: Path) -> None:
    table, found_words = shelf(tmp_path)
    with pytest.raises(QueryError, match=r"no word to search for in it \('without handle' is not understood"):
        text_query.interpret(table, lambda: found_words, "without handle", None, photo=False)


def test_words_that_the_filter_leaves_none_of_say_what_would_work(tmp_path: Path) -> None:
    table, found_words = shelf(tmp_path)
    with pytest.raises(QueryError, match=r"none of the 2 products with price<3 has any .*; without price<3 2 have"):
        text_query.interpret(table, lambda: found_words, "mug under 3", None, photo=False)
    with pytest.raises(QueryError, match="without stock>2 1 has"):
        text_query.interpret(table, lambda: found_words, "orchard", "category=Kitchen and stock>2", photo=False)


def test_like_this_needs_a_photo(tmp_path: Path) -> None:
    table, found_words = shelf(tmp_path)
    with pytest.raises(QueryError, match="means a photo"):
        sentence.parse("like this but Adidas, in stock", table, found_words, photo=False)
    said = sentence.parse("like this but Adidas, in stock", table, found_words, photo=True)
    assert (said.where, said.words) == ("stock>0 and brand=Adidas", "")
    with pytest.raises(QueryError, match="1001 characters"):
        sentence.parse("x" * 1001, table, found_words, photo=True)


def test_without_prices_a_bound_is_not_used_and_said(tmp_path: Path) -> None:
    table, found_words = shelf(tmp_path, [Product("B", "Mug"), Product("C", "Cup")])
    said = sentence.parse("mug under 5 in stock", table, found_words, photo=False)
    assert (said.where, said.words) == ("", "mug")
    assert len(said.notes) == 2


def test_edits_are_those_of_the_table() -> None:
    vocabulary = ["abcd", "abdc", "abc", "abcde", "xbcd", "bacd", "dcba", "a" * 8]
    letters = np.array(vocabulary).view(np.uint32).reshape(len(vocabulary), -1)
    lengths = np.array([len(word) for word in vocabulary])
    assert edit_distances("abcd", letters, lengths).tolist() == [0, 1, 1, 1, 1, 1, 3, 7]
    known = Vocabulary((word, 1) for word in ("milk", "mild", "yogurt", "350"))
    assert known.suggest("yoghurd") == ("yogurt",)
    assert known.suggest("mil") == ("mild", "milk")
    assert known.suggest("xx") == known.suggest("35") == known.suggest("zzzzzz") == Vocabulary([]).suggest("milk") == ()


def test_folding_keeps_what_makes_another_letter() -> None:
    assert fold("ÅÉß \uff34 ﬁ ø") == "aess t fi o"
    assert fold("が") != fold("か")
    assert fold("℡ \U0001d411ed İ") == fold(fold("℡ \U0001d411ed İ")) == "tel red i"
    assert fold("한국") == "한국"
    assert index_terms("绿茶 5kg") == ["绿茶", "茶", "5", "kg"]


@pytest.mark.parametrize(
    ("rgb", "name"),
    [((200, 30, 30), "red"), ((30, 60, 160), "blue"), ((20, 20, 20), "black"), ((240, 180, 20), "yellow"),
     ((130, 75, 40), "brown"), ((235, 125, 30), "orange"), ((90, 40, 130), "purple"), ((120, 120, 120), "grey")],
)  # fmt: skip
def test_colours_are_those_of_the_product_not_of_its_background(rgb: tuple[int, int, int], name: str) -> None:
    picture = np.full((200, 200, 3), 250, np.uint8)
    picture[60:140, 80:120] = rgb
    assert colours.name_colours([colours.colour_shares(picture)]) == name
    assert colour_words.add_colours(Product("A", "Cup", attributes=(("Farbe", "rot"),)), []).attributes == (("Farbe", "rot"),)


def test_a_photo_and_words_count_together(tmp_path: Path) -> None:
    table, found_words = shelf(tmp_path)
    one = text_query.interpret(table, lambda: found_words, "mug orchard", "", photo=True)
    assert one.nearest_by_words() == [NUMBERS["A2"], NUMBERS["A1"]]
    seen = {NUMBERS["A3"]: 0.9, NUMBERS["A1"]: 0.8, NUMBERS["A2"]: 0.2}
    assert one.order_with_photo(seen) == [NUMBERS["A1"], NUMBERS["A2"], NUMBERS["A3"]]
    nothing = text_query.interpret(table, lambda: found_words, None, "price<100", photo=True)
    assert nothing.order_with_photo(seen) == list(seen)


@pytest.fixture(scope="module")
def device(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("words")
    edgesearch.build(shop / "catalogue.csv", folder / "shop.edge", TINY_MODEL)
    edgesearch.install(folder / "shop.edge", folder / "device")
    return folder / "device"


def test_a_photo_finds_the_nearest_of_the_allowed(shop: Path, device: Path) -> None:
    photo = shop / "photos" / "P000000-1.jpg"
    with edgesearch.open(device) as store:
        every = store.search(photo, k=8).matches
        for where, holds in (
            ("price<5", lambda p: p.price < 5),
            ("not category=Tools", lambda p: p.category != "Tools"),
        ):
            answer = store.search(photo, k=3, where=where)
            wanted = {match.sku for match in every if holds(match.product)}
            assert len(answer.matches) == min(3, len(wanted))
            assert {match.sku for match in answer.matches} <= wanted
            assert answer.understood is not None
            assert answer.understood.where == where
        assert len(store.search(photo, k=8, text="mug").matches) == 8
        with pytest.raises(QueryError, match=r"price<0\.1 holds for no product"):
            store.search(photo, where="price<0.1")
        with pytest.raises(ValueError, match="neither"):
            store.search()


def test_words_find_what_was_taught_and_not_what_was_removed(shop: Path, device: Path) -> None:
    strange = sorted((shop / "photos").glob("P12*.jpg"))[0]
    with edgesearch.open(device) as store:
        assert store.search(text="mug", where="").matches[0].words == pytest.approx(1)
        store.enrol("NEW", [strange], name="Zeppelin 飞艇", price=1.0, brand="Adidas", category="Toys")
        for asked in ("zepelin", "飞艇", "Adidas", "toys", "cheapest"):
            answer = store.search(text=asked)
            assert answer.matches[0].sku == "NEW", asked
            assert store.picture(answer.matches[0]).startswith(b"\xff\xd8")
        assert dict(answer.matches[0].product.attributes)["colour"]
        first = store.search(strange, k=1, where="brand=Adidas or price>100").matches
        assert [match.sku for match in first] == ["NEW"]
        assert "NEW" not in [match.sku for match in store.search(strange, k=8, where="brand!=Adidas").matches]
        others = store._gallery().restrict_to(store._gallery().table.matching(Condition("brand", "!=", ("Adidas",))))
        assert others.rows_of("NEW") == []  # for which a barcode asks
        store.edit("NEW", name="Balloon")
        assert store.search(text="balloon").matches[0].sku == "NEW"
        with pytest.raises(QueryError, match="no product here says 'zeppelin'"):
            store.search(text="zeppelin")
        store.remove("NEW")
        with pytest.raises(QueryError, match="no product here has any of these words"):
            store.search(text="balloon")


def test_a_bundle_without_an_index_of_words_is_indexed_when_it_is_asked() -> None:
    path = Path(__file__).parents[1] / "golden" / "format1.edge"
    with edgesearch.open(path) as store:
        product = store.search(np.full((64, 64, 3), 128, np.uint8)).matches[0].product
        assert product.sku in [match.sku for match in store.search(text=product.name, where="").matches]


def test_words_of_another_catalogue_are_refused(shop: Path, tiny_edge: Path, tmp_path: Path) -> None:
    words.write(tmp_path / words.FILE, SHELF)
    mixed = restaged(tiny_edge, tmp_path, {words.FILE: (tmp_path / words.FILE).read_bytes()})
    with edgesearch.open(mixed) as store, pytest.raises(edgesearch.BundleError, match="words are of 9 products"):
        store.search(text="mug")


def test_an_encrypted_device_answers_words(shop: Path, tiny_edge: Path, tmp_path: Path) -> None:
    edgesearch.install(tiny_edge, tmp_path / "device", encrypt=True, key=bytes(32))
    with edgesearch.open(tmp_path / "device", key=bytes(32)) as store, edgesearch.open(tiny_edge) as plain:
        assert store.search(text="mug").matches[0].sku == plain.search(text="mug").matches[0].sku


def test_without_fts5_filters_work_and_words_say_so(
    device: Path, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(words, "is_available", lambda: False)
    with edgesearch.open(device) as store:
        assert store.search(where="price<100").matches
        with pytest.raises(QueryError, match="has no FTS5"):
            store.search(text="mug")
    built = edgesearch.build(shop / "catalogue.csv", tmp_path / "x.edge", TINY_MODEL)
    assert words.FILE not in built.manifest.files


@pytest.mark.parametrize("content", [b"", b"not a database, but as long as the header of one is" * 20])
def test_a_damaged_index_of_words_is_an_error(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(edgesearch.BundleError, match=r"words\.sqlite"):
        (tmp_path / words.FILE).write_bytes(content)
        WordIndex(tmp_path / words.FILE, list)


def test_the_command_shows_what_it_understood(device: Path, shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", str(device), "--text", "mugs under 50", "-k", "2"]) == 0
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith("words: ")
    assert second == "  understood as --where 'price<50' --text mugs"
    photo = str(shop / "photos" / "P000000-1.jpg")
    assert main(["search", str(device), photo, "--where", "price<50", "--json"]) == 0
    table = json.loads(capsys.readouterr().out)
    assert table["understood"] == {"where": "price<50", "words": "", "notes": []}
    assert main(["search", str(device), "--where", "pric<50"]) == 1
    assert "(price is the closest)" in capsys.readouterr().err
    assert main(["search", str(device), photo, photo, "--where", "pric<50"]) == 1
    assert capsys.readouterr().err.count("\n") == 1  # not of each photo
    with pytest.raises(SystemExit):
        main(["search", str(device), "--text", "mug", "--explain", "x"])


def test_colours_are_in_what_is_built(device: Path, shop: Path) -> None:
    with edgesearch.open(device) as store:
        product = store.search(shop / "pictures" / "P000001.jpg", k=1, where="sku=P000001").matches[0].product
    picture = np.asarray(Image.open(shop / "pictures" / "P000001.jpg").convert("RGB"))
    assert dict(product.attributes)["colour"].split(", ")[0] == colours.name_colours([colours.colour_shares(picture)]).split(", ")[0]


def test_facets_are_what_there_is_to_choose_from(tmp_path: Path) -> None:
    found = facets(shelf(tmp_path)[0])
    assert found["categories"][:2] == ["Kitchen", "Drinks"] and found["brands"][0] == "Nord"
    assert found["colours"][0] == "white" and set(found["colours"]) >= {"red", "green", "blue"}
    assert (found["currency"], found["price"]) == ("EUR", {"low": 1.5, "high": 60.0})
    assert (found["has_stock"], found["has_location"]) == (True, False)


def test_facets_of_products_of_which_little_is_said(tmp_path: Path) -> None:
    found = facets(shelf(tmp_path, [Product("A1", "Mug")])[0])
    assert found["categories"] == found["colours"] == [] and found["price"] is None and found["currency"] is None
