"""Reading tables: encodings, delimiters, numbers, Parquet and spreadsheets."""

import re
import sys
from pathlib import Path

import pytest

from edgesearch import CatalogError
from edgesearch.catalog import loader
from edgesearch.catalog.product import Product

from .test_loader import csv_file


def codepage(
    encoding: str, text: str = "sku;name;images;price\nA;Tasse grün;a.jpg;1.234,50 €\nB;Öl;b.jpg;4,5\n"
) -> bytes:
    return text.encode(encoding)


@pytest.mark.parametrize(
    ("data", "how"),
    [
        (codepage("cp1252"), "cp1252 ('A;Tasse grün;a.jpg;1.234,'), ';' between cells, \",\" in numbers"),
        (codepage("utf-16"), "utf-16, ';' between cells, \",\" in numbers"),
        (codepage("utf-16-le"), "utf-16-le ('sku;name;images'), ';' between cells, \",\" in numbers"),
        (codepage("utf-8-sig"), "';' between cells, \",\" in numbers"),
        (b"sep=;\r\n" + codepage("cp1252"), "cp1252 "),
        (codepage("utf-8").replace(b";", b"\t"), 'tabs between cells, "," in numbers'),
        (codepage("utf-8").replace(b";", b"|"), "'|' between cells"),
        (codepage("cp1252").replace(b"\n", b";;\r\n") + b";;;;;\r\n;;;;;\r\n", "cp1252 "),
    ],
)
def test_spreadsheet_exports_are_read_and_described(tmp_path: Path, data: bytes, how: str) -> None:
    read = loader.read(csv_file(tmp_path, data))
    cup, oil = (entry.product for entry in read.entries)
    assert (cup.name, cup.price, cup.currency) == ("Tasse grün", 1234.5, "EUR")
    assert (oil.name, oil.price, oil.currency) == ("Öl", 4.5, None)
    (note,) = read.notes
    assert f"read as {how}" in note
    assert note.endswith("first product A 'Tasse grün', 1234.5 EUR, 1 picture")


def test_plain_files_have_no_notes(tmp_path: Path) -> None:
    for text in ("sku,name,images,price\nA,Tasse grün,a.jpg,1.2345\n", "\ufeffsku,name,images,price\nA,B,a.jpg,4.50\n"):
        assert loader.read(csv_file(tmp_path, text)).notes == []


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1251", "Кружка зелёная большая"),
        ("cp850", "Tasse grün für Öl"),
        ("cp850", "Käse und Café"),
        ("mac_roman", "Käse für alle"),
        ("cp1250", "Żółty kubek i książka"),
        ("shift_jis", "緑のマグカップ"),
        ("gb18030", "绿色杯子"),
    ],
)
def test_an_unclear_encoding_is_asked_for(tmp_path: Path, encoding: str, text: str) -> None:
    path = csv_file(tmp_path, f"sku,name,images\nA,Cup,a.jpg\nB,{text},b.jpg\n".encode(encoding))
    with pytest.raises(CatalogError, match=rf"line 3: not UTF-8.* --encoding .*{encoding}: ") as caught:
        loader.read(path)
    assert text[:4] in str(caught.value)
    assert loader.read(path, encoding=encoding).entries[1].product.name == text


@pytest.mark.parametrize("encoding", ["base64", "no-such", "rot13", "idna", "utf-16", "ascii"])
def test_an_invalid_encoding_is_refused(tmp_path: Path, encoding: str) -> None:
    with pytest.raises(CatalogError, match=r"is no encoding|not utf-16|not ascii"):
        loader.read(csv_file(tmp_path, "sku,name,images\nA,Tasse grün,a.jpg\n"), encoding=encoding)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (bytes(range(256)) * 40, "zero bytes"),
        (b"\x89PNG\r\n\x1a\n" + bytes(2000), "zero bytes"),
        (b"sku,name,images\nA,C\0up,a.jpg\n", "line 2: zero bytes"),
        (codepage("utf-16")[:-1], "line 3: not UTF-16, as its first bytes say"),
        (b'sku,name,images\nA,"' + b"x\n" * 100_000, "not a well-formed CSV"),
        (b"\xef\xbb\xbfsku,name,images\nA,\xff,a.jpg\n", "line 2: not UTF-8, as its first bytes say"),
        (b"\n\n\n", "no column sku, name, images; it has no columns"),
        (
            b'sku,name,images,price\nA,Cup,a.jpg,4.50\nB,Jug,b.jpg,"4,50"\n',
            "the prices '4.50' and '4,50' have different decimal signs",
        ),
        (b'sku,name,images,price\nA,Cup,a.jpg,"1,234"\n', "price is '1,234', which could mean two numbers"),
        (b"sku;name;images;price\nA;Cup;a.jpg;1.234\n", "price is '1.234', which could mean two numbers"),
        (b"sku,name,images,price\nA,Cup,a.jpg,4.50\nB,Jug,b.jpg,cheap\n", "line 3: price is 'cheap'"),
        (b"sku,name,images,price\nA,Cup,a.jpg,$4.50 EUR\n", "price is '$4.50 EUR'"),
        (
            b'sku,name,images\n"4,00638E+12",Cup,a.jpg\n',
            "line 2: sku is '4,00638E+12', a number that a spreadsheet has rounded",
        ),
        (b"sku,name,images,barcode\nA,Cup,a.jpg,4.00638E+12\n", "line 2: barcode is '4.00638E+12'"),
    ],
)
def test_bad_tables_give_one_short_sentence(tmp_path: Path, data: bytes, says: str) -> None:
    with pytest.raises(CatalogError, match=re.escape(says)) as caught:
        loader.read(csv_file(tmp_path, data))
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize(
    ("cell", "price", "currency"),
    [
        ("1.234,50 €", 1234.5, "EUR"), ("€ 4,50", 4.5, "EUR"), ("4,50 zł", 4.5, "PLN"), ("1 234,50", 1234.5, None),
        ("1'234,50", 1234.5, None), ("5,-", 5, None), ("1.234.567", 1234567, None), ("0,99", 0.99, None),
        ("7", 7, None), ("CHF 12,\u2013", 12, "CHF"), ("2.500", 2500, None),
    ],
)  # fmt: skip
def test_prices_with_decimal_commas_are_parsed(tmp_path: Path, cell: str, price: float, currency: str | None) -> None:
    path = csv_file(tmp_path, f"sku;name;images;price\nA;Cup;a.jpg;3,50\nB;Jug;b.jpg;{cell}\n")
    product = loader.read(path).entries[1].product
    assert (product.price, product.currency) == (price, currency)


@pytest.mark.parametrize(
    ("cell", "price", "currency"),
    [
        ("45.000 ₫", 45000, "VND"), ("1.200 Ft", 1200, "HUF"), ("Rp 45.000", 45000, "IDR"), ("1,200円", 1200, "JPY"),
        ("\uffe51200", 1200, "¥"), ("₩1,234,000", 1234000, "KRW"), ("₹1,23,456.50", 123456.5, "INR"),
        ("Rs. 450", 450, "Rs"),
        ("450/-", 450, None), ("12:-", 12, None), ("RM 4.50", 4.5, "MYR"), ("\uff14\uff0e\uff15\uff10 €", 4.5, "EUR"),
        ("4,50 Euro", 4.5, "EUR"),
        ("150 \u0440\u0443\u0431.", 150, "RUB"), ("¥1,200.00", 1200, "¥"), ("12,50 TL", 12.5, "TRY"),
        ("45.000 VND", 45000, "VND"), ("1,23,456", 123456, None),
    ],
)  # fmt: skip
def test_prices_of_the_world_are_parsed(tmp_path: Path, cell: str, price: float, currency: str | None) -> None:
    read = loader.read(csv_file(tmp_path, f'sku,name,images,price\nA,Cup,a.jpg,"{cell}"\n'))
    assert (read.entries[0].product.price, read.entries[0].product.currency) == (price, currency)


def test_no_price_becomes_a_thousandth_without_a_word(tmp_path: Path) -> None:
    head = "sku,name,images,price,currency\nA,Cup,a.jpg,"
    assert loader.read(csv_file(tmp_path, head + "45.000,VND\n")).entries[0].product.price == 45000
    for cell in ("45.000 €,", "$1.234,"):
        with pytest.raises(CatalogError, match="could mean two numbers"):
            loader.read(csv_file(tmp_path, head + cell + "\n"))
    read = loader.read(csv_file(tmp_path, head + "45.000,\nB,Jug,b.jpg,1.250,\n"))
    assert read.entries[0].product.price == 45
    assert [note.partition(": ")[2] for note in read.notes] == [
        "prices such as 45.000 are read with a decimal point, as 45; if it separates thousands, give --decimal ,"
    ]
    assert loader.read(csv_file(tmp_path, head + "45.000,\nB,Jug,b.jpg,1.25,\n")).notes == []
    for cell in ("4\u2079\u2070", "12:50", "1.23.456", "12,34,567,8"):
        with pytest.raises(CatalogError, match="price is "):
            loader.read(csv_file(tmp_path, f'{head}"{cell}",\n'))


def test_prices_with_decimal_points_are_parsed(tmp_path: Path) -> None:
    rows = ("A,Cup,a.jpg,$4.50,", 'B,Jug,b.jpg,"$1,234.50",', 'C,Pot,c.jpg,"2,500",USD', "D,Pan,d.jpg,1e3,")
    path = csv_file(tmp_path, "\n".join(["sku,name,images,price,currency", *rows]))
    products = [entry.product for entry in loader.read(path).entries]
    assert [one.price for one in products] == [4.5, 1234.5, 2500, 1000]
    assert [one.currency for one in products] == ["$", "$", "USD", None]


@pytest.mark.parametrize("column", ["price", "stock"])
def test_long_cells_are_refused_at_once(tmp_path: Path, column: str) -> None:
    cell = f"1{' ' * 30_000}x"  # the pattern of prices would backtrack on it for minutes
    with pytest.raises(CatalogError, match=f"{column} is '1 ") as caught:
        loader.read(csv_file(tmp_path, f"sku,name,images,{column}\nA,Cup,a.jpg,{cell}\n"))
    assert len(str(caught.value)) < 400


def test_the_decimal_sign_can_be_given(tmp_path: Path) -> None:
    path = csv_file(tmp_path, 'sku,name,images,price,stock\nA,Cup,a.jpg,"1,234","1,000"\n')
    assert [loader.read(path, decimal=one).entries[0].product.price for one in ",."] == [1.234, 1234]
    assert [loader.read(path, decimal=one).entries[0].product.stock for one in ",."] == [1, 1000]


def test_the_header_alone_shows_the_delimiter(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "ArtNr;Bezeichnung;Foto\nA;Cup;a.jpg;b.jpg\nB;Jug;c.jpg\n")
    with pytest.raises(CatalogError, match="its columns are ArtNr, Bezeichnung, Foto;"):
        loader.read(path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["xlsx", "parquet"])
def test_stored_numbers_keep_their_decimal_point(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"c.{kind}"
    if kind == "xlsx":
        book = pytest.importorskip("openpyxl").Workbook()
        for row in (
            ["sku", "name", "images", "price", "stock"],
            ["A", "Cup", "a.jpg", 1.234, 5],
            ["B", "Jug", "b.jpg", "4,50", "1.000"],
        ):
            book.active.append(row)
        book.save(path)
    else:
        pyarrow = pytest.importorskip("pyarrow")
        table = pyarrow.table({"sku": ["A"], "name": ["Cup"], "images": ["a.jpg"], "price": [1.234], "stock": [5.0]})
        pytest.importorskip("pyarrow.parquet").write_table(table, path)
    for decimal in ("", ",") if kind == "xlsx" else ("", ",", "."):
        products = [entry.product for entry in loader.read(path, decimal=decimal).entries]
        assert (products[0].price, products[0].stock) == (1.234, 5)
        assert type(products[0].sku) is str
        assert [(one.price, one.stock) for one in products[1:]] in ([], [(4.5, 1000)])


def test_parquet_files_are_read(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    columns_ = {
        "sku": [1, 2], "name": ["Tasse", "Krug"], "images": [["a.jpg", "b.jpg"], ["c.jpg"]], "price": [4.5, None],
        "stock": [3.0, None], "barcode": [4006381333931, None], "fresh": [True, None],
    }  # fmt: skip
    parquet.write_table(pyarrow.table(columns_), tmp_path / "c.parquet")
    cup, jug = loader.read(tmp_path / "c.parquet").entries
    assert cup.product == Product("1", "Tasse", 4.5, stock=3, barcode="4006381333931", attributes=(("fresh", "True"),))
    assert [name for name, _ in cup.images] == ["a.jpg", "b.jpg"]
    assert (jug.product.price, jug.product.stock) == (None, None)
    whole = (tmp_path / "c.parquet").read_bytes()
    for data in (b"", whole[: len(whole) // 2], whole[:-4] + b"PAR2", bytes(len(whole))):
        (tmp_path / "c.parquet").write_bytes(data)
        with pytest.raises(CatalogError, match="damaged, or no Parquet file"):
            loader.read(tmp_path / "c.parquet")
    parquet.write_table(pyarrow.table({"sku": ["A"], "name": ["B"], "images": [b"\xff"]}), tmp_path / "c.parquet")
    with pytest.raises(CatalogError, match="row 2: a cell holds bytes"):
        loader.read(tmp_path / "c.parquet")


def test_spreadsheets_are_read(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.title = "Artikel"
    for row in (
        ["sku", "name", "images", "price", "barcode"],
        [7, "Tasse grün", "a.jpg", 4.5, 4006381333931],
        [None] * 5,
    ):
        book.active.append(row)
    book.create_sheet("Other")
    book.save(tmp_path / "c.xlsx")
    read = loader.read(tmp_path / "c.xlsx")
    assert read.entries[0].product == Product("7", "Tasse grün", 4.5, barcode="4006381333931")
    assert "its sheet 'Artikel' of 2 (not 'Other')" in read.notes[0]
    whole = (tmp_path / "c.xlsx").read_bytes()
    for data in (b"", b"sku,name,images\n", whole[: len(whole) // 2]):
        (tmp_path / "c.xlsx").write_bytes(data)
        with pytest.raises(CatalogError, match=r"damaged, or no \.xlsx file"):
            loader.read(tmp_path / "c.xlsx")
    with pytest.raises(CatalogError, match=r"save it as \.xlsx or CSV"):
        loader.read(csv_file(tmp_path, b"").rename(tmp_path / "c.xls"))


@pytest.mark.parametrize("name", ["c.parquet", "c.xlsx"])
def test_a_missing_library_names_the_extra(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for library in ("pyarrow", "pyarrow.parquet", "openpyxl"):
        monkeypatch.setitem(sys.modules, library, None)
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(CatalogError, match=r"pip install edgesearch\[tables\], or give a CSV"):
        loader.read(tmp_path / name)
