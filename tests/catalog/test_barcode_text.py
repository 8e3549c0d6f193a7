"""Barcodes as spreadsheets leave them and as scanners send them."""

from pathlib import Path

import pytest

from edgesearch.catalog import barcode_text, loader

from .test_loader import csv_file

EAN = "4006381333931"

TWO = "5901234123457;8711253001202"
FULL_WIDTH = "5901234123457".translate({ord("0") + digit: 0xFF10 + digit for digit in range(10)})


@pytest.mark.parametrize(
    ("cell", "codes"),
    [
        ("4006381333931", "4006381333931"), ("4006381333931.0", "4006381333931"), ("4006381333931,00", "4006381333931"),
        ("'0012345678905", "0012345678905"), ("EAN 4006381333931", "4006381333931"),
        ("GTIN-13: 4006381333931", "4006381333931"),
        ("EAN4006381333931", "4006381333931"), ("ISBN 978-3-16-148410-0", "978-3-16-148410-0"),
        ("5901234123457, 8711253001202", TWO),
        ("5901234123457/8711253001202", TWO),
        ("5901234123457 8711253001202", TWO),
        ("5901234123457\n8711253001202", TWO),
        (FULL_WIDTH, "5901234123457"), ("400638 1333931", "400638 1333931"),
        ("AB/12", "AB/12"), ("AB-12, x", "AB-12, x"), ("4006381333931.5", "4006381333931.5"), ("", ""), ("'", ""),
    ],
)  # fmt: skip
def test_cells_are_cleaned(cell: str, codes: str) -> None:
    assert barcode_text.clean_cell(cell) == codes
    assert barcode_text.clean_cell(codes) == codes


def test_a_table_notes_cleaned_barcodes_once(tmp_path: Path) -> None:
    text = "sku,name,images,barcode\nA,Cup,a.jpg,4006381333931.0\nB,Jug,b.jpg,8711253001202.0\n"
    read = loader.read(csv_file(tmp_path, text))
    assert [entry.product.barcode for entry in read.entries] == ["4006381333931", "8711253001202"]
    (note,) = read.notes
    assert note.endswith("barcodes such as '4006381333931.0' are read as 4006381333931")


PEN, SODA = "4006381333931", "042100005264"


@pytest.mark.parametrize(
    ("scanned", "in_catalogue"),
    [
        (PEN, PEN), (f"0{PEN}", PEN), (f"]E0{PEN}", PEN), (f"{PEN}\t", PEN),
        (f"010{PEN}", PEN), (f"010{PEN}17261231", PEN), (f"(01)0{PEN}(17)261231", PEN), (f"(17)261231(01)0{PEN}", PEN),
        (f"17261231010{PEN}", PEN), (f"]C1010{PEN}10AB\x1d17261231", PEN), (f"10AB\x1d010{PEN}", PEN),
        (f"\x1d010{PEN}", PEN), (f"]d2010{PEN}21XY", PEN), (f"10AB<GS>010{PEN}", PEN), (f"020{PEN}3712", PEN),
        (f"https://id.gs1.org/01/0{PEN}/10/AB?17=261231", PEN), (f"HTTPS://SHOP.EXAMPLE/P/01/{PEN}", PEN),
        ("04252614", SODA), (f"0{SODA}", "04252614"), ("14006381333938", PEN), ("0306406152", "9780306406157"),
    ],
)  # fmt: skip
def test_scanned_codes_name_the_gtin(scanned: str, in_catalogue: str) -> None:
    assert any(in_catalogue in forms for forms in barcode_text.find_readings(scanned))


@pytest.mark.parametrize(
    "scanned", [f"010{PEN[:-1]}0", "(01)", "01", "https://id.gs1.org/01/", "http://[/01/4", "", "X" * 9000]
)
def test_codes_that_name_no_gtin_stay_themselves(scanned: str) -> None:
    assert barcode_text.find_gtin(scanned) == ""
    assert not any(PEN in forms for forms in barcode_text.find_readings(scanned))


def test_the_code_itself_comes_before_what_it_may_stand_for() -> None:
    first, *others = barcode_text.find_readings("04252614")
    assert "04252614" in first
    assert SODA not in first
    assert SODA in set().union(*others)


@pytest.mark.parametrize(
    ("short", "long"),
    [("04252614", SODA), ("01234531", "012300000451"), ("01234543", "012340000053"), ("01234565", "012345000065")],
)
def test_upc_e_expands_by_its_last_digit(short: str, long: str) -> None:
    assert barcode_text.expand_upc_e(short) == long
    assert barcode_text.expand_upc_e(short[:-1] + str((int(short[-1]) + 1) % 10)) == ""


@pytest.mark.parametrize(
    ("scanned", "code"),
    [
        ("4252614", "042100005264"),  # UPC-E without its zero
        ("425261", "042100005264"),  # without number system and check digit
        ("F4006381333931", EAN),  # a letter for the kind of code
        ("A042100005264", "042100005264"),
        ("400638133393112", EAN),  # and two digits of an issue
        ("4006381333931+12", EAN),
        ("978316148410051299", "9783161484100"),  # and five of a price
        ("042100005264 12", "042100005264"),
        ("3-16-148410-X", "9783161484100"),
        ("\u200e4006381333931", EAN),  # with a sign that is not visible
    ],
)
def test_codes_with_more_or_fewer_digits_are_found(scanned: str, code: str) -> None:
    assert any(code in forms for forms in barcode_text.find_readings(scanned))
    assert not any(EAN in forms for forms in barcode_text.find_readings("40063813339"))


@pytest.mark.parametrize(
    ("cell", "codes"),
    [
        ('["4006381333931"]', EAN),
        ("['4006381333931','5901234123457']", f"{EAN};5901234123457"),
        ("{4006381333931,5901234123457}", f"{EAN};5901234123457"),
        ("*4006381333931*", EAN),
        ("\u200e4006381333931", EAN),
        ("AB*12*", "AB*12*"),
    ],
)
def test_lists_and_signs_around_codes_in_cells(cell: str, codes: str) -> None:
    assert barcode_text.clean_cell(cell) == codes
