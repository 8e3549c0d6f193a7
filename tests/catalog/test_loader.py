"""Loading catalogues: columns, rows, folders and archives."""

import shutil
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


def test_a_product_may_have_a_row_for_each_picture(tmp_path: Path) -> None:
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
        ("sku,name,images,sku\n", "has the column sku twice"),
        ("sku,name,images\n", "no products below the header"),
        ("sku,name,images\nA,Cup\n", "line 2: 2 cells, but the header has 3; add the missing ones"),
        (
            "sku,name,images\nA,Cup,a.jpg,4\n",
            "line 2: 4 cells, but the header has 3; put quotes around a cell that holds commas",
        ),
        ("sku,name,images\n,Cup,a.jpg\n", "line 2: empty sku"),
        ("sku,name,images\nA,,a.jpg\n", "line 2: empty name"),
        ("sku,name,images\nA,Cup, ; \n", "no product has a picture; name at least one"),
        ("sku,name,images\nA," + "x" * 40_000 + ",a.jpg\n", "line 2: name is 40,000 characters long"),
        ("sku,name,images\nA,Cup,a.jpg\nA,Jug,b.jpg\n", "line 3: SKU A is in an earlier row with other details"),
        ("sku,name,images,price\nA,Cup,a.jpg,-1\n", "line 2: price is '-1'"),
        ("sku,name,images,price\nA,Cup,a.jpg,nan\n", "line 2: price is 'nan'"),
        ("sku,name,images,price\nA,Cup,a.jpg,inf\n", "line 2: price is 'inf'"),
        ("sku,name,images,stock\nA,Cup,a.jpg,1.5\n", "line 2: stock is '1.5'"),
        ("sku,name,images,stock\nA,Cup,a.jpg,99999999999999999999\n", "line 2: stock is '9"),
        ('sku,name,images\nA,"Cup,a.jpg\n', "line 2: not a well-formed CSV"),
        ('sku,name,images\nA,Cup,a.jpg\nB,"Jug,b.jpg\nC,Pan,c.jpg\nD,"Lid",d.jpg\n', "line 3: not a well-formed CSV"),
        ("sku,name,images\nA,#REF!,a.jpg\n", "line 2: name is #REF!, an error of the spreadsheet"),
        ("\n\nArtNr,name,images\n", "line 3: the header has no column sku"),
    ],
)
def test_errors_name_the_line_and_the_problem(tmp_path: Path, text: str | bytes, says: str) -> None:
    with pytest.raises(CatalogError, match=says):
        loader.read(csv_file(tmp_path, text))


def test_one_error_lists_the_first_bad_rows(tmp_path: Path) -> None:
    rows = [f"S{n},Cup,{n}.jpg,{'x' if n % 3 else n}" for n in range(20)]
    with pytest.raises(CatalogError, match=r"\.csv: 13 of its rows cannot be read \(line 3: price is 'x'; ") as caught:
        loader.read(csv_file(tmp_path, "sku,name,images,price\n" + "\n".join(rows)))
    assert str(caught.value).count("price is 'x'") == 5
    assert str(caught.value).endswith("; and 8 more); correct them.")


def test_spreadsheet_errors_are_read_as_empty_cells(tmp_path: Path) -> None:
    read = loader.read(csv_file(tmp_path, "sku,name,images,price,brand\nA,Cup,a.jpg,#N/A,#BEZUG!\n"))
    assert read.entries[0].product == Product("A", "Cup")
    assert "such as #N/A, are read as empty" in read.notes[0]


def test_control_characters_are_replaced_in_names_and_refused_in_skus(tmp_path: Path) -> None:
    read = loader.read(csv_file(tmp_path, 'sku,name,images\nA,"Cup\r\n\x1b[31mred",a.jpg\nB,So\u00adft,b.jpg\n'))
    assert [entry.product.name for entry in read.entries] == ["Cup [31mred", "So\u00adft"]
    assert "control characters in names are read as spaces" in read.notes[0]
    with pytest.raises(CatalogError, match=r"line 2: sku is 'A\\x07B', with a control character"):
        loader.read(csv_file(tmp_path, "sku,name,images\nA\x07B,Cup,a.jpg\n"))


@pytest.mark.parametrize("cell", ["1.23456789012346e+16", "4.00638E+12", "4,00638e+12"])
def test_skus_that_a_spreadsheet_rounded_are_refused(tmp_path: Path, cell: str) -> None:
    with pytest.raises(CatalogError, match="a number that a spreadsheet has rounded"):
        loader.read(csv_file(tmp_path, f'sku,name,images\n"{cell}",Mug,a.jpg\n'))


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="no such file"):
        loader.read(tmp_path / "none.csv")


def test_queries_are_read_and_checked(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "image,sku\na.jpg,A\nb.jpg,\n")
    assert loader.read_queries(path) == [(tmp_path / "a.jpg", "A"), (tmp_path / "b.jpg", "")]
    for text, says in (
        ("image,sku\n", "no queries"),
        ("image\na.jpg\n", "no column sku"),
        ("image,sku\n,A\n", "empty image"),
    ):
        with pytest.raises(CatalogError, match=says):
            loader.read_queries(csv_file(tmp_path, text))


def test_barcodes_without_leading_zeros_are_noted(tmp_path: Path) -> None:
    text = 'sku,name,images,barcode\n"=""0012""",Cup,a.jpg,4006381333931\nB,Jug,b.jpg,36000291452\n'
    read = loader.read(csv_file(tmp_path, text))
    assert read.entries[0].product.sku == "0012"
    (note,) = read.notes
    assert "line 3: barcode 36000291452: without its leading zeros" in note


def test_backslashes_in_picture_names_are_noted(tmp_path: Path) -> None:
    read = loader.read(csv_file(tmp_path, "sku,name,images\nA,Cup,in\\a.jpg;b.jpg\n"))
    assert read.entries[0].images == (("in\\a.jpg", str(tmp_path / "in" / "a.jpg")), ("b.jpg", str(tmp_path / "b.jpg")))
    assert read.notes[0].endswith("names of pictures have \\ between folders, read as /")


def test_picture_names_are_split_at_commas_and_bars(tmp_path: Path) -> None:
    read = loader.read(csv_file(tmp_path, "sku;name;images\nA;Cup;a.jpg, b.JPG|c.png\nB;Jug;a,b.jpg\nC;Pan;x|y\n"))
    assert [[name for name, _ in entry.images] for entry in read.entries] == [
        ["a.jpg", "b.JPG", "c.png"], ["a,b.jpg"], ["x|y"],
    ]  # fmt: skip
    assert read.notes[1].endswith("names of pictures with , or | between them are read as several pictures")


def test_columns_can_be_mapped(tmp_path: Path) -> None:
    path = csv_file(
        tmp_path, "Art. Nr,Bezeichnung,Foto 1,Foto 2,SKU,Farbe\n7,Tasse,a.jpg,b.jpg,x,rot\n8,Krug,c.jpg,,y,blau\n"
    )
    mapping = columns.parse_mapping(["sku=art.  nr,name=Bezeichnung", "images=Foto 1,images=Foto 2", "colour=Farbe"])
    read = loader.read(path, mapping)
    assert [(e.product.sku, [name for name, _ in e.images]) for e in read.entries] == [
        ("7", ["a.jpg", "b.jpg"]), ("8", ["c.jpg"]),
    ]  # fmt: skip
    assert read.entries[0].product.attributes == (("colour", "rot"),)
    assert read.notes == [f"{path}: the column SKU is not read, --map names another for it"]


def test_known_columns_are_found_in_any_case(tmp_path: Path) -> None:
    (entry,) = loader.read(csv_file(tmp_path, "SKU, Name ,IMAGES,Price,Size,sIze\nA,Cup,a.jpg,2,L,7\n")).entries
    assert (entry.product.price, entry.product.attributes) == (2, (("Size", "L"), ("sIze", "7")))


def test_a_missing_column_error_lists_the_columns(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "ArtNr;Bezeichnung;Foto;Sonst\n7;Tasse;a.jpg;x\n")
    with pytest.raises(CatalogError) as caught:
        loader.read(path)
    assert "its columns are ArtNr, Bezeichnung, Foto, Sonst" in str(caught.value)
    assert "--map sku=ArtNr,name=Bezeichnung,images=Foto" in str(caught.value)
    for mapping, says in (
        ({"sku": "Nummer"}, "the column 'Nummer' of --map is not in the header; the columns are ArtNr"),
        ({"sku": "ArtNr", "name": "ArtNr", "images": "Foto"}, "gives the column 'ArtNr' two names, sku and name"),
    ):
        with pytest.raises(CatalogError, match=says):
            loader.read(path, mapping)
    with pytest.raises(CatalogError, match="'Foto' of --map is in the header 2 times"):
        loader.read(csv_file(tmp_path, "sku,name,Foto,foto ,Foto\nA,B,c,d,e\n"), {"images": "Foto"})


@pytest.mark.parametrize("text", ["sku", "=ArtNr", "sku=", "sku=A,sku=B"])
def test_a_malformed_mapping_is_refused(text: str) -> None:
    with pytest.raises(CatalogError, match="--map"):
        columns.parse_mapping([text])


def test_each_folder_is_a_product(shop: Path, tmp_path: Path) -> None:
    for name in ("P1/a.jpg", "P1/deep/b.jpg", "P 2/c.JPG", "solo.jpg", ".hidden/d.jpg", "__MACOSX/e.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(shop / "pictures" / "P000000.jpg", tmp_path / name)
    (tmp_path / "P1" / "Thumbs.db").write_bytes(b"")
    read = loader.read(tmp_path)
    assert [(e.product.sku, e.product.name, [name for name, _ in e.images]) for e in read.entries] == [
        ("P 2", "P 2", ["P 2/c.JPG"]), ("P1", "P1", ["P1/a.jpg", "P1/deep/b.jpg"]), ("solo", "solo", ["solo.jpg"]),
    ]  # fmt: skip
    assert all(Path(source).is_file() for entry in read.entries for _, source in entry.images)
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


def test_folders_without_pictures_are_noted(shop: Path, tmp_path: Path) -> None:
    for name in ("P1/a.jpg", "Texts/a.txt", "Empty/.keep"):
        (tmp_path / name).parent.mkdir()
        shutil.copy(shop / "pictures" / "P000000.jpg", tmp_path / name)
    says = "folders without pictures ({}) are no products: {}"
    assert loader.read(tmp_path).notes[-1].endswith(says.format(2, "Empty, Texts"))
    shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path)
    assert loader.read(tmp_path / "packed.zip").notes[-1].endswith(says.format(1, "Texts"))


@pytest.mark.slow
def test_many_pictures_of_one_product_take_linear_time(tmp_path: Path) -> None:
    rows = [f"A,Cup,{n}.jpg" for n in range(30_000)]  # comparing them in pairs would take minutes
    (entry,) = loader.read(csv_file(tmp_path, "\n".join(["sku,name,images", *rows]))).entries
    assert len(entry.images) == 30_000


def test_a_build_reports_how_its_catalogue_was_read(shop: Path, tmp_path: Path) -> None:
    path = csv_file(tmp_path, f"Nr;Bezeichnung;Foto\nA;Tasse grün;{shop}/pictures/P000000.jpg\n".encode("cp1252"))
    mapping = columns.parse_mapping(["sku=Nr,name=Bezeichnung,images=Foto"])
    built = edgesearch.build(path, tmp_path / "c.edge", TINY_MODEL, mapping=mapping)
    assert "read as cp1252" in built.notes[0]
