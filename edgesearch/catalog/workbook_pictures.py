"""Find the pictures in a sheet of an .xlsx workbook: those that float over its rows, and those placed in its cells.

Excel keeps a floating picture as an anchor in a drawing, and a picture in a cell as a rich value. WPS Office keeps the
latter in a list, and names it in the cell: =DISPIMG("ID_1", 1). All name a member of the workbook, which is a zip, by
relations. The function IMAGE of Excel and Google Sheets names a URL.
"""

import html
import posixpath
import re
import zipfile
from collections.abc import Iterator
from typing import Any, BinaryIO

from . import sources

_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_RICH_RELATIONS = "xl/richData/richValueRel.xml"
_WPS_PICTURES = "xl/cellimages.xml"
_FORMULA = re.compile(  # of a picture in a cell: its row, function and argument
    rb'<c r="[A-Z]+(\d+)"[^<>]*>\s*<f[^<>]*>[^<]*?\b(DISPIMG|IMAGE)\(\s*(?:&quot;|")([^"<]*?)(?:&quot;|")', re.I
)
_RICH_CELL = re.compile(rb'<c r="[A-Z]+(\d+)"[^<>]*? vm="(\d+)"')


def find_pictures(openpyxl: Any, file: BinaryIO, sheet: str, workbook: str) -> dict[int, list[tuple[str, str]]]:
    """Return name and source of the pictures in each row of a sheet, from row 1.

    Args:
        openpyxl: the library.
        file: the workbook.
        sheet: the member that holds the sheet, such as "xl/worksheets/sheet1.xml".
        workbook: path or URL of the workbook.
    """
    parse = openpyxl.xml.functions.fromstring
    found: dict[int, list[tuple[str, str]]] = {}
    file.seek(0)
    with zipfile.ZipFile(file) as members:
        infos = {info.filename: info for info in members.infolist()}
        for row, member in (place for find in _PLACES for place in find(members, infos, sheet, parse)):
            info = infos.get(member)
            if info and row > 0 and info.compress_type in (sources.STORED, sources.DEFLATED):
                source = sources.member_source(
                    "zip", info.header_offset, info.compress_size, workbook, member, info.CRC
                )
                found.setdefault(row, []).append((posixpath.basename(member), source))
        for row, url in _linked(members, sheet):
            found.setdefault(row, []).append((url, url))
    return found


def _relations(members: zipfile.ZipFile, part: str, parse: Any) -> dict[str, str]:
    """Return the members that a part names, by the id of each relation."""
    folder, name = posixpath.split(part)
    path = f"{folder}/_rels/{name}.rels"
    if path not in members.namelist():
        return {}
    return {
        one.get("Id"): posixpath.normpath(posixpath.join("/", folder, one.get("Target"))).lstrip("/")
        for one in parse(members.read(path))
        if one.get("TargetMode") != "External" and one.get("Target")
    }


def _floating(members: zipfile.ZipFile, infos: dict[str, Any], sheet: str, parse: Any) -> Iterator[tuple[int, str]]:
    """Yield row and member of each picture in the sheet's drawings."""
    for drawing in _relations(members, sheet, parse).values():
        if not drawing.startswith("xl/drawings/") or not drawing.endswith(".xml") or drawing not in infos:
            continue
        named = _relations(members, drawing, parse)
        for anchor in parse(members.read(drawing)):
            row = anchor.find("./{*}from/{*}row")
            if row is None or not (row.text or "").strip().isdecimal():
                continue
            for picture in anchor.iter():
                if picture.tag.endswith("}blip") and (member := named.get(picture.get(f"{_RELATION}embed"))):
                    yield int(row.text) + 1, member


def _in_cells(members: zipfile.ZipFile, infos: dict[str, Any], sheet: str, parse: Any) -> Iterator[tuple[int, str]]:
    """Yield row and member of each picture placed in a cell."""
    if _RICH_RELATIONS not in infos or "xl/metadata.xml" not in infos or "xl/richData/rdrichvalue.xml" not in infos:
        return
    named = _relations(members, _RICH_RELATIONS, parse)
    targets = [named.get(one.get(f"{_RELATION}id")) for one in parse(members.read(_RICH_RELATIONS))]
    metadata = parse(members.read("xl/metadata.xml"))
    values = [int(one.get("v", "0")) for one in metadata.iterfind("./{*}valueMetadata/{*}bk/{*}rc")]
    blocks = [int(one.get("i", "0")) for one in metadata.iterfind("./{*}futureMetadata/{*}bk//{*}rvb")]
    rich = [one.find("./{*}v") for one in parse(members.read("xl/richData/rdrichvalue.xml"))]
    for row, number in _RICH_CELL.findall(members.read(sheet)):
        try:
            value = rich[blocks[values[int(number) - 1]]]
            target = targets[int(value.text)]
        except (IndexError, AttributeError, TypeError, ValueError):  # another kind of rich value
            continue
        if target:
            yield int(row), target


def _in_cells_of_wps(
    members: zipfile.ZipFile, infos: dict[str, Any], sheet: str, parse: Any
) -> Iterator[tuple[int, str]]:
    """Yield row and member of each picture that WPS Office placed in a cell."""
    if _WPS_PICTURES not in infos:
        return
    named, members_by_id = _relations(members, _WPS_PICTURES, parse), dict[str, str]()
    for picture in parse(members.read(_WPS_PICTURES)):
        described, blip = picture.find(".//{*}cNvPr"), picture.find(".//{*}blip")
        if described is not None and blip is not None:
            members_by_id[described.get("name", "")] = named.get(blip.get(f"{_RELATION}embed"), "")
    for row, function, argument in _FORMULA.findall(members.read(sheet)):
        if function.upper() == b"DISPIMG":
            yield int(row), members_by_id.get(argument.decode(errors="replace"), "")


def _linked(members: zipfile.ZipFile, sheet: str) -> Iterator[tuple[int, str]]:
    """Yield row and URL of each picture that a formula names."""
    for row, function, argument in _FORMULA.findall(members.read(sheet)):
        if function.upper() == b"IMAGE" and sources.is_url(url := html.unescape(argument.decode(errors="replace"))):
            yield int(row), url


_PLACES = (_floating, _in_cells, _in_cells_of_wps)
