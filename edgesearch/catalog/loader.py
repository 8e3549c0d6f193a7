"""Catalogues as people have them: a table in CSV, Parquet or .xlsx, a folder of pictures, or an archive of one."""

import io
import itertools
import os
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from ..errors import REASONS_SHOWN, CatalogError, ImageError, several
from ..images import image
from ..images.photo_files import MAX_NAMES, SUFFIXES, describe_skipped
from . import archives, columns, numerals, sources, tabular
from .columns import Columns
from .product import OPTIONAL, REQUIRED, Entry, Product
from .row_parser import Resolve, RowParser
from .tabular import Number, Row

TABLES = (".csv", ".tsv", *tabular.PARQUET_SUFFIXES, *tabular.SPREADSHEET_SUFFIXES)
SAMPLE_ROWS = 1000  # rows, in which numbers are looked at before any is read


@dataclass
class SourceCatalog:
    """What a catalogue says.

    Attributes: entries: its products, in its order; notes: in a sentence each, how it was read where that was not
                plain, and what in it may not be as its owner thinks.
    """

    entries: list[Entry]
    notes: list[str] = field(default_factory=list)


def read(
    source: str | os.PathLike[str],
    mapping: Mapping[str, str] | None = None,
    encoding: str | None = None,
    decimal: str = "",
) -> SourceCatalog:
    """Read a catalogue: header, `sku,name,images` and what `OPTIONAL` names; other columns become attributes.

    A product may have its pictures in one row, separated by ";" or line breaks, or a row for each; its other cells
    then agree. Names of pictures are relative to the catalogue. Nothing is said here about whether they exist. In a
    folder or archive without a table each folder is a product.

    Args:    source: path or URL; mapping: what a column is to be called here, and what it is called there; encoding:
             of a text, "" to see it in it; decimal: the sign in its numbers, "." or ",", "" to see it in them.
    Raises:  CatalogError: names the line, what was found and what was expected.
    """
    source, mapping = os.fspath(source), mapping or {}
    named_as_table = sources.is_url(source) and source.lower().endswith(TABLES)  # any page on the web may list files
    if archives.is_archive(source) or (not named_as_table and archives.is_folder(source)):
        return _read_folder_or_archive(source, mapping, encoding, decimal)
    base = sources.base_folder(source)
    with sources.open_source(source) as file:
        return _read_table(file, source, lambda name: sources.resolve(base, name), mapping, encoding, decimal)


def read_queries(path: Path) -> list[tuple[Path, str]]:
    """Read `image,sku` rows: (photo, SKU); an empty SKU: a product of no catalogue. Raises CatalogError."""
    queries = []
    with sources.open_source(str(path)) as file:
        _, found, rows = _open_table(file, str(path), ("image", "sku"), ("image", "sku"), {}, None)
        for line, row in rows:
            if not any(row):
                continue
            query = _name_cells(line, row, found, str(path))
            if not query["image"]:
                raise CatalogError(f"{path}, line {line}: no image; name a picture, or take the line out.")
            queries.append((path.parent / query["image"], query["sku"]))
    if not queries:
        raise CatalogError(f"{path}: no queries below the header; add at least one.")
    return queries


def _read_table(
    file: BinaryIO, where: str, resolve: Resolve, mapping: Mapping[str, str], encoding: str | None, decimal: str
) -> SourceCatalog:
    table, found, rows = _open_table(file, where, REQUIRED, (*REQUIRED, *OPTIONAL), mapping, encoding)
    sample = list(itertools.islice(rows, SAMPLE_ROWS))
    decimal = decimal or _detect_decimal(sample, found, where)
    how = [*table.how, *(['"," in numbers'] if decimal == numerals.COMMA else [])]
    reading = RowParser(where, resolve, decimal, plain=not table.how)
    _read_rows(itertools.chain(sample, rows), found, reading, where)
    entries = reading.entries()
    if not entries:
        raise CatalogError(f"{where}: no products below the header; add at least one.")
    notes = [f"{where}: read as {', '.join(how)}; {_describe_first(entries)}"] if how else []
    notes += [f"{where}: the column {name} is not read, --map names another for it" for name in found.ignored]
    return SourceCatalog(entries, notes + reading.notes())


def _open_table(
    file: BinaryIO,
    where: str,
    required: Sequence[str],
    known: Sequence[str],
    mapping: Mapping[str, str],
    encoding: str | None,
) -> tuple[tabular.TableRows, Columns, Iterator[Row]]:
    """A table, its columns, and the rows below its header."""
    table = tabular.read(file, where, encoding, lambda header: columns.count_wanted(header, required, mapping))
    rows = iter(table.rows)
    line, header = next(((line, row) for line, row in rows if any(row)), (1, []))
    return table, columns.find(header, required, known, mapping, f"{where}, line {line}"), rows


def _read_rows(rows: Iterable[Row], found: Columns, reading: RowParser, where: str) -> None:
    """Blank rows are passed over; raises CatalogError: what is wrong with the first rows that cannot be read."""
    wrong: list[str] = []
    count = 0
    for line, row in rows:
        if any(row):
            try:
                reading.add(line, _name_cells(line, row, found, where))
            except CatalogError as error:
                count += 1
                wrong += [str(error)] if count <= REASONS_SHOWN else []
    if count == 1:
        raise CatalogError(wrong[0])
    if wrong:
        reasons = several([one.removeprefix(f"{where}, ") for one in wrong], count)
        raise CatalogError(f"{where}: {count} of its rows cannot be read ({reasons}); mend them.")


def _name_cells(line: int, row: Sequence[str], found: Columns, where: str) -> dict[str, str]:
    """The cells of a row by their columns; empty ones beyond the header's are passed over."""
    width = len(found.names)
    if len(row) < width or any(row[width:]):
        advice = "add the missing ones" if len(row) < width else "put a cell with commas in quotes"
        raise CatalogError(f"{where}, line {line}: {len(row)} cells, its header has {width}; {advice}.")
    return found.cells(row)


def _detect_decimal(sample: Sequence[Row], found: Columns, where: str) -> str:
    """The decimal sign that prices show; "" where none does. Raises CatalogError: one shows this, another that."""
    if "price" not in found.names:
        return ""
    place = found.names.index("price")
    shown = numerals.find_decimal_signs(
        row[place] for _, row in sample if len(row) > place and not isinstance(row[place], Number)
    )
    if len(shown) > 1:
        one, other = shown.values()
        raise CatalogError(
            f"{where}: its prices have different decimal signs ({one!r}, {other!r}); write them in one way."
        )
    return next(iter(shown), "")


def _describe_first(entries: Sequence[Entry]) -> str:
    """What a person checks the reading by."""
    product, images = entries[0].product, entries[0].images
    price = "" if product.price is None else f", {product.price:g} {product.currency or ''}".rstrip()
    pictures = f"{len(images)} picture{'s' if len(images) > 1 else ''}"
    return f"first product {product.sku} {product.name!r}{price}, {pictures}"


def _read_folder_or_archive(source: str, mapping: Mapping[str, str], encoding: str | None, decimal: str) -> SourceCatalog:
    """A folder or an archive: its table, where it has one; or folders of pictures."""
    files = archives.list_files(source)
    root = _common_folder(files) if archives.is_archive(source) else ""
    name = _find_table(source, [name for name in files if "/" not in name.removeprefix(root)])
    if not name:
        if mapping or encoding or decimal:
            raise CatalogError(
                f"{source}: a folder of pictures has no columns; leave out --map, --encoding, --decimal."
            )
        return _read_picture_folders(source, files)
    if not archives.is_archive(source):
        catalogue = read(sources.resolve(source.rstrip("/"), name), mapping, encoding, decimal)
    else:
        catalogue = _read_table_in_archive(source, files, name, mapping, encoding, decimal)
    catalogue.notes.insert(0, f"{source}: read {name} in it")
    return catalogue


def _read_table_in_archive(
    source: str, files: Mapping[str, str], table: str, mapping: Mapping[str, str], encoding: str | None, decimal: str
) -> SourceCatalog:
    """A table in an archive, which names pictures in that archive."""

    def resolve(name: str) -> str:
        if sources.is_url(name):
            return sources.check_remote_url(name, source)
        inside = posixpath.normpath(posixpath.join(posixpath.dirname(table), name))
        if posixpath.isabs(inside) or inside.partition("/")[0] == "..":
            raise ValueError("it leads out of the archive; pack the pictures with it")
        return files.get(inside) or sources.member_source("not", 0, 0, source, inside)

    try:
        content = sources.read_bytes(files[table])
    except ImageError as error:
        raise CatalogError(str(error)) from error
    where = sources.format_source(files[table])
    if len(content) > image.MAX_BYTES:
        raise CatalogError(f"{where}: over {image.MAX_BYTES:,} bytes; unpack the archive, and give the table itself.")
    return _read_table(io.BytesIO(content), where, resolve, mapping, encoding, decimal)


def _common_folder(names: Iterable[str]) -> str:
    """The folder, with its "/", that everything is in; "" where there is none."""
    first = {name.partition("/")[0] if "/" in name else "" for name in names}
    return f"{first.pop()}/" if len(first) == 1 and first != {""} else ""


def _find_table(source: str, names: Sequence[str]) -> str:
    """The catalogue among them; "" where there is no table. Raises CatalogError: it is not clear which."""
    tables = [name for name in names if name.lower().endswith(TABLES)]
    called = [name for name in tables if re.fullmatch(r"catalog(ue)?", Path(name).stem.lower())]
    if len(tables) > 1 and len(called) != 1:
        raise CatalogError(
            f"{source}: several tables in it ({', '.join(tables[:5])}); give one of them, or call one catalogue.csv."
        )
    return (called or tables or [""])[0]


def _read_picture_folders(source: str, files: Mapping[str, str]) -> SourceCatalog:
    """Each folder is a product, and each picture that is in none."""
    pictures = [name for name in files if name.lower().endswith(SUFFIXES)]
    others = [Path(name) for name in files.keys() - set(pictures)]
    if not pictures:
        found = describe_skipped(sorted(others))
        raise CatalogError(
            f"{source}: no pictures in it{f', {found}' if found else ''}; expected a folder of pictures for each "
            "product, or a table."
        )
    root = _wrapping_folder(source, pictures) if archives.is_archive(source) else ""
    images: dict[str, list[tuple[str, str]]] = {}
    for name in pictures:
        folder, _, inside = name.removeprefix(root).partition("/")
        images.setdefault((folder if inside else Path(folder).stem).strip(), []).append((name, files[name]))
    entries = [Entry(Product(sku, sku), tuple(named)) for sku, named in images.items()]
    notes = [f"{source}: a product for each folder or picture, {len(entries)}; {_describe_first(entries)}"]
    notes += [f"{source}: {describe_skipped(sorted(others))}"] if others else []
    if empty := sorted(_product_folders(source, root, files) - images.keys()):
        shown = ", ".join(empty[:MAX_NAMES]) + ", ..." * (len(empty) > MAX_NAMES)
        notes.append(f"{source}: folders without pictures ({len(empty)}) are no products: {shown}")
    return SourceCatalog(entries, notes)


def _product_folders(source: str, root: str, files: Iterable[str]) -> set[str]:
    """Those that would be products."""
    inside = (name.removeprefix(root).partition("/") for name in files if name.startswith(root))
    named = {folder.strip() for folder, slash, _ in inside if slash}
    return named if archives.is_archive(source) or sources.is_url(source) else named | archives.list_folders(source)


def _wrapping_folder(archive: str, pictures: Sequence[str]) -> str:
    """The folder around all that an archive of a folder has: it holds folders itself, or is called as the archive."""
    root = _common_folder(pictures)
    holds_folders = any("/" in name.removeprefix(root) for name in pictures)
    return root if holds_folders or root == f"{Path(archive).name.partition('.')[0]}/" else ""
