"""The lists of a count, by way of a spreadsheet."""

import csv
from pathlib import Path

import pytest

from edgesearch.catalog.product import Product
from edgesearch.counting import stock_lists
from edgesearch.counting.count_journal import CountEntry
from edgesearch.errors import CountError

ROW = ("K\u00e4se 1.jpg", "unclear", "A-1", "A-1 Cup; B-2 Jug", "7f")


def saved(path: Path, encoding: str, delimiter: str = ";", before: str = "") -> Path:
    with path.open("w", encoding=encoding, newline="") as file:
        file.write(before)
        csv.writer(file, delimiter=delimiter).writerows([stock_lists.REVIEW_COLUMNS, ROW])
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize(("delimiter", "before"), [(",", ""), (";", ""), ("\t", ""), (";", "sep=;\r\n")])
def test_a_review_list_is_read_as_spreadsheets_save_it(
    tmp_path: Path, encoding: str, delimiter: str, before: str
) -> None:
    path = saved(tmp_path / "stock.review.csv", encoding, delimiter, before)
    assert stock_lists.read_review(path) == [(ROW[0], "7f", "A-1")]


def test_lists_are_written_for_spreadsheets(tmp_path: Path) -> None:
    product = Product("A", "K\u00e4se")
    stock_lists.write(tmp_path / "stock.csv", stock_lists.format_stock([], {"A": product}))
    stock_lists.write(tmp_path / "review.csv", stock_lists.format_review([], {}))
    for name in ("stock.csv", "review.csv"):
        assert (tmp_path / name).read_bytes().startswith(b"\xef\xbb\xbf")
    assert "A,K\u00e4se,0" in (tmp_path / "stock.csv").read_text(encoding="utf-8-sig")


@pytest.mark.parametrize("text", ["=1+1", "+cmd", "-x", "@SUM(A1)", "'=1", "a;=1+1", "\t=1", "b\n=1"])
def test_no_cell_is_a_formula_and_each_is_read_back(tmp_path: Path, text: str) -> None:
    entry = CountEntry("7f", text, (), "aside", why=text, candidates=((text, text),))
    product = Product(text, text, stock=3, location="-3")
    stock = stock_lists.format_stock([], {text: product}).decode("utf-8-sig")
    review = stock_lists.format_review([entry], {"7f": text}).decode("utf-8-sig")
    for written in (stock, review):
        for line in written.splitlines():
            for cell in [*next(csv.reader([line])), *next(csv.reader([line], delimiter=";"))]:
                assert not cell.lstrip('"').startswith(("=", "+", "@", "\t")) and cell[:2] != "-x"
    (row,) = csv.DictReader(stock.splitlines(True))
    assert (row["location"], row["stock"], row["difference"]) == ("-3", "3", "-3")
    (tmp_path / "review.csv").write_text(review, "utf-8")
    assert stock_lists.read_review(tmp_path / "review.csv") == [(text, "7f", text)]


def test_a_review_list_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "review.csv").write_bytes(b"sku,id\n\x81\x8d,1\n")
    with pytest.raises(CountError, match=r"cannot be read .*; save it as UTF-8"):
        stock_lists.read_review(tmp_path / "review.csv")
