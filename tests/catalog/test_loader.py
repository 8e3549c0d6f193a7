"""Catalogues as people have them."""

import re
import shutil
import sys
from pathlib import Path

import pytest

import edgesearch
from edgesearch import CatalogError
from edgesearch.catalog import columns, loader
from edgesearch.catalog.product import Product

from ..conftest import TINY_MODEL


def csv_file(folder: Path, text: str | bytes) -> Path:
    path = folder / "catalogue.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_all_columns_are_read(tmp_path: Path) -> None:
    path = csv_file(
        tmp_path,
        "sku,name,images,price,currency,category,brand,description,location,stock,barcode,colour\n"
        'A-1,"Milk, fresh",a.jpg;b.jpg,2.50,EUR,Dairy,Ko,Good,Aisle 3,7,2000000000008,white\n',
    )
    (entry,) = loader.read(path).entries
    assert entry.product == Product(
        "A-1",
        "Milk, fresh",
        2.5,
        "EUR",
        "Dairy",
        "Ko",
        "Good",
        "Aisle 3",
        7,
        "2000000000008",
        (("colour", "white"),),
    )
    assert entry.images == (("a.jpg", str(tmp_path / "a.jpg")), ("b.jpg", str(tmp_path / "b.jpg")))


def test_a_row_for_each_picture(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "sku,name,images\nA,Cup,a.jpg\nB,Jug,b.jpg\nA,Cup,c.jpg\nA,Cup,a.jpg\n")
    entries = loader.read(path).entries
    assert [(e.product.sku, [name for name, _ in e.images]) for e in entries] == [
        ("A", ["a.jpg", "c.jpg"]),
        ("B", ["b.jpg"]),
    ]


def test_spreadsheet_habits_are_accepted(tmp_path: Path) -> None:
    path = csv_file(tmp_path, '\ufeffsku, name ,images,,\r\n A , Tasse grün ," a.jpg \n /b/c.jpg",,\r\n,,,,\r\n\r\n')
    (entry,) = loader.read(path).entries
    assert entry.product.name == "Tasse grün"
    assert entry.images == (("a.jpg", str(tmp_path / "a.jpg")), ("/b/c.jpg", "/b/c.jpg"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no column sku, name, images"),
        ("sku,name\nA,Cup\n", "no column images"),
        ("sku,name,images,sku\n", "a column twice"),
        ("sku,name,images\n", "no products below the header"),
        ("sku,name,images\nA,Cup\n", "line 2: 2 cells, its header has 3; add the missing ones"),
        ("sku,name,images\nA,Cup,a.jpg,4\n", "line 2: 4 cells, its header has 3; put a cell with commas in quotes"),
        ("sku,name,images\n,Cup,a.jpg\n", "line 2: empty sku"),
        ("sku,name,images\nA,,a.jpg\n", "line 2: empty name"),
        ("sku,name,images\nA,Cup, ; \n", "line 2: A has no images"),
        ("sku,name,images\nA,Cup,a.jpg\nA,Jug,b.jpg\n", "line 3: SKU A came before with other details"),
        ("sku,name,images,price\nA,Cup,a.jpg,-1\n", "line 2: price is '-1'"),
        ("sku,name,images,price\nA,Cup,a.jpg,nan\n", "line 2: price is 'nan'"),
        ("sku,name,images,price\nA,Cup,a.jpg,inf\n", "line 2: price is 'inf'"),
        ("sku,name,images,stock\nA,Cup,a.jpg,1.5\n", "line 2: stock is '1.5'"),
        ("sku,name,images,stock\nA,Cup,a.jpg,99999999999999999999\n", "line 2: stock is '9"),
        ('sku,name,images\nA,"Cup,a.jpg\n', "line 2: not a well-formed CSV"),
        ('sku,name,images\nA,Cup,a.jpg\nB,"Jug,b.jpg\nC,Pan,c.jpg\nD,"Lid",d.jpg\n', "line 3: not a well-formed CSV"),
        ("sku,name,images\nA,#REF!,a.jpg\n", "line 2: name is #REF!, an error of the spreadsheet"),
        ("\n\nArtNr,name,images\n", "line 3: its header has no column sku"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str | bytes, says: str) -> None:
    with pytest.raises(CatalogError, match=says):
        loader.read(csv_file(tmp_path, text))


def test_all_rows_that_cannot_be_read_are_told_together(tmp_path: Path) -> None:
    rows = [f"S{n},Cup,{n}.jpg,{'x' if n % 3 else n}" for n in range(20)]
    with pytest.raises(CatalogError, match=r"\.csv: 13 of its rows cannot be read \(line 3: price is 'x'; ") as caught:
        loader.read(csv_file(tmp_path, "sku,name,images,price\n" + "\n".join(rows)))
    assert str(caught.value).count("price is 'x'") == 5
    assert str(caught.value).endswith("; and 8 more); mend them.")


def test_errors_of_a_spreadsheet_are_no_details(tmp_path: Path) -> None:
    read = loader.read(csv_file(tmp_path, "sku,name,images,price,brand\nA,Cup,a.jpg,#N/A,#BEZUG!\n"))
    assert read.entries[0].product == Product("A", "Cup")
    assert "such as #N/A, are read as empty" in read.notes[0]


def test_signs_for_machines_are_kept_out(tmp_path: Path) -> None:
    read = loader.read(csv_file(tmp_path, 'sku,name,images\nA,"Cup\r\n\x1b[31mred",a.jpg\nB,So\u00adft,b.jpg\n'))
    assert [entry.product.name for entry in read.entries] == ["Cup [31mred", "So\u00adft"]
    assert "signs for machines in names are read as spaces" in read.notes[0]
    with pytest.raises(CatalogError, match=r"line 2: sku is 'A\\x07B', with a sign for machines"):
        loader.read(csv_file(tmp_path, "sku,name,images\nA\x07B,Cup,a.jpg\n"))


@pytest.mark.parametrize("cell", ["1.23456789012346e+16", "4.00638E+12", "4,00638e+12"])
def test_numbers_whose_digits_are_gone_are_refused(tmp_path: Path, cell: str) -> None:
    with pytest.raises(CatalogError, match="rounded its digits away"):
        loader.read(csv_file(tmp_path, f'sku,name,images\n"{cell}",Mug,a.jpg\n'))


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="no such file"):
        loader.read(tmp_path / "none.csv")


def test_queries(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "image,sku\na.jpg,A\nb.jpg,\n")
    assert loader.read_queries(path) == [(tmp_path / "a.jpg", "A"), (tmp_path / "b.jpg", "")]
    for text, says in (
        ("image,sku\n", "no queries"),
        ("image\na.jpg\n", "no column sku"),
        ("image,sku\n,A\n", "no image"),
    ):
        with pytest.raises(CatalogError, match=says):
            loader.read_queries(csv_file(tmp_path, text))


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
def test_what_spreadsheets_write_is_read_and_told(tmp_path: Path, data: bytes, how: str) -> None:
    read = loader.read(csv_file(tmp_path, data))
    cup, oil = (entry.product for entry in read.entries)
    assert (cup.name, cup.price, cup.currency) == ("Tasse grün", 1234.5, "EUR")
    assert (oil.name, oil.price, oil.currency) == ("Öl", 4.5, None)
    (note,) = read.notes
    assert f"read as {how}" in note
    assert note.endswith("first product A 'Tasse grün', 1234.5 EUR, 1 picture")


def test_plain_files_have_no_notes(tmp_path: Path) -> None:
    for text in ("sku,name,images,price\nA,Tasse grün,a.jpg,1.234\n", "\ufeffsku,name,images,price\nA,B,a.jpg,4.50\n"):
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
def test_an_encoding_that_cannot_be_told_is_asked_for(tmp_path: Path, encoding: str, text: str) -> None:
    path = csv_file(tmp_path, f"sku,name,images\nA,Cup,a.jpg\nB,{text},b.jpg\n".encode(encoding))
    with pytest.raises(CatalogError, match=rf"line 3: not UTF-8.* --encoding .*{encoding}: ") as caught:
        loader.read(path)
    assert text[:4] in str(caught.value)
    assert loader.read(path, encoding=encoding).entries[1].product.name == text


@pytest.mark.parametrize("encoding", ["base64", "no-such", "rot13", "idna", "utf-16", "ascii"])
def test_an_encoding_that_is_none_is_refused(tmp_path: Path, encoding: str) -> None:
    with pytest.raises(CatalogError, match=r"is no encoding|not utf-16|not ascii"):
        loader.read(csv_file(tmp_path, "sku,name,images\nA,Tasse grün,a.jpg\n"), encoding=encoding)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (bytes(range(256)) * 40, "zero bytes"),
        (b"\x89PNG\r\n\x1a\n" + bytes(2000), "zero bytes"),
        (b"sku,name,images\nA,C\0up,a.jpg\n", "line 2: zero bytes"),
        (codepage("utf-16")[:-1], "line 3: not UTF-16, as its first bytes say"),
        (b"sku,name,images\nA," + b"x" * 200_000 + b",a.jpg\n", "field larger than field limit"),
        (b'sku,name,images\nA,"' + b"x\n" * 100_000, "not a well-formed CSV"),
        (b"\xef\xbb\xbfsku,name,images\nA,\xff,a.jpg\n", "line 2: not UTF-8, as its first bytes say"),
        (b"\n\n\n", "no column sku, name, images; it has none"),
        (b'sku,name,images,price\nA,Cup,a.jpg,4.50\nB,Jug,b.jpg,"4,50"\n', "different decimal signs ('4.50', '4,50')"),
        (b'sku,name,images,price\nA,Cup,a.jpg,"1,234"\n', "price is '1,234', which may be two numbers"),
        (b"sku;name;images;price\nA;Cup;a.jpg;1.234\n", "price is '1.234', which may be two numbers"),
        (b"sku,name,images,price\nA,Cup,a.jpg,4.50\nB,Jug,b.jpg,cheap\n", "line 3: price is 'cheap'"),
        (b"sku,name,images,price\nA,Cup,a.jpg,$4.50 EUR\n", "price is '$4.50 EUR'"),
        (b'sku,name,images\n"4,00638E+12",Cup,a.jpg\n', "line 2: sku is '4,00638E+12', a spreadsheet has rounded"),
        (b"sku,name,images,barcode\nA,Cup,a.jpg,4.00638E+12\n", "line 2: barcode is '4.00638E+12'"),
    ],
)
def test_bad_tables_are_one_sentence(tmp_path: Path, data: bytes, says: str) -> None:
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
def test_prices_as_people_write_them(tmp_path: Path, cell: str, price: float, currency: str | None) -> None:
    path = csv_file(tmp_path, f"sku;name;images;price\nA;Cup;a.jpg;3,50\nB;Jug;b.jpg;{cell}\n")
    product = loader.read(path).entries[1].product
    assert (product.price, product.currency) == (price, currency)


def test_prices_with_points(tmp_path: Path) -> None:
    rows = ("A,Cup,a.jpg,$4.50,", 'B,Jug,b.jpg,"$1,234.50",', 'C,Pot,c.jpg,"2,500",USD', "D,Pan,d.jpg,1e3,")
    path = csv_file(tmp_path, "\n".join(["sku,name,images,price,currency", *rows]))
    products = [entry.product for entry in loader.read(path).entries]
    assert [one.price for one in products] == [4.5, 1234.5, 2500, 1000]
    assert [one.currency for one in products] == ["$", "$", "USD", None]


@pytest.mark.parametrize("column", ["price", "stock"])
def test_a_long_cell_takes_no_longer(tmp_path: Path, column: str) -> None:
    cell = f"1{' ' * 100_000}x"  # the parts of a price would be sought in it for minutes
    with pytest.raises(CatalogError, match=f"{column} is '1 ") as caught:
        loader.read(csv_file(tmp_path, f"sku,name,images,{column}\nA,Cup,a.jpg,{cell}\n"))
    assert len(str(caught.value)) < 400


def test_a_decimal_sign_can_be_said(tmp_path: Path) -> None:
    path = csv_file(tmp_path, 'sku,name,images,price,stock\nA,Cup,a.jpg,"1,234","1,000"\n')
    assert [loader.read(path, decimal=one).entries[0].product.price for one in ",."] == [1.234, 1234]
    assert [loader.read(path, decimal=one).entries[0].product.stock for one in ",."] == [1, 1000]


def test_codes_that_a_spreadsheet_shortened_are_told(tmp_path: Path) -> None:
    text = 'sku,name,images,barcode\n"=""0012""",Cup,a.jpg,4006381333931\nB,Jug,b.jpg,36000291452\n'
    read = loader.read(csv_file(tmp_path, text))
    assert read.entries[0].product.sku == "0012"
    (note,) = read.notes
    assert "line 3: barcode 36000291452: without its leading zeros" in note


def test_names_from_windows_are_told(tmp_path: Path) -> None:
    read = loader.read(csv_file(tmp_path, "sku,name,images\nA,Cup,in\\a.jpg;b.jpg\n"))
    assert read.entries[0].images == (("in\\a.jpg", str(tmp_path / "in" / "a.jpg")), ("b.jpg", str(tmp_path / "b.jpg")))
    assert read.notes[0].endswith("names of pictures have \\ between folders, read as /")


def test_pictures_between_commas_are_taken_apart(tmp_path: Path) -> None:
    read = loader.read(csv_file(tmp_path, "sku;name;images\nA;Cup;a.jpg, b.JPG|c.png\nB;Jug;a,b.jpg\nC;Pan;x|y\n"))
    assert [[name for name, _ in entry.images] for entry in read.entries] == [
        ["a.jpg", "b.JPG", "c.png"], ["a,b.jpg"], ["x|y"],
    ]  # fmt: skip
    assert read.notes[1].endswith("names of pictures with , or | between them are taken apart")


def test_a_header_alone_tells_what_is_between_its_cells(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "ArtNr;Bezeichnung;Foto\nA;Cup;a.jpg;b.jpg\nB;Jug;c.jpg\n")
    with pytest.raises(CatalogError, match="its columns are ArtNr, Bezeichnung, Foto;"):
        loader.read(path)


def test_columns_are_mapped(tmp_path: Path) -> None:
    path = csv_file(
        tmp_path, "Art. Nr,Bezeichnung,Foto 1,Foto 2,SKU,Farbe\n7,Tasse,a.jpg,b.jpg,x,rot\n8,Krug,c.jpg,,y,blau\n"
    )
    said = columns.parse_mapping(["sku=art.  nr,name=Bezeichnung", "images=Foto 1,images=Foto 2", "colour=Farbe"])
    read = loader.read(path, said)
    assert [(e.product.sku, [name for name, _ in e.images]) for e in read.entries] == [
        ("7", ["a.jpg", "b.jpg"]), ("8", ["c.jpg"]),
    ]  # fmt: skip
    assert read.entries[0].product.attributes == (("colour", "rot"),)
    assert read.notes == [f"{path}: the column SKU is not read, --map names another for it"]


def test_known_columns_are_found_whatever_their_case(tmp_path: Path) -> None:
    (entry,) = loader.read(csv_file(tmp_path, "SKU, Name ,IMAGES,Price,Size,sIze\nA,Cup,a.jpg,2,L,7\n")).entries
    assert (entry.product.price, entry.product.attributes) == (2, (("Size", "L"), ("sIze", "7")))


def test_a_missing_column_says_what_there_is(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "ArtNr;Bezeichnung;Foto;Sonst\n7;Tasse;a.jpg;x\n")
    with pytest.raises(CatalogError) as caught:
        loader.read(path)
    assert "its columns are ArtNr, Bezeichnung, Foto, Sonst" in str(caught.value)
    assert "--map sku=ArtNr,name=Bezeichnung,images=Foto" in str(caught.value)
    for mapping, says in (
        ({"sku": "Nummer"}, "the column 'Nummer' of --map is not there; its columns are ArtNr"),
        ({"sku": "ArtNr", "name": "ArtNr", "images": "Foto"}, "gives its column 'ArtNr' two names"),
    ):
        with pytest.raises(CatalogError, match=says):
            loader.read(path, mapping)
    with pytest.raises(CatalogError, match="'Foto' of --map is there 2 times"):
        loader.read(csv_file(tmp_path, "sku,name,Foto,foto ,Foto\nA,B,c,d,e\n"), {"images": "Foto"})


@pytest.mark.parametrize("text", ["sku", "=ArtNr", "sku=", "sku=A,sku=B"])
def test_a_mapping_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(CatalogError, match="--map"):
        columns.parse_mapping([text])


def test_a_folder_for_each_product(shop: Path, tmp_path: Path) -> None:
    for name in ("P1/a.jpg", "P1/deep/b.jpg", "P 2/c.JPG", "solo.jpg", ".hidden/d.jpg", "__MACOSX/e.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(shop / "pictures" / "P000000.jpg", tmp_path / name)
    (tmp_path / "P1" / "Thumbs.db").write_bytes(b"")
    read = loader.read(tmp_path)
    assert [(e.product.sku, e.product.name, [name for name, _ in e.images]) for e in read.entries] == [
        ("P 2", "P 2", ["P 2/c.JPG"]), ("P1", "P1", ["P1/a.jpg", "P1/deep/b.jpg"]), ("solo", "solo", ["solo.jpg"]),
    ]  # fmt: skip
    assert all(Path(place).is_file() for entry in read.entries for _, place in entry.images)
    assert read.notes[1].endswith("no photos by their names (1): Thumbs.db")
    with pytest.raises(CatalogError, match="has no columns"):
        loader.read(tmp_path, {"sku": "x"})
    (tmp_path / "c.csv").write_text("sku,name,images\nA,Cup,solo.jpg\n")
    read = loader.read(tmp_path)
    assert (read.entries[0].images, read.notes) == (
        (("solo.jpg", str(tmp_path / "solo.jpg")),), [f"{tmp_path}: read c.csv in it"],
    )  # fmt: skip
    (tmp_path / "d.csv").write_text("")
    with pytest.raises(CatalogError, match=r"several tables in it \(c\.csv, d\.csv\)"):
        loader.read(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(CatalogError, match="no pictures in it"):
        loader.read(tmp_path / "empty")


def test_folders_without_pictures_are_told(shop: Path, tmp_path: Path) -> None:
    for name in ("P1/a.jpg", "Texts/a.txt", "Empty/.keep"):
        (tmp_path / name).parent.mkdir()
        shutil.copy(shop / "pictures" / "P000000.jpg", tmp_path / name)
    says = "folders without pictures ({}) are no products: {}"
    assert loader.read(tmp_path).notes[-1].endswith(says.format(2, "Empty, Texts"))
    shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path)
    assert loader.read(tmp_path / "packed.zip").notes[-1].endswith(says.format(1, "Texts"))


@pytest.mark.parametrize("kind", ["xlsx", "parquet"])
def test_numbers_stay_what_they_are_beside_texts_with_commas(tmp_path: Path, kind: str) -> None:
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


def test_parquet(tmp_path: Path) -> None:
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


def test_spreadsheets(tmp_path: Path) -> None:
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
    assert "its first sheet 'Artikel' of 2" in read.notes[0]
    whole = (tmp_path / "c.xlsx").read_bytes()
    for data in (b"", b"sku,name,images\n", whole[: len(whole) // 2]):
        (tmp_path / "c.xlsx").write_bytes(data)
        with pytest.raises(CatalogError, match=r"damaged, or no \.xlsx file"):
            loader.read(tmp_path / "c.xlsx")
    with pytest.raises(CatalogError, match=r"save it as \.xlsx or CSV"):
        loader.read(csv_file(tmp_path, b"").rename(tmp_path / "c.xls"))


@pytest.mark.parametrize("name", ["c.parquet", "c.xlsx"])
def test_without_their_libraries_the_extra_is_named(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for library in ("pyarrow", "pyarrow.parquet", "openpyxl"):
        monkeypatch.setitem(sys.modules, library, None)
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(CatalogError, match=r"pip install edgesearch\[tables\], or give a CSV"):
        loader.read(tmp_path / name)


def test_many_pictures_of_one_product_take_no_longer_each(tmp_path: Path) -> None:
    rows = [f"A,Cup,{n}.jpg" for n in range(30_000)]  # pairwise, they would take minutes
    (entry,) = loader.read(csv_file(tmp_path, "\n".join(["sku,name,images", *rows]))).entries
    assert len(entry.images) == 30_000


def test_a_build_tells_how_its_catalogue_was_read(shop: Path, tmp_path: Path) -> None:
    path = csv_file(tmp_path, f"Nr;Bezeichnung;Foto\nA;Tasse grün;{shop}/pictures/P000000.jpg\n".encode("cp1252"))
    mapping = columns.parse_mapping(["sku=Nr,name=Bezeichnung,images=Foto"])
    built = edgesearch.build(path, tmp_path / "c.edge", TINY_MODEL, mapping=mapping)
    assert "read as cp1252" in built.notes[0]
