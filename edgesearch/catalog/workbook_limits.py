"""Check how large a workbook is before openpyxl reads it.

An .xlsx is a zip of XML, and a thousandth of its text is enough to store it: a file of 300 kB can take gigabytes. So
its parts are unpacked once, in bounded memory, and their elements are counted.
"""

import zipfile
from typing import BinaryIO

from ..errors import CatalogError

EXCEL_ROWS = 1_048_576  # of a sheet
ROW_BYTES, ROW_ELEMENTS, ROW_CELLS = 500, 8, 50  # on average, of the rows that may be read
MAX_TEXT_BYTES = 1 << 20  # of a cell; Excel has 32,767 characters
MAX_OTHER_BYTES = 64_000_000  # of the parts that openpyxl keeps as trees: styles, drawings, relations
_STREAMED = ("xl/worksheets/sheet", "xl/sharedStrings")
_PICTURE_RATIO = 2  # pictures and other packed parts grow by less
_STARTS = (b"<", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")  # of XML


def check(file: BinaryIO, where: str, max_rows: int) -> None:
    """Check a workbook.

    Args:
        file: the workbook.
        where: its name, for error messages.
        max_rows: rows that may be read; the other limits are in proportion to it.
    Raises:
        CatalogError: it is too large.
        zipfile.BadZipFile, zlib.error, ValueError, NotImplementedError: it is damaged.
    """
    with zipfile.ZipFile(file) as members:
        texts = [info for info in members.infolist() if info.file_size > _PICTURE_RATIO * info.compress_size]
        size = sum(info.file_size for info in texts)
        other = sum(info.file_size for info in texts if not info.filename.startswith(_STREAMED))
        if size > ROW_BYTES * max_rows or other > MAX_OTHER_BYTES:
            raise _too_large(where, f"{size:,} bytes unpacked", max_rows)
        elements = 0
        for info in texts:
            elements += _count_elements(members, info, where)
            if elements > ROW_ELEMENTS * max_rows:
                raise _too_large(where, f"over {ROW_ELEMENTS * max_rows:,} cells and other elements", max_rows)


def _count_elements(members: zipfile.ZipFile, info: zipfile.ZipInfo, where: str) -> int:
    """Return the number of tags in a part; 0 if it is no XML. Raise CatalogError for an enormous text."""
    count = 0
    with members.open(info) as part:
        while content := part.read(MAX_TEXT_BYTES):
            if not count and not content.lstrip().startswith(_STARTS):
                return 0
            tags = content.count(b"<")
            if not tags and len(content) == MAX_TEXT_BYTES:
                raise CatalogError(f"{where}: a cell of over {MAX_TEXT_BYTES:,} bytes; shorten it, or save it as CSV.")
            count += tags
    return count


def _too_large(where: str, found: str, max_rows: int) -> CatalogError:
    return CatalogError(
        f"{where}: {found}, more than a table of {max_rows:,} rows has; read it with --max-rows {10 * max_rows} if you "
        "trust it, or save it as CSV."
    )
