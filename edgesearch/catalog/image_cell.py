"""Split a catalogue's cell of pictures into names, as shops export them.

Names are separated by ";" or line breaks, by "," or "|" if every part is a picture's name or URL, or are a JSON list,
an array of PostgreSQL, HTML, Markdown or `name (URL)`. A picture may also be in the cell itself, as a data URI or in
base64.
"""

import ast
import base64
import binascii
import html
import json
import re
import zlib
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

from ..images.photo_files import SUFFIXES

_UNUSUAL = re.compile(r"[;,|:\r\n\[{<\"']")  # in no plain name
MAX_PLAIN = 100  # characters; pictures in base64 are longer
_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.I)
_QUERY = re.compile(r"\?[\w=&.%-]*$")
_SEPARATOR = re.compile(r"[;\r\n]")
_DATA = re.compile(r"data:image/[\w.+-]+(?:;[\w.+=-]+)*?;base64,[A-Za-z0-9+/_\s-]+={0,2}", re.I)
_BASE64 = re.compile(r"(?:/9j/|iVBORw0KGgo|R0lGOD|UklGR)[A-Za-z0-9+/\s]{100,}={0,2}")  # JPEG, PNG, GIF, WebP
_BEFORE_URL = re.compile(r"(?:\s*[,|]\s*|\s+)(?=[a-z][a-z0-9+.-]*://)", re.I)
_HTML = re.compile(r"<img\b[^>]*?\bsrc\s*=\s*[\"']?([^\"'\s>]+)", re.I)
_LINK = r"[^,;()\[\]]*[\[(]?[^,;()\[\]]*[\])]?\s*\(([a-z][a-z0-9+.-]*://[^\s()]+)\)"  # name (URL), [name](URL)
_LINKS = re.compile(rf"!?{_LINK}(?:\s*[,;\s]\s*!?{_LINK})*", re.I)
_REMARK = re.compile(r"\s+!\s*(?:alt|title|desc|caption)\s*:[^|]*", re.I)  # of WooCommerce
_KEYS = ("src", "url", "image", "path", "file", "filename", "href")  # of a picture that is a JSON object
DATA_PREFIX = "data:"


def split(cell: str, note: Callable[[str], None]) -> list[str]:
    """Return the names in a cell without duplicates, pictures in the cell as data URIs.

    Args:    note: called with a sentence for each unusual way of writing several names.
    Raises:  ValueError: a list in the cell is malformed, or holds no names.
    """
    if not _UNUSUAL.search(cell) and len(cell) < MAX_PLAIN:
        return [cell] if cell else []  # nearly all cells
    if cell.startswith(("[", "{")) and cell.endswith(("]", "}")):
        names = [*_read_list(cell)]
        note("lists of pictures in brackets are read as several pictures")
    elif _DATA.search(cell):
        names = _DATA.findall(cell)
        rest = _DATA.sub("", cell).strip(" ;,|\r\n")
        names += [*_split_names(rest, note)] if rest else []
    elif found := _HTML.findall(cell) or (_LINKS.fullmatch(cell) and re.findall(_LINK, cell, re.I)):
        names = [html.unescape(name) for name in found]
        note("pictures in HTML, Markdown or name (URL) are read by their addresses")
    elif _BASE64.fullmatch(cell):
        names = [f"{DATA_PREFIX}image/unknown;base64,{cell}"]
    else:
        names = [*_split_names(cell, note)]
    if any(name.startswith(DATA_PREFIX) for name in names):
        note("pictures in cells are read from there")
    return [*dict.fromkeys("".join(name.split()) if name.startswith(DATA_PREFIX) else name for name in names)]


def describe(name: str) -> str:
    """Return a short name of a picture in a cell, or any other name unchanged."""
    if not name.startswith(DATA_PREFIX):
        return name
    kind = name[len(DATA_PREFIX) :].partition(";")[0][:40]
    return f"{kind} in the cell, {len(name):,} characters, {zlib.crc32(name.encode()):08x}"


def decode(uri: str) -> bytes:
    """Return the picture in a data URI; raise ValueError if it is malformed."""
    try:
        return base64.b64decode(uri.partition(",")[2].replace("-", "+").replace("_", "/"), validate=True)
    except binascii.Error as error:
        raise ValueError(f"malformed base64 ({error})") from error


def _split_names(cell: str, note: Callable[[str], None]) -> Iterator[str]:
    for name in filter(None, map(_unquote, _SEPARATOR.split(cell))):
        if "," not in name and "|" not in name and "://" not in name:
            yield name
            continue
        parts = _BEFORE_URL.split(name) if "://" in name else [name]
        if not _is_url(parts[0]) or len(parts) == 1:
            parts = [one for part in re.split("[,|]", name) if (one := _unquote(part))]
            parts = parts if parts and all(map(_is_picture, parts)) else [name]
        if len(parts) > 1:
            note("names of pictures with , or | between them are read as several pictures")
        yield from parts


def _unquote(name: str) -> str:
    """Return a name without spaces, quotes and remarks around it."""
    name = _REMARK.sub("", name.strip())
    is_quoted = len(name) > 1 and name[0] == name[-1] and name[0] in "\"'" and name[0] not in name[1:-1]
    return name[1:-1].strip() if is_quoted else name


def _is_url(name: str) -> bool:
    return _URL.match(name) is not None


def _is_picture(name: str) -> bool:
    """Return whether a name ends like a picture's, before a query such as ?v=2."""
    try:
        path = urlsplit(name).path if _is_url(name) else _QUERY.sub("", name)
    except ValueError:
        return False
    return path.lower().endswith(SUFFIXES)


def _read_list(cell: str) -> Iterator[str]:
    """Yield the names in a list, as JSON or as Python writes it."""
    try:
        found = json.loads(cell)
    except (ValueError, RecursionError):
        try:
            found = ast.literal_eval(cell) if len(cell) < 100_000 else None
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            found = None
    if found is None and re.fullmatch(r"\{[^{}]*\}", cell):
        found = [_unquote(part) for part in cell[1:-1].split(",")]
        found = found if all(map(_is_picture, found)) else None
    for part in found if isinstance(found, list) else [found]:
        yield _name_of(part)


def _name_of(part: Any) -> str:
    if isinstance(part, dict):
        part = next((part[key] for key in _KEYS if isinstance(part.get(key), str)), None)
    if not isinstance(part, str) or not part.strip():
        raise ValueError('expected names of pictures, such as ["a.jpg", "b.jpg"]')
    return part.strip()
