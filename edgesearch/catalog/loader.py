"""Load catalogues: a table in CSV, Parquet or .xlsx, a folder of pictures, or an archive of either."""

import functools
import io
import itertools
import os
import posixpath
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from .._util import progress
from ..errors import REASONS_SHOWN, CatalogError, ImageError, several
from ..images import image
from ..images.photo_files import MAX_NAMES, SUFFIXES, describe_skipped
from . import archives, columns, numerals, sources, spreadsheet, tabular
from .columns import Columns
from .product import OPTIONAL, REQUIRED, Entry, Product
from .row_parser import Resolve, RowParser
from .tabular import Row
from .typed_cells import NumberCell

TABLES = (".csv", ".tsv", *tabular.PARQUET_SUFFIXES, *tabular.SPREADSHEET_SUFFIXES)
SAMPLE_ROWS = 1000  # searched for the decimal sign before any row is parsed


@dataclass
class SourceCatalog:
    """A catalogue as its owner wrote it.

    Attributes:
        entries: the products, in the catalogue's order.
        notes: sentences on how edgesearch read unusual formats, and on possible mistakes of the owner.
    """

    entries: list[Entry]
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Options:
    """The parameters of `read` that describe a table."""

    mapping: Mapping[str, str] = field(default_factory=dict)
    encoding: str | None = None
    decimal: str = ""
    sheet: str = ""
    header_row: int = 0
    max_rows: int = tabular.MAX_ROWS


def read(
    source: str | os.PathLike[str],
    mapping: Mapping[str, str] | None = None,
    encoding: str | None = None,
    decimal: str = "",
    sheet: str = "",
    header_row: int = 0,
    max_rows: int = tabular.MAX_ROWS,
) -> SourceCatalog:
    """Read a catalogue with a header: `sku,name,images`, any of `OPTIONAL`, and other columns as attributes.

    A product has its pictures in one row, separated by ";" or line breaks, or repeats its row for each picture.
    Picture names are relative to the catalogue; whether they exist is not checked here. In a folder or archive
    without a table, each folder is a product.

    Args:
        source: path or URL.
        mapping: our name for a column -> its name in the file.
        encoding: of a text file; None or "" to detect it.
        decimal: the decimal sign, "." or ","; "" to detect it.
        sheet: of a workbook, by name or by number from 1; "" to find it.
        header_row: line or row of the header, from 1; 0 to find it.
        max_rows: rows of a table that may be read; sizes and numbers of cells are limited in proportion.
    Raises:
        CatalogError: the catalogue cannot be read; the message names the line, the fault and the remedy.
    """
    source, options = os.fspath(source), _Options(mapping or {}, encoding, decimal, sheet, header_row, max_rows)
    named_as_table = sources.is_url(source) and source.lower().endswith(TABLES)  # any web page may list files
    with progress.stage("read the catalogue"):
        if archives.is_archive(source) or (not named_as_table and archives.is_folder(source)):
            return _read_folder_or_archive(source, options)
        return _read_table_file(source, options)


def read_queries(path: str | os.PathLike[str]) -> list[tuple[Path, str]]:
    """Read a list of queries with the columns `image,sku`.

    Returns: (photo, SKU) per row; an empty SKU means a product that is not in the catalogue.
    Raises:  CatalogError: the list cannot be read, or is empty.
    """
    path, queries = Path(path), []
    with sources.open_source(str(path)) as file:
        _, found, rows = _open_table(file, str(path), ("image", "sku"), ("image", "sku"), _Options())
        for line, row in rows:
            if not any(row):
                continue
            query = _name_cells(line, row, found, str(path))
            if not query["image"]:
                raise CatalogError(f"{path}, line {line}: empty image; name a photo, or remove the line.")
            queries.append((Path(sources.resolve(str(path.parent), _unix_name(path, query["image"]))), query["sku"]))
    if not queries:
        raise CatalogError(f"{path}: no queries below the header; add at least one.")
    return queries


def _unix_name(table: Path, name: str) -> str:
    """Return a photo's name with "/" for the "\\" of Windows, unless a file has the name as it is."""
    return name if "\\" not in name or (table.parent / name).exists() else name.replace("\\", "/")


def _read_table_file(source: str, options: _Options) -> SourceCatalog:
    base = sources.base_folder(source)
    with sources.open_source(source) as file:
        return _read_table(file, source, lambda name: sources.resolve(base, name), options)


def _read_table(file: BinaryIO, where: str, resolve: Resolve, options: _Options) -> SourceCatalog:
    table, found, rows = _open_table(file, where, REQUIRED, (*REQUIRED, *OPTIONAL), options)
    sample = list(itertools.islice(rows, SAMPLE_ROWS))
    decimal = options.decimal or _detect_decimal(sample, found, where)
    parser = RowParser(where, resolve, decimal, plain=not table.detected)
    _parse_rows(itertools.chain(sample, rows), found, parser, where, table.pictures)
    entries = parser.entries()
    if not entries:
        raise CatalogError(f"{where}: no products below the header; add at least one.")
    if not any(entry.images for entry in entries):
        raise CatalogError(f"{where}: no product has a picture; name at least one in the column images.")
    detected = [*table.detected, *(['"," in numbers'] if decimal == numerals.COMMA else [])]
    notes = [f"{where}: read as {', '.join(detected)}; {_describe_first(entries)}"] if detected else []
    notes += [f"{where}: the column {name} is not read, --map names another for it" for name in found.ignored]
    if found.proposed:
        pairs = ",".join(f"{name}={theirs}" for name, theirs in found.proposed)
        notes.append(f"{where}: columns that look like other details are kept as attributes; add --map {pairs}")
    notes += [f"{where}: a further column {old} is called {new}" for old, new in found.renamed]
    return SourceCatalog(entries, notes + parser.notes())


def _open_table(
    file: BinaryIO, where: str, required: Sequence[str], known: Sequence[str], options: _Options
) -> tuple[tabular.TableRows, Columns, Iterator[Row]]:
    """Return a table, its columns, and the rows below its header."""
    mapping = options.mapping

    def count_wanted(row: Sequence[str]) -> int:
        return columns.count_wanted(row, required, mapping)

    table = tabular.read(file, where, options.encoding, count_wanted, options.sheet, options.max_rows)
    rows = iter(table.rows)
    first = list(itertools.islice(rows, max(spreadsheet.HEAD_ROWS, options.header_row)))
    start = _find_header(first, where, count_wanted, options.header_row)
    line, header = first[start] if first else (1, [])
    if any(any(row) for _, row in first[:start]):
        table = replace(table, detected=(*table.detected, f"its header in line {line}"))
    if table.pictures and columns.REPEATABLE not in mapping:
        required = [name for name in required if name != columns.REPEATABLE]  # the sheet holds them itself
    found = columns.find(header, required, known, mapping, f"{where}, line {line}")
    return table, found, itertools.chain(first[start + 1 :], rows)


def _find_header(
    first: Sequence[Row], where: str, count_wanted: Callable[[Sequence[str]], int], header_row: int
) -> int:
    """Return the position of the header among a table's first rows: the first with the most wanted columns."""
    if header_row:
        found = [position for position, (line, _) in enumerate(first) if line == header_row]
        if not found:
            raise CatalogError(f"{where}: no line {header_row} for --header-row; it has {len(first)} lines.")
        return found[0]
    counts = [count_wanted(row) for _, row in first]
    if any(counts):
        return counts.index(max(counts))
    widths = [sum(map(bool, row)) for _, row in first]  # a title above a header has fewer cells
    return next((position for position, width in enumerate(widths) if width * 2 > max(widths)), 0)


def _parse_rows(
    rows: Iterable[Row],
    found: Columns,
    parser: RowParser,
    where: str,
    pictures: Mapping[int, Sequence[tuple[str, str]]],
) -> None:
    """Parse all rows that are not blank; raise one CatalogError that lists the first bad rows."""
    reasons: list[str] = []
    count = 0
    for line, row in progress.track("read the catalogue", "row", rows):
        if any(row):
            try:
                parser.add(line, _name_cells(line, row, found, where), pictures.get(line, ()))
            except CatalogError as error:
                count += 1
                reasons += [str(error)] if count <= REASONS_SHOWN else []
    if count == 1:
        raise CatalogError(reasons[0])
    if reasons:
        listed = several([reason.removeprefix(f"{where}, ") for reason in reasons], count)
        raise CatalogError(f"{where}: {count} of its rows cannot be read ({listed}); correct them.")


def _name_cells(line: int, row: Sequence[str], found: Columns, where: str) -> dict[str, str]:
    """Return a row's cells by column name; ignore empty cells beyond the header."""
    width = len(found.names)
    if len(row) < width or any(row[width:]):
        advice = "add the missing ones" if len(row) < width else "put quotes around a cell that holds commas"
        raise CatalogError(f"{where}, line {line}: {len(row)} cells, but the header has {width}; {advice}.")
    return found.cells(row)


def _detect_decimal(sample: Sequence[Row], found: Columns, where: str) -> str:
    """Return the decimal sign that the prices prove, or ""; raise CatalogError if they prove both."""
    if "price" not in found.names:
        return ""
    position = found.names.index("price")
    signs = numerals.find_decimal_signs(
        numerals.normalize(row[position])
        for _, row in sample
        if len(row) > position and not isinstance(row[position], NumberCell)
    )
    if len(signs) > 1:
        one, other = signs.values()
        raise CatalogError(
            f"{where}: the prices {one!r} and {other!r} have different decimal signs; write all prices with one sign."
        )
    return next(iter(signs), "")


def _describe_first(entries: Sequence[Entry]) -> str:
    """Describe the first product, by which a person can check how the file was read."""
    product, images = entries[0].product, entries[0].images
    price = "" if product.price is None else f", {product.price:g} {product.currency or ''}".rstrip()
    pictures = f"{len(images)} picture{'s' if len(images) != 1 else ''}"
    return f"first product {product.sku} {product.name!r}{price}, {pictures}"


def _read_folder_or_archive(source: str, options: _Options) -> SourceCatalog:
    """Read the table in a folder or archive; without one, read its folders of pictures."""
    files = archives.list_files(source)
    root = _common_folder(files) if archives.is_archive(source) else ""
    name = _find_table(source, [name for name in files if "/" not in name.removeprefix(root)])
    if not name:
        if options != _Options(max_rows=options.max_rows):
            raise CatalogError(
                f"{source}: a folder of pictures has no columns; leave out --map, --encoding, --decimal, --sheet and "
                "--header-row."
            )
        return _read_picture_folders(source, files)
    if archives.is_archive(source):
        catalog = _read_table_in_archive(source, files, name, options)
    else:
        catalog = _read_table_file(sources.resolve(source.rstrip("/"), name), options)
    catalog.notes.insert(0, f"{source}: read {name} in it")
    return catalog


def _read_table_in_archive(source: str, files: Mapping[str, str], table: str, options: _Options) -> SourceCatalog:
    """Read a table in an archive; it names pictures in the same archive."""

    def resolve(name: str) -> str:
        if sources.is_url(name):
            return sources.check_remote_url(name, source)
        inside = posixpath.normpath(posixpath.join(posixpath.dirname(table), name))
        if posixpath.isabs(inside) or inside.partition("/")[0] == "..":
            raise ValueError("it leads out of the archive; pack the pictures into the archive")
        found = files.get(inside) or ("" if inside.isascii() else spellings().get(unicodedata.normalize("NFC", inside)))
        return found or sources.member_source("not", 0, 0, source, inside)

    @functools.cache
    def spellings() -> dict[str, str]:
        return archives.find_spellings(files)

    try:
        content = sources.read_bytes(files[table])
    except ImageError as error:
        raise CatalogError(str(error)) from error
    where = sources.format_source(files[table])
    if len(content) > image.MAX_BYTES:
        raise CatalogError(
            f"{where}: larger than {image.MAX_BYTES:,} bytes, the limit in an archive; unpack the archive and give "
            "the table itself."
        )
    return _read_table(io.BytesIO(content), where, resolve, options)


def _common_folder(names: Iterable[str]) -> str:
    """Return the one folder that holds all names, with its "/", or ""."""
    first = {name.partition("/")[0] if "/" in name else "" for name in names}
    return f"{first.pop()}/" if len(first) == 1 and first != {""} else ""


def _find_table(source: str, names: Sequence[str]) -> str:
    """Return the name of the catalogue's table, or ""; raise CatalogError if several tables could be it."""
    tables = [name for name in names if name.lower().endswith(TABLES)]
    called = [name for name in tables if re.fullmatch(r"catalog(ue)?", Path(name).stem.lower())]
    if len(tables) > 1 and len(called) != 1:
        raise CatalogError(
            f"{source}: several tables in it ({', '.join(tables[:5])}); give one of them, or name one catalogue.csv."
        )
    return (called or tables or [""])[0]


def _read_picture_folders(source: str, files: Mapping[str, str]) -> SourceCatalog:
    """Read a product from each folder of pictures, and from each picture that is in no folder."""
    pictures = [name for name in files if name.lower().endswith(SUFFIXES)]
    skipped = describe_skipped(sorted(Path(name) for name in files.keys() - set(pictures)))
    if not pictures:
        raise CatalogError(
            f"{source}: no pictures in it{f', {skipped}' if skipped else ''}; expected a folder of pictures for each "
            "product, or a table."
        )
    root = _wrapping_folder(source, pictures) if archives.is_archive(source) else ""
    images: dict[str, list[tuple[str, str]]] = {}
    for name in pictures:
        folder, _, inside = name.removeprefix(root).partition("/")
        sku = unicodedata.normalize("NFC", (folder if inside else Path(folder).stem).strip())
        images.setdefault(sku, []).append((name, files[name]))
    entries = [Entry(Product(sku, sku), tuple(named)) for sku, named in images.items()]
    notes = [f"{source}: a product for each folder or picture, {len(entries)}; {_describe_first(entries)}"]
    notes += [f"{source}: {skipped}"] if skipped else []
    if empty := sorted(_product_folders(source, root, files) - images.keys()):
        listed = ", ".join(empty[:MAX_NAMES]) + ", ..." * (len(empty) > MAX_NAMES)
        notes.append(f"{source}: folders without pictures ({len(empty)}) are no products: {listed}")
    return SourceCatalog(entries, notes)


def _product_folders(source: str, root: str, files: Iterable[str]) -> set[str]:
    """Return the names of the folders that would be products if they held pictures."""
    inside = (name.removeprefix(root).partition("/") for name in files if name.startswith(root))
    named = {folder.strip() for folder, slash, _ in inside if slash}
    if not archives.is_archive(source) and not sources.is_url(source):
        named |= archives.list_folders(source)
    return {unicodedata.normalize("NFC", name) for name in named}


def _wrapping_folder(archive: str, pictures: Sequence[str]) -> str:
    """Return the folder that wraps an archive's content, or "": it holds folders, or has the archive's name."""
    root = _common_folder(pictures)
    holds_folders = any("/" in name.removeprefix(root) for name in pictures)
    return root if holds_folders or root == f"{Path(archive).name.partition('.')[0]}/" else ""
