"""Reading workbooks as people keep them."""

import datetime
import io
import re
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from PIL import Image

from edgesearch import CatalogError
from edgesearch.catalog import loader, sources

openpyxl = pytest.importorskip("openpyxl")
HEADER = ["sku", "name", "images", "price", "stock"]
ROWS = [["A", "Cup", "a.jpg", 4.5, 3], ["B", "Jug", "b.jpg", 6, 2]]


def workbook(
    path: Path, sheets: dict[str, Sequence[Sequence[object]]], edit: Callable[[bytes], bytes] | None = None
) -> Path:
    """Write a workbook; edit: changes the XML of its first sheet."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    packed = io.BytesIO()
    book.save(packed)
    with zipfile.ZipFile(packed) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.namelist():
            data = old.read(member)
            new.writestr(member, edit(data) if edit and member.endswith("sheet1.xml") else data)
    return path


def read_prices(path: Path, **options: object) -> list[tuple[str, float | None, int | None]]:
    return [(e.product.sku, e.product.price, e.product.stock) for e in loader.read(path, **options).entries]


EXPECTED = [("A", 4.5, 3), ("B", 6.0, 2)]


@pytest.mark.parametrize("dimension", [b"A1", b"A1:C2", b"A1:XFD1048576", b""])
def test_a_stale_dimension_loses_no_cell(tmp_path: Path, dimension: bytes) -> None:
    stale = b'<dimension ref="%s"/>' % dimension if dimension else b""
    path = workbook(tmp_path / "c.xlsx", {"S": [HEADER, *ROWS]}, lambda xml: re.sub(rb"<dimension[^>]*/>", stale, xml))
    read = loader.read(path)
    assert [(e.product.sku, e.product.price, e.product.stock) for e in read.entries] == EXPECTED
    assert read.notes == []


def test_a_title_and_a_cover_sheet_are_passed_over(tmp_path: Path) -> None:
    sheets = {
        "Cover": [["Price list 2026"], ["for", "everybody"]],
        "Articles": [["All articles", *[None] * 9], [], HEADER, *ROWS],
        "More": [["x"]],
    }
    path = workbook(tmp_path / "c.xlsx", sheets)
    assert read_prices(path) == EXPECTED
    assert "read as its sheet 'Articles' of 3 (not 'Cover', 'More'), its header in line 3" in loader.read(path).notes[0]
    assert read_prices(path, sheet="articles", header_row=3) == EXPECTED
    assert read_prices(path, sheet="2") == EXPECTED
    for options, says in (
        ({"sheet": "Prices"}, "no sheet 'Prices'; its sheets are Cover, Articles, More"),
        ({"sheet": "Cover"}, "line 2: the header has no column sku, name, images; its columns are for, everybody"),
        ({"sheet": "2", "header_row": 99}, "no line 99 for --header-row"),
    ):
        with pytest.raises(CatalogError, match=says):
            loader.read(path, **options)


def test_a_title_above_the_header_of_a_text_table_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text("Price list, of 2026\n\nsku;name;images;price;stock\nA;Cup;a.jpg;4.5;3\nB;Jug;b.jpg;6;2\n")
    assert read_prices(path) == EXPECTED
    assert "its header in line 3" in loader.read(path).notes[0]
    with pytest.raises(CatalogError, match="no workbook, so it has no sheets"):
        loader.read(path, sheet="S")


@pytest.mark.parametrize(
    ("value", "form", "expected"),
    [
        (123, "00000", "00123"),
        (1.1, "0.00", "1.10"),
        (1.125, "0.00", "1.125"),
        (7, "General", "7"),
        (7, "0", "7"),
        (12, '"SKU-"0000', "SKU-0012"),
        (12345, "000-000", "012-345"),
        (12345, "00\\-00", "123-45"),
        (12, "0E-00", "12"),
    ],
)
def test_skus_are_read_as_the_spreadsheet_shows_them(tmp_path: Path, value: float, form: str, expected: str) -> None:
    book = openpyxl.Workbook()
    book.active.append(HEADER[:3])
    book.active.append([value, "Cup", "a.jpg"])
    book.active["A2"].number_format = form
    book.save(tmp_path / "c.xlsx")
    read = loader.read(tmp_path / "c.xlsx")
    assert read.entries[0].product.sku == expected
    assert bool(read.notes) is (expected != str(value))


def test_prices_and_stock_are_the_numbers_themselves(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(HEADER)
    book.active.append(["A", "Cup", "a.jpg", 4, 30])
    book.active["D2"].number_format, book.active["E2"].number_format = '"EUR "00', "000"
    book.save(tmp_path / "c.xlsx")
    assert read_prices(tmp_path / "c.xlsx") == [("A", 4.0, 30)]


@pytest.mark.parametrize(
    ("sku", "says"),
    [
        (datetime.datetime(2026, 3, 2), "row 2: sku is 2026-03-02, a date, which spreadsheets make of texts"),
        (123456789012345000, "a number that a spreadsheet has rounded"),
        (1.23456789012345e18, "a number that a spreadsheet has rounded"),
    ],
)
def test_skus_that_a_spreadsheet_changed_are_refused(tmp_path: Path, sku: object, says: str) -> None:
    path = workbook(tmp_path / "c.xlsx", {"S": [HEADER[:3], [sku, "Cup", "a.jpg"]]})
    with pytest.raises(CatalogError, match=says.replace("row 2", "line 2")):
        loader.read(path)


def test_formulas_without_results_are_never_lost(tmp_path: Path) -> None:
    rows = [[*HEADER, "colour"], ["A", "Cup", "a.jpg", 4.5, 3, '=IF(1,"","")']]
    path = workbook(tmp_path / "c.xlsx", {"S": rows})
    read = loader.read(path)
    assert read.notes == [f"{path}: formulas without results in the file, as in colour, are read as empty"]
    path = workbook(tmp_path / "c.xlsx", {"S": rows}, lambda xml: xml.replace(b'<c r="F2">', b'<c r="F2" t="str">'))
    assert loader.read(path).notes == []  # the result is an empty text
    rows[1][3] = "=9/2"
    with pytest.raises(CatalogError, match="line 2: price is a formula whose result is not in the file; open"):
        loader.read(workbook(tmp_path / "c.xlsx", {"S": rows}))


def drawn(colour: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (40, 30), colour).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize("header", [HEADER[:2], HEADER[:3]])
def test_pictures_over_rows_belong_to_the_product_there(tmp_path: Path, header: list[str]) -> None:
    from openpyxl.drawing.image import Image as SheetImage

    book = openpyxl.Workbook()
    for row in (["Price list"], header, ["A", "Cup"], ["B", "Jug"], ["C", "Pan"]):
        book.active.append(row)
    for cell, colour in (("D3", "red"), ("C3", "green"), ("C4", "blue")):
        book.active.add_image(SheetImage(io.BytesIO(drawn(colour))), cell)
    book.save(tmp_path / "c.xlsx")
    read = loader.read(tmp_path / "c.xlsx")
    found = {entry.product.sku: [sources.read_bytes(source) for _, source in entry.images] for entry in read.entries}
    assert found == {"A": [drawn("red"), drawn("green")], "B": [drawn("blue")], "C": []}
    assert "products without a picture (1): C in line 5" in read.notes[-1]
    with zipfile.ZipFile(tmp_path / "shop.zip", "w") as made:
        made.write(tmp_path / "c.xlsx", "catalogue.xlsx")
    packed = loader.read(tmp_path / "shop.zip").entries
    assert [sources.read_bytes(source) for _, source in packed[1].images] == [drawn("blue")]


def test_pictures_in_cells_belong_to_the_product_there(tmp_path: Path) -> None:
    path = workbook(tmp_path / "c.xlsx", {"S": [HEADER[:3], ["A", "Cup", "#VALUE!"]]})
    relations = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    parts = {
        "xl/media/image1.png": drawn("red"),
        "xl/metadata.xml": '<metadata xmlns="m"><futureMetadata><bk><x><rvb i="0"/></x></bk></futureMetadata>'
        '<valueMetadata><bk><rc t="1" v="0"/></bk></valueMetadata></metadata>',
        "xl/richData/rdrichvalue.xml": '<rvData xmlns="r"><rv s="0"><v>0</v><v>5</v></rv></rvData>',
        "xl/richData/richValueRel.xml": f'<richValueRels xmlns:r="{relations}"><rel r:id="rId1"/></richValueRels>',
        "xl/richData/_rels/richValueRel.xml.rels": '<Relationships xmlns="p"><Relationship Id="rId1" '
        'Target="../media/image1.png"/></Relationships>',
    }
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(tmp_path / "d.xlsx", "w") as new:
        for member in old.namelist():
            data = old.read(member)
            new.writestr(member, data.replace(b'<c r="C2" t=', b'<c r="C2" vm="1" t='))
        for member, content in parts.items():
            new.writestr(member, content)
    (entry,) = loader.read(tmp_path / "d.xlsx").entries
    assert [sources.read_bytes(source) for _, source in entry.images] == [drawn("red")]


def test_pictures_that_wps_office_placed_in_cells_belong_to_the_product_there(tmp_path: Path) -> None:
    def place(xml: bytes) -> bytes:
        for row, identifier in ((3, b"ID_RED"), (4, b"ID_BLUE"), (5, b"ID_GONE")):
            formula = b"DISPIMG(&quot;%s&quot;,1)" % identifier
            cell = b'<c r="C%d" t="str"><f>_xlfn.%s</f><v>=%s</v></c>' % (row, formula, formula)
            xml = re.sub(rb'<c r="C%d"[^>]*>.*?</c>' % row, cell, xml)
        return xml

    rows = [
        ["Articles"],
        [*HEADER[:2], "Bild", "price"],
        ["A", "Cup", "x", 2],
        ["B", "Jug", "x", 3],
        ["C", "Pan", "x", 4],
    ]
    path = workbook(tmp_path / "c.xlsx", {"S": rows}, place)
    pictures = "".join(
        f'<e:cellImage><x:pic><x:nvPicPr><x:cNvPr id="{number}" name="ID_{name}"/></x:nvPicPr><x:blipFill>'
        f'<a:blip r:embed="rId{number}"/></x:blipFill></x:pic></e:cellImage>'
        for number, name in ((1, "BLUE"), (2, "RED"))
    )
    relations = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    parts = {
        "xl/media/image1.png": drawn("blue"),
        "xl/media/image2.png": drawn("red"),
        "xl/cellimages.xml": f'<e:cellImages xmlns:e="e" xmlns:x="x" xmlns:a="a" xmlns:r="{relations}">{pictures}'
        "</e:cellImages>",
        "xl/_rels/cellimages.xml.rels": '<Relationships xmlns="p"><Relationship Id="rId1" Target="media/image1.png"/>'
        '<Relationship Id="rId2" Target="media/image2.png"/></Relationships>',
    }
    with zipfile.ZipFile(path, "a") as book:
        for member, content in parts.items():
            book.writestr(member, content)
    for mapping in ({}, {"images": "Bild"}):
        entries = loader.read(path, mapping).entries
        found = [[sources.read_bytes(source) for _, source in entry.images] for entry in entries]
        assert found == [[drawn("red")], [drawn("blue")], []]
        assert [entry.product.attributes for entry in entries] == [()] * 3


def test_pictures_that_formulas_link_are_read_from_there(tmp_path: Path) -> None:
    url = b"https://shop.example/a.jpg?w=1&amp;amp;h=2"

    def link(xml: bytes) -> bytes:
        formula = b'<c r="C2"><f>_xlfn.IMAGE(&quot;%s&quot;,"x")</f><v></v></c>' % url.replace(b"amp;amp;", b"amp;")
        return re.sub(rb'<c r="C2"[^>]*>.*?</c>', formula, xml)

    path = workbook(tmp_path / "c.xlsx", {"S": [HEADER[:3], ["A", "Cup", "x"], ["B", "Jug", "b.jpg"]]}, link)
    images = [[name for name, _ in entry.images] for entry in loader.read(path).entries]
    assert images == [["https://shop.example/a.jpg?w=1&h=2"], ["b.jpg"]]


@pytest.mark.slow
def test_an_export_of_an_erp_is_read_at_the_first_try(tmp_path: Path) -> None:
    """Read 3,000 rows with a cover sheet, a title, formatted cells, products without pictures and a line of totals."""
    header = ["Pos.", "ArtNr", "Bezeichnung", "EAN-Code", "VK Preis", "Bestand", "Lagerort", "Bild", "angelegt", None]
    book = openpyxl.Workbook()
    book.active.title = "Deckblatt"
    book.active.append(["Warenwirtschaft", None, "Stand:", datetime.datetime(2026, 11, 30, 12, 0)])
    sheet = book.create_sheet("Artikel")
    sheet.append(["Artikelliste, alle Lager"])
    sheet.append([None, "Filter: aktiv = ja"])
    sheet.append([])
    sheet.append(header)
    for number in range(3000):
        stock = number % 40 if number % 7 else None
        picture = f"bilder\\{number:05}.jpg" if number % 10 else None
        code = 4006381000000 + number
        row = [number + 1, number, f"Becher {number}", code, number / 4, stock, f"A{number % 9}", picture]
        sheet.append([*row, datetime.date(2026, 1, 1 + number % 28)])
        sheet.cell(sheet.max_row, 2).number_format = "000000"
        sheet.cell(sheet.max_row, 5).number_format = '#,##0.00\\ "€"'
    sheet.append([])
    sheet.append([None, None, "Summe", None, 1124625.0, 57000])
    sheet.merge_cells("A1:H1")
    sheet.freeze_panes = "A5"
    book.save(tmp_path / "export.xlsx")
    mapping = {"sku": "ArtNr", "name": "Bezeichnung", "images": "Bild"}
    read = loader.read(tmp_path / "export.xlsx", mapping)
    assert len(read.entries) == 3000
    last = read.entries[-1]
    assert (last.product.sku, last.product.name) == ("002999", "Becher 2999")
    assert last.images[0][1].endswith("bilder/02999.jpg")
    assert sum(not entry.images for entry in read.entries) == 300
    notes = " ".join(read.notes)
    assert "its sheet 'Artikel' of 2 (not 'Deckblatt'), its header in line 4" in notes
    assert "--map price=VK Preis,barcode=EAN-Code,stock=Bestand,location=Lagerort" in notes
    assert "line 3006: a line of totals is left out" in notes
    mapping |= {"price": "VK Preis", "stock": "Bestand", "location": "Lagerort", "barcode": "EAN-Code"}
    product = loader.read(tmp_path / "export.xlsx", mapping).entries[5].product
    assert (product.price, product.stock, product.location, product.barcode) == (1.25, 5, "A5", "4006381000005")
    with pytest.raises(
        CatalogError, match=r"no column sku, name, images; its columns are Pos., ArtNr, .*--map sku=ArtNr"
    ):
        loader.read(tmp_path / "export.xlsx")
