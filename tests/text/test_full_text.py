"""Word search: scripts, spelling, ranking, and colours."""

from pathlib import Path

import numpy as np
import pytest

import edgesearch
from edgesearch.catalog.product import Product
from edgesearch.images import colours
from edgesearch.text import colour_words, full_text, text_query
from edgesearch.text.full_text import WordIndex
from edgesearch.text.spelling import Vocabulary, edit_distances
from edgesearch.text.terms import fold, index_terms

from .shelf import NUMBERS, find_skus, shelf


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
def test_words_are_found_in_any_script_and_when_misspelt(text: str, holds: str, tmp_path: Path) -> None:
    _, words_of_shelf = shelf(tmp_path)
    assert find_skus(words_of_shelf, text) == holds


def test_corrected_and_unknown_words_are_noted(tmp_path: Path) -> None:
    table, words_of_shelf = shelf(tmp_path)
    one = text_query.interpret(table, lambda: words_of_shelf, "orchart zzz", "", photo=False)
    assert one.understood.notes == (
        "'orchart' is read as orchard",
        "no product here has the word 'zzz', or a similar one",
    )
    assert (one.understood.ignored, one.understood.corrected) == (("zzz",), {"orchart": ("orchard",)})
    spoken = text_query.interpret(table, lambda: words_of_shelf, "mug cheaper", None, photo=False)
    assert spoken.understood.ignored == ("cheaper",)


@pytest.mark.parametrize(("word", "found"), [("yogurt", "AB"), ("yoghurt", "AB"), ("yoghurts", "AB"), ("filet", "C")])
def test_words_are_found_in_either_spelling(word: str, found: str, tmp_path: Path) -> None:
    named = (Product("A", "Plain Yogurt"), Product("B", "Plain Yoghurt"), Product("C", "Fish Fillet"))
    _, words_of_shelf = shelf(tmp_path, named)
    holds = words_of_shelf.rank(word).complete
    assert "".join(one.sku for one, is_found in zip(named, holds, strict=True) if is_found) == found


def test_edit_distances_count_swaps_as_one() -> None:
    vocabulary = ["abcd", "abdc", "abc", "abcde", "xbcd", "bacd", "dcba", "a" * 8]
    letters = np.array(vocabulary).view(np.uint32).reshape(len(vocabulary), -1)
    lengths = np.array([len(word) for word in vocabulary])
    assert edit_distances("abcd", letters, lengths).tolist() == [0, 1, 1, 1, 1, 1, 3, 7]
    known = Vocabulary((word, 1) for word in ("milk", "mild", "yogurt", "350"))
    assert known.suggest("yoghurd") == ("yogurt",)
    assert known.suggest("mil") == ("mild", "milk")
    assert known.suggest("xx") == known.suggest("35") == known.suggest("zzzzzz") == Vocabulary([]).suggest("milk") == ()


def test_folding_keeps_marks_that_make_another_letter() -> None:
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
def test_colours_ignore_the_background(rgb: tuple[int, int, int], name: str) -> None:
    picture = np.full((200, 200, 3), 250, np.uint8)
    picture[60:140, 80:120] = rgb
    assert colours.name_colours([colours.colour_shares(picture)]) == name
    own = Product("A", "Cup", attributes=(("Farbe", "rot"),))
    assert colour_words.add_colours(own, []) == own


def test_photo_and_word_scores_are_added(tmp_path: Path) -> None:
    table, words_of_shelf = shelf(tmp_path)
    one = text_query.interpret(table, lambda: words_of_shelf, "mug orchard", "", photo=True)
    assert one.nearest_by_words() == [NUMBERS["A2"], NUMBERS["A1"]]
    photo_scores = {NUMBERS["A3"]: 0.9, NUMBERS["A1"]: 0.8, NUMBERS["A2"]: 0.2}
    assert one.order_with_photo(photo_scores) == [NUMBERS["A1"], NUMBERS["A2"], NUMBERS["A3"]]
    filter_only = text_query.interpret(table, lambda: words_of_shelf, None, "price<100", photo=True)
    assert filter_only.order_with_photo(photo_scores) == list(photo_scores)


@pytest.mark.parametrize("content", [b"", b"not a database, but as long as the header of one is" * 20])
def test_a_damaged_word_index_is_an_error(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(edgesearch.BundleError, match=r"words\.sqlite"):
        (tmp_path / full_text.FILE).write_bytes(content)
        WordIndex(tmp_path / full_text.FILE, list)
