"""Identify the columns of a table by their names, or as the user maps them."""

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..errors import CatalogError

REPEATABLE = "images"  # the only name that several columns may share
PROPOSED = ("price", "barcode", "stock", "location")  # optional details that a note proposes to map
SEPARATOR = "+"  # between the names of these columns in a mapping
# Common other names of the columns. They only fill the `--map` that an error proposes; no column is chosen by them.
_ALIASES = {
    "sku": "sku artnr artikelnr artikelnummer article articleno item itemno itemnumber itemcode "
    "code id productid productcode number nummer ref reference référence referencia código codice handle variantsku",
    "name": "title titel bezeichnung artikelbezeichnung productname produktname product produkt label nom désignation "
    "nombre denominazione itemname shorttext kurztext",
    "images": "image picture pictures photo photos foto fotos bild bilder imageurl imagelink imagesrc imagepath file "
    "filename datei path imagen immagine img url",
    "price": "preis vk vkpreis vkbrutto bruttopreis verkaufspreis listprice retailprice unitprice saleprice prix "
    "precio prezzo variantprice",
    "barcode": "ean ean13 eancode gtin upc isbn variantbarcode codebarre codigodebarras",
    "stock": "bestand lagerbestand qty quantity inventory stockquantity stockqty onhand onstock stocklevel "
    "variantinventoryqty existencias giacenza",
    "location": "lagerort lagerplatz regal bin binlocation shelf aisle standort storagelocation emplacement ubicación",
}


@dataclass(frozen=True)
class Columns:
    """The columns of a table.

    Attributes:
        names: the name of each column, in the table's order; "" for columns that are not read.
        ignored: columns that would have been read if the mapping did not name others in their place.
        renamed: old and new name of each column whose name an earlier one has.
        proposed: detail and column that probably holds it, but is not mapped.
    """

    names: tuple[str, ...]
    ignored: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()
    proposed: tuple[tuple[str, str], ...] = ()

    def cells(self, row: Sequence[str]) -> dict[str, str]:
        """Return the cells of a row by column name; join the cells of columns that share a name with ";"."""
        cells: dict[str, str] = {}
        for name, cell in zip(self.names, row, strict=False):
            if name:
                cells[name] = f"{cells[name]};{cell}" if name in cells else cell
        return cells


def count_wanted(header: Sequence[str], wanted: Iterable[str], mapping: Mapping[str, str]) -> int:
    """Return how many of the wanted columns, renamed by the mapping, a header has, times 100.

    Add the number of columns that are probably meant for them, so that an error can name these.
    """
    folded = set(map(_fold, header))
    mapped = [mapping.get(name, name) for name in wanted]
    parts = [[name] if _fold(name) in folded else name.split(SEPARATOR) for name in mapped]
    found = sum(all(_fold(part) in folded for part in names) for names in parts)
    return 100 * found + sum(bool(_suggest(name, header)) for name in wanted)


def find(
    header: Sequence[str], required: Sequence[str], known: Sequence[str], mapping: Mapping[str, str], where: str
) -> Columns:
    """Name the columns of a table.

    Args:
        header: the names in the table's first row.
        required: the names that must be present.
        known: the names that are found whatever their case and spaces; all other columns keep their names.
        mapping: our name for a column -> its name in the file; for `REPEATABLE`, several joined by "+".
        where: the table and line, for error messages.
    Raises:
        CatalogError: a required or mapped column is missing or ambiguous.
    """
    original, header = header, _number_repeated(header, (*required, *known))
    names = [""] * len(header)
    for name, theirs in mapping.items():
        is_new = _fold(theirs) not in map(_fold, original)
        for position in _find_mapped(header if is_new else original, name, theirs, where):
            if names[position]:
                raise CatalogError(
                    f"{where}: --map gives the column {header[position]!r} two names, {names[position]} and {name}; "
                    "give it one."
                )
            names[position] = name
    ignored = []
    for position, theirs in enumerate(header):
        if names[position] or not theirs:
            continue
        name = theirs if theirs in known else next((one for one in known if _is_same(one, theirs, header)), theirs)
        if name in mapping:
            ignored.append(theirs)
        else:
            names[position] = name
    _check_names(names, header, required, mapping, where)
    renamed = [(old, new) for old, new, name in zip(original, header, names, strict=True) if old != new == name]
    others = [name if name == theirs and name not in known else "" for name, theirs in zip(names, header, strict=True)]
    missing = (name for name in PROPOSED if name in known and name not in names)
    proposed = [(name, theirs) for name in missing if (theirs := _suggest(name, others))]
    return Columns(tuple(names), tuple(ignored), tuple(renamed), tuple(proposed))


def parse_mapping(texts: Iterable[str]) -> dict[str, str]:
    """Parse `--map` values such as "sku=ArtNr,name=Bezeichnung"; raise CatalogError if one is malformed."""
    mapping: dict[str, str] = {}
    for pair in (pair for text in texts for pair in re.split(r",(?=[^,=]+=)", text)):
        name, equals, theirs = (part.strip() for part in pair.partition("="))
        if not equals or not name or not theirs:
            raise CatalogError(f"--map {pair!r}: expected NAME=COLUMN, such as sku=ArtNr.")
        if name in mapping and name != REPEATABLE:
            raise CatalogError(f"--map {pair!r}: {name} is already mapped to {mapping[name]!r}; map it to one column.")
        mapping[name] = f"{mapping[name]}{SEPARATOR}{theirs}" if name in mapping else theirs
    return mapping


def _find_mapped(header: Sequence[str], name: str, theirs: str, where: str) -> list[int]:
    folded = list(map(_fold, header))
    several = name == REPEATABLE and _fold(theirs) not in folded
    positions = []
    for part in theirs.split(SEPARATOR) if several else [theirs]:
        found = [i for i, column in enumerate(header) if column == part.strip()]
        found = found or [i for i, column in enumerate(folded) if column == _fold(part)]
        if len(found) != 1:
            problem = "is not in the header" if not found else f"is in the header {len(found)} times"
            raise CatalogError(
                f"{where}: the column {part.strip()!r} of --map {problem}; the columns are {_list_columns(header)}."
            )
        positions += found
    return positions


def _number_repeated(header: Sequence[str], known: Sequence[str]) -> list[str]:
    """Return the names of the columns with a number after those that repeat: Menge, Menge 2. Known ones stay."""
    numbered: list[str] = []
    for name in header:
        candidates = itertools.chain([name], (f"{name} {number}" for number in itertools.count(2)))
        is_kept = not name or _fold(name) in known
        numbered.append(name if is_kept else next(one for one in candidates if one not in numbered))
    return numbered


def _check_names(
    names: Sequence[str], header: Sequence[str], required: Sequence[str], mapping: Mapping[str, str], where: str
) -> None:
    """Raise CatalogError if a required column is missing or a column occurs twice."""
    missing = [name for name in required if name not in names]
    if missing:
        present = f"its columns are {_list_columns(header)}" if any(header) else "it has no columns"
        expected = f"expected at least {','.join(required)}, each once"
        pairs = ",".join(f"{name}={_suggest(name, header) or 'COLUMN'}" for name in missing)
        # Lists of queries take no --map.
        advice = "" if set(required) - _ALIASES.keys() else f"; name the columns with --map {pairs}"
        raise CatalogError(f"{where}: the header has no column {', '.join(missing)}; {present}; {expected}{advice}.")
    named = [name for name in names if name and not (name == REPEATABLE and name in mapping)]
    twice = sorted({name for name in named if named.count(name) > 1})
    if twice:
        raise CatalogError(
            f"{where}: the header has the column {twice[0]} twice; expected at least {','.join(required)}, each once."
        )


def _suggest(name: str, header: Sequence[str]) -> str:
    """Return the header's column that probably holds `name`, or ""."""
    aliases = [re.sub(r"\W", "", alias) for alias in _ALIASES.get(name, "").split()]
    return next((theirs for theirs in header if re.sub(r"[\W_]", "", theirs).casefold() in aliases), "")


def _is_same(known: str, theirs: str, header: Sequence[str]) -> bool:
    """Return whether a column is a known one in other case or spacing; a column spelled exactly so takes precedence."""
    return _fold(theirs) == known and known not in header


def _fold(name: str) -> str:
    return " ".join(name.split()).casefold()


def _list_columns(header: Sequence[str]) -> str:
    return ", ".join(name for name in header if name) or "nameless"
