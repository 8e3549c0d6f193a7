"""Check that tables which would fill the memory or never end are refused in one sentence."""

import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from edgesearch import CatalogError
from edgesearch.catalog import loader, tabular, workbook_limits

openpyxl, pyarrow, parquet = (pytest.importorskip(name) for name in ("openpyxl", "pyarrow", "pyarrow.parquet"))

HEADER = ("sku", "name", "images")
NAMESPACE = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'


def workbook(path: Path, rows: str = "", strings: str = "", styles: str = "") -> Path:
    """Write a workbook with a product, and with further XML in its sheet, its strings or its styles."""
    book = openpyxl.Workbook()
    book.active.append(HEADER)
    book.active.append(("A", "Mug", "a.jpg"))
    book.save(path.with_suffix(".tmp"))
    added = {"sheet1.xml": ("</sheetData>", rows), "styles.xml": ("</styleSheet>", styles)}
    with zipfile.ZipFile(path.with_suffix(".tmp")) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            end, more = added.get(Path(info.filename).name, ("", ""))
            new.writestr(info.filename, old.read(info).decode().replace(end, more + end) if end else old.read(info))
        if strings:
            new.writestr("xl/sharedStrings.xml", f"<sst>{strings}</sst>")
    return path


def far_row(path: Path) -> Path:
    return workbook(path, '<row r="2000000000"><c r="A2000000000"><v>1</v></c></row>')


def far_column(path: Path) -> Path:
    rows = "".join(f'<row r="{n}"><c r="XFD{n}"><v>1</v></c></row>' for n in range(3, 40))
    return workbook(path, rows)


def many_cells(path: Path) -> Path:
    return workbook(path, '<row r="3"><c/></row>' * 4_000)


def many_strings(path: Path) -> Path:
    return workbook(path, strings="<si/>" * 9_000)


def long_text(path: Path) -> Path:
    return workbook(path, strings=f"<si><t>{'x' * 50_000}</t></si>")


def large_styles(path: Path) -> Path:
    return workbook(path, styles=f"<!--{'<x/>' * 50_000}-->")


def parquet_file(path: Path, rows: int, name: str, **columns: object) -> Path:
    names = pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * rows, pyarrow.int32()), pyarrow.array([name]))
    columns = {"sku": [str(n) for n in range(rows)], "name": names, "images": ["a.jpg"] * rows} | columns
    parquet.write_table(pyarrow.table(columns), path, compression="zstd", store_schema=False)
    return path


HOSTILE: list[tuple[str, Callable[[Path], Path], str]] = [
    ("a.xlsx", far_row, "below row 5,000"),
    ("a.xlsx", far_column, "16,384 in a row; delete what is far to the right"),
    ("a.xlsx", many_cells, "cells and other elements"),
    ("a.xlsx", many_strings, "cells and other elements"),
    ("a.xlsx", long_text, "a cell of over 10,000 bytes"),
    ("a.xlsx", large_styles, "bytes unpacked"),
    ("a.parquet", lambda path: parquet_file(path, 900, "x" * 90_000), "characters up to row"),
    (
        "a.parquet",
        lambda path: parquet_file(path, 30, "", more=["y" * 30_000 + str(n) for n in range(30)]),
        "unpacked",
    ),
    ("a.parquet", lambda path: parquet_file(path, 1_001, ""), "1,001 rows"),
    ("a.csv", lambda path: path.write_text("sku,name,images\n" + "a,b,c\n" * 1_001) and path, "over 1,000 rows"),
]


def test_lists_of_texts_are_read_without_gaps(tmp_path: Path) -> None:
    lists = [["a.jpg", "b.jpg"], None, [], ["b.jpg"]] * 100
    path = parquet_file(tmp_path / "a.parquet", 400, "Mug", images=lists)
    found = [[name for name, _ in entry.images] for entry in loader.read(path).entries]
    assert found == [names or [] for names in lists]


@pytest.mark.parametrize(("file", "make", "says"), HOSTILE)
def test_tables_beyond_the_limits_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, make: Callable[[Path], Path], says: str
) -> None:
    monkeypatch.setattr(workbook_limits, "MAX_TEXT_BYTES", 10_000)
    monkeypatch.setattr(workbook_limits, "MAX_OTHER_BYTES", 100_000)
    monkeypatch.setattr(workbook_limits, "EXCEL_ROWS", 5_000)
    with pytest.raises(CatalogError, match=says) as refused:
        loader.read(make(tmp_path / file), max_rows=1000)
    assert "\n" not in str(refused.value)
    assert re.search(r"--max-rows 10000|save it as CSV|delete it", str(refused.value))


def test_more_rows_are_read_when_allowed(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("sku,name,images\n" + "".join(f"{n},Mug,a.jpg\n" for n in range(30)))
    assert len(loader.read(path, max_rows=30).entries) == 30
    with pytest.raises(CatalogError, match=r"over 29 rows; read them with --max-rows 290\."):
        loader.read(path, max_rows=29)


def test_a_formatted_last_row_and_column_are_no_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook_limits, "EXCEL_ROWS", 5_000)
    path = workbook(tmp_path / "a.xlsx", '<row r="5000"><c r="XFD5000" s="0"/></row>')
    assert len(loader.read(path, max_rows=1000).entries) == 1


def test_a_large_parquet_table_of_shared_texts_is_read(tmp_path: Path) -> None:
    entries = loader.read(parquet_file(tmp_path / "a.parquet", 1000, "x" * 100, price=[1.5] * 1000)).entries
    assert len(entries) == 1000
    assert entries[-1].product.price == 1.5
    assert workbook_limits.ROW_BYTES == tabular.PARQUET_ROW_BYTES


def test_unclosed_cells_do_not_make_patterns_backtrack(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", '<c r="A1"' * 100_000)
    with pytest.raises(CatalogError, match="damaged"):
        loader.read(path)
