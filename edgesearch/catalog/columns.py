"""Which column of a table is which: by its name, or as its user says."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..errors import CatalogError

REPEATABLE = "images"  # the one that several columns may hold
SEPARATOR = "+"  # their names in a mapping
# What else the columns are called, for the advice of an error; nothing is taken for a column because of it.
_ALIASES = {
    "sku": "sku artnr artikelnr artikelnummer article articleno item itemno itemnumber itemcode "
    "code id productid productcode number nummer ref reference référence referencia código codice handle variantsku",
    "name": "title titel bezeichnung artikelbezeichnung productname produktname product produkt label nom désignation "
    "nombre denominazione itemname shorttext kurztext",
    "images": "image picture pictures photo photos foto fotos bild bilder imageurl imagelink imagesrc imagepath file "
    "filename datei path imagen immagine img url",
    "price": "preis vk verkaufspreis unitprice saleprice prix precio prezzo variantprice",
    "barcode": "ean ean13 gtin upc isbn variantbarcode",
}


@dataclass(frozen=True)
class Columns:
    """What the cells of a row are called; "" is not read.

    Attributes: ignored: columns that would have been read, had the mapping not named others.
    """

    names: tuple[str, ...]
    ignored: tuple[str, ...] = ()

    def cells(self, row: Sequence[str]) -> dict[str, str]:
        """A row's cells by the names of their columns."""
        cells: dict[str, str] = {}
        for name, cell in zip(self.names, row, strict=False):
            if name:
                cells[name] = f"{cells[name]};{cell}" if name in cells else cell
        return cells


def count_wanted(header: Sequence[str], wanted: Iterable[str], mapping: Mapping[str, str]) -> int:
    """How many of the columns that are wanted a header has, after the mapping."""
    folded = set(map(_fold, header))
    asked = [mapping.get(name, name) for name in wanted]
    return sum(_fold(name) in folded or all(_fold(one) in folded for one in name.split(SEPARATOR)) for name in asked)


def find(
    header: Sequence[str], required: Sequence[str], known: Sequence[str], mapping: Mapping[str, str], where: str
) -> Columns:
    """Name the columns of a table.

    Args:    known: columns found whatever the case and spaces of their names; others keep theirs; mapping: what a
             column is to be called, and what it is called in the file; for `SEVERAL`, several with "+" between.
    Raises:  CatalogError: a required column, or one that the mapping names, is missing, or there twice.
    """
    names = [""] * len(header)
    for name, theirs in mapping.items():
        for place in _find_mapped(header, name, theirs, where):
            if names[place]:
                raise CatalogError(f"{where}: --map gives its column {header[place]!r} two names; give it one.")
            names[place] = name
    ignored = []
    for place, theirs in enumerate(header):
        if names[place] or not theirs:
            continue
        name = theirs if theirs in known else next((one for one in known if _is_same(one, theirs, header)), theirs)
        if name in mapping:
            ignored.append(theirs)
        else:
            names[place] = name
    _check_names(names, header, required, mapping, where)
    return Columns(tuple(names), tuple(ignored))


def parse_mapping(texts: Iterable[str]) -> dict[str, str]:
    """A mapping as people write it: "sku=ArtNr,name=Bezeichnung"; raises CatalogError: it is none."""
    mapping: dict[str, str] = {}
    for pair in (pair for text in texts for pair in re.split(r",(?=[^,=]+=)", text)):
        name, equals, theirs = (part.strip() for part in pair.partition("="))
        if not equals or not name or not theirs:
            raise CatalogError(f"--map {pair!r}: expected NAME=COLUMN, such as sku=ArtNr.")
        if name in mapping and name != REPEATABLE:
            raise CatalogError(f"--map {pair!r}: {name} is {mapping[name]!r} already; give it one column.")
        mapping[name] = f"{mapping[name]}{SEPARATOR}{theirs}" if name in mapping else theirs
    return mapping


def _find_mapped(header: Sequence[str], name: str, theirs: str, where: str) -> list[int]:
    folded = list(map(_fold, header))
    several = name == REPEATABLE and _fold(theirs) not in folded
    places = []
    for one in theirs.split(SEPARATOR) if several else [theirs]:
        found = [i for i, column in enumerate(header) if column == one.strip()]
        found = found or [i for i, column in enumerate(folded) if column == _fold(one)]
        if len(found) != 1:
            what = "is not there" if not found else f"is there {len(found)} times"
            raise CatalogError(f"{where}: the column {one.strip()!r} of --map {what}; its columns are {_list_columns(header)}.")
        places += found
    return places


def _check_names(
    names: Sequence[str], header: Sequence[str], required: Sequence[str], mapping: Mapping[str, str], where: str
) -> None:
    missing = [name for name in required if name not in names]
    if missing:
        there = f"its columns are {_list_columns(header)}" if any(header) else "it has none"
        expected = f"expected at least {','.join(required)}, each once"
        pairs = ",".join(f"{name}={_suggest(name, header) or 'COLUMN'}" for name in missing)
        advice = (
            "" if set(required) - _ALIASES.keys() else f"; say which are which with --map {pairs}"
        )  # lists of queries
        raise CatalogError(f"{where}: its header has no column {', '.join(missing)}; {there}; {expected}{advice}.")
    named = [name for name in names if name and not (name == REPEATABLE and name in mapping)]
    twice = sorted({name for name in named if named.count(name) > 1})
    if twice:
        raise CatalogError(
            f"{where}: its header has a column twice: {twice[0]}; expected at least {','.join(required)}, each once."
        )


def _suggest(name: str, header: Sequence[str]) -> str:
    usual = [re.sub(r"\W", "", one) for one in _ALIASES.get(name, "").split()]
    return next((theirs for theirs in header if re.sub(r"[\W_]", "", theirs).casefold() in usual), "")


def _is_same(known: str, theirs: str, header: Sequence[str]) -> bool:
    """A known column whose name is written in another way; where it is also written in its own, that is it."""
    return _fold(theirs) == known and known not in header


def _fold(name: str) -> str:
    return " ".join(name.split()).casefold()


def _list_columns(header: Sequence[str]) -> str:
    return ", ".join(name for name in header if name) or "nameless"
