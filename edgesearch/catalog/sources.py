"""Read pictures from any source that a catalogue names.

A source is one text by which any process can read the picture. It is a local path; a URL of any file system that fsspec
knows (the extra `urls` installs it); or a member of an archive with its position, so that the archive's directory is
read only once:

    zip:START+SIZE+CRC:ARCHIVE!/NAME    START of the local header, packed SIZE in bytes
    tar:START+SIZE+0:ARCHIVE!/NAME      START of the content, which a tar does not pack
    not:0+0+0:ARCHIVE!/NAME             named in the catalogue, missing in the archive

or the picture itself, as a data URI (`image_cell`).

ARCHIVE is a path or URL in which "%" and "!" are escaped.
"""

import contextlib
import os
import posixpath
import re
import unicodedata
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..errors import CatalogError, EdgeSearchError, ImageError
from ..images import image
from ..images.photo_files import strip_name
from . import image_cell, remote_files

_MEMBER = re.compile(r"(zip|tar|not):(\d+)\+(\d+)\+(\d+):(.*?)!/(.+)", re.S)
_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.I)
_HEADER = 30  # bytes of a zip's local header, before the name
STORED, DEFLATED = 0, 8
REMOTE = ("http", "https", "s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "hf")  # never files of this machine


def is_url(name: str) -> bool:
    """Return whether a name is a URL, such as "s3://bucket/a.jpg"."""
    return "://" in name and _URL.match(name) is not None


def member_source(kind: str, start: int, size: int, archive: str, name: str, crc: int = 0) -> str:
    """Return the source of an archive's member; kind: "zip", "tar", or "not" for a missing one."""
    return f"{kind}:{start}+{size}+{crc}:{archive.replace('%', '%25').replace('!', '%21')}!/{name}"


def format_source(source: str) -> str:
    """Return a source as people read it."""
    if source.startswith(image_cell.DATA_PREFIX):
        return image_cell.describe(source)
    found = _MEMBER.fullmatch(source)
    return f"{_unescape(found[5])}!/{found[6]}" if found else source


def base_folder(source: str) -> str:
    """Return the folder, path or URL, to which names in a catalogue are relative; "" for the working folder."""
    return source.rpartition("/")[0] if is_url(source) else os.path.dirname(source)


def resolve(base: str, name: str) -> str:
    """Return the source of a picture or table that a catalogue in the folder `base` names.

    Raises:  ValueError: a catalogue at a URL names a file of this machine.
    """
    if is_url(name):
        return check_remote_url(name, base) if is_url(base) else name
    if is_url(base):
        if posixpath.isabs(name):
            raise ValueError(
                "a path of this machine in a catalogue at a URL; write it relative to the catalogue, or as a URL"
            )
        return f"{base}/{name}"
    path = os.path.join(base, name) if name.isascii() else _find_spelling(base, name)
    return os.path.join(".", path) if "!/" in path and _MEMBER.fullmatch(path) else path


def _find_spelling(base: str, name: str) -> str:
    """Return the path of a name, in the Unicode form that each of its folders and the file have on the disk."""
    path, rest = ("/", name.lstrip("/")) if os.path.isabs(name) else (base, name)
    for part in rest.split("/"):
        forms = (part, *(unicodedata.normalize(form, part) for form in ("NFC", "NFD")))
        path = os.path.join(path, next((one for one in forms if os.path.lexists(os.path.join(path, one))), part))
    return path


def check_remote_url(url: str, base: str) -> str:
    """Return a URL from a catalogue that somebody else packed or serves.

    Args:    base: the URL of the catalogue; its own scheme is allowed.
    Raises:  ValueError: the URL could name a file of this machine.
    """
    scheme = url.partition("://")[0].lower()
    if "::" in url or scheme not in (*REMOTE, base.partition("://")[0].lower()):
        raise ValueError(
            f"{scheme}:// could name a file of this machine; write it relative to the catalogue, or as a web URL"
        )
    return url


def is_missing(source: str) -> bool:
    """Return whether a local file or archive member does not exist; a URL, which is slow to ask, counts as present."""
    if source.startswith(image_cell.DATA_PREFIX):
        return False
    if found := _MEMBER.fullmatch(source):
        return found[1] == "not"
    return not is_url(source) and not os.path.exists(source)


def read_bytes(source: str) -> bytes:
    """Read a picture's bytes, at most one more than `image.MAX_BYTES`; raise ImageError, which names the source."""
    try:
        if source.startswith(image_cell.DATA_PREFIX):
            return image_cell.decode(source)
        if found := _MEMBER.fullmatch(source):
            return _read_member(found)
        if not is_url(source):
            return image.read_bytes(Path(source))
        return remote_files.read(source, image.MAX_BYTES + 1, ImageError)
    except ImageError:
        raise
    except Exception as failed:  # each file system has its own errors, and a damaged archive can cause any
        raise ImageError(
            f"{format_source(source)}: cannot be read ({failed}); check its name and its permissions."
        ) from failed


def read_picture(source: str, decode: Callable[[bytes], np.ndarray]) -> np.ndarray:
    """Read and decode a picture.

    Args:    decode: bytes -> (H, W, 3) uint8.
    Returns: (H, W, 3) uint8, from `decode`.
    Raises:  ImageError: the picture cannot be read; the message names the source.
    """
    data = read_bytes(source)
    return name_source_in_errors(source, lambda: decode(data))


def name_source_in_errors(source: str, read: Callable[[], np.ndarray]) -> np.ndarray:
    """Call `read` and return its array, (H, W, 3) uint8; make the ImageError that it may raise name the source."""
    try:
        return read()
    except ImageError as error:
        raise ImageError(f"{format_source(source)}: {strip_name(error)}") from error


@contextlib.contextmanager
def open_source(where: str, error: type[EdgeSearchError] = CatalogError, keep: bool = False) -> Iterator[BinaryIO]:
    """Open a local file or a URL for reading at any position; raise `error` if opening or reading fails.

    keep: keep the download of a file that can only be downloaded whole, because it will be opened again.
    """
    try:
        with remote_files.open_file(where, error, keep) if is_url(where) else _open_path(where, error) as file:
            yield file
    except OSError as failed:
        raise error(
            f"{where}: cannot be read ({failed.strerror or failed}); check the file and its permissions."
        ) from failed


def _open_path(path: str, error: type[EdgeSearchError]) -> BinaryIO:
    if not os.path.isfile(path):  # opening a named pipe would wait for its writer forever
        raise error(f"{path}: no such file; check its name.")
    return open(path, "rb")


def _read_member(source: re.Match[str]) -> bytes:
    kind, start, size, crc = source[1], int(source[2]), int(source[3]), int(source[4])
    name = format_source(source[0])
    if kind == "not":
        raise ImageError(f"{name}: not in the archive; check its name in the catalogue.")
    limit = min(size, image.MAX_BYTES + 1)
    with open_source(_unescape(source[5]), ImageError, keep=True) as file:
        file.seek(start)
        data = _read_zip_member(file, size, crc, name) if kind == "zip" else file.read(limit)
    if kind == "tar" and len(data) < limit:
        raise ImageError(f"{name}: the archive ends in the middle of it; copy the archive again.")
    return data


def _read_zip_member(file: BinaryIO, size: int, crc: int, name: str) -> bytes:
    """Read and unpack a zip's member from its local header on, at most `image.MAX_BYTES` + 1 bytes.

    size: packed, in bytes.
    """
    header = file.read(_HEADER)
    if len(header) < _HEADER or header[:4] != b"PK\3\4":
        raise ImageError(f"{name}: the archive has changed or is damaged; copy it again.")
    file.seek(int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little"), os.SEEK_CUR)
    limit = min(size, image.MAX_BYTES + 1)
    data = file.read(limit)
    is_whole = len(data) == limit
    if int.from_bytes(header[8:10], "little") == DEFLATED:
        decompressor = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            data = decompressor.decompress(data, image.MAX_BYTES + 1)
        except zlib.error:
            is_whole = False
        is_whole &= decompressor.eof or len(data) > image.MAX_BYTES
    if not is_whole or (len(data) <= image.MAX_BYTES and zlib.crc32(data) != crc):
        raise ImageError(f"{name}: damaged or cut off in its archive; copy the archive again.")
    return data


def _unescape(archive: str) -> str:
    return archive.replace("%21", "!").replace("%25", "%")
