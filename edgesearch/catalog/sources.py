"""Where the pictures of a catalogue are, each as one text that any process can read: a place.

A place is a local path; a URL of any file system that fsspec knows (the extra `urls` brings it); or a member of an
archive, with its position in it, so that nobody need look for it again:

    zip:START+SIZE+CRC:ARCHIVE!/NAME    START of its local header, SIZE packed
    tar:START+SIZE+0:ARCHIVE!/NAME      START of its content; the tar is not packed
    not:0+0+0:ARCHIVE!/NAME             the catalogue names it, the archive has none

ARCHIVE is a path or URL, in which "%" and "!" are escaped.
"""

import contextlib
import os
import posixpath
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np

from ..errors import CatalogError, EdgeSearchError, ImageError
from ..images import image
from ..images.photo_files import strip_name

_MEMBER = re.compile(r"(zip|tar|not):(\d+)\+(\d+)\+(\d+):(.*?)!/(.+)", re.S)
_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.I)
_HEADER = 30  # bytes of a zip's local header, before the name
STORED, DEFLATED = 0, 8
REMOTE = ("http", "https", "s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "hf")  # other machines, whoever names them
T = TypeVar("T")


def is_url(name: str) -> bool:
    """It names a file system: "s3://bucket/a.jpg"."""
    return "://" in name and _URL.match(name) is not None


def member_source(kind: str, start: int, size: int, archive: str, name: str, crc: int = 0) -> str:
    """The place of an archive's member; kind: "zip", "tar", or "not" of one that is not there."""
    return f"{kind}:{start}+{size}+{crc}:{archive.replace('%', '%25').replace('!', '%21')}!/{name}"


def format_source(place: str) -> str:
    """A place as a person reads it."""
    found = _MEMBER.fullmatch(place)
    return f"{_unescape(found[5])}!/{found[6]}" if found else place


def base_folder(source: str) -> str:
    """The folder that names in a catalogue are relative to: of a local path or a URL; "" for the working folder."""
    return source.rpartition("/")[0] if is_url(source) else os.path.dirname(source)


def resolve(base: str, name: str) -> str:
    """The place of what a catalogue in `base` names; raises ValueError: a file of this machine, named from a URL."""
    if is_url(name):
        return check_remote_url(name, base) if is_url(base) else name
    if is_url(base):
        if posixpath.isabs(name):
            raise ValueError("a path of this machine, in a catalogue that is not on it; name it from the catalogue on")
        return f"{base}/{name}"
    path = os.path.join(base, name)
    return os.path.join(".", path) if "!/" in path and _MEMBER.fullmatch(path) else path


def check_remote_url(url: str, base: str) -> str:
    """A URL in a catalogue that somebody else packed or serves, in `base`; raises ValueError: it may not be meant."""
    scheme = url.partition("://")[0].lower()
    if "::" in url or scheme not in (*REMOTE, base.partition("://")[0].lower()):
        raise ValueError(f"{scheme}:// may be a file of this machine; name it from the catalogue on, or on the web")
    return url


def is_missing(place: str) -> bool:
    """Seen at once that nothing is there: of this machine, or not in its archive."""
    if found := _MEMBER.fullmatch(place):
        return found[1] == "not"
    return not is_url(place) and not os.path.exists(place)


def read_bytes(place: str) -> bytes:
    """The bytes of a picture, one more than are read at most; raises ImageError, which names the place."""
    try:
        if found := _MEMBER.fullmatch(place):
            return _read_member(found)
        if not is_url(place):
            return image.read_bytes(Path(place))
        with open_source(place, ImageError) as file:
            return file.read(image.MAX_BYTES + 1)
    except ImageError:
        raise
    except Exception as failed:  # every file system has its own; and what a damaged archive says may be anything
        raise ImageError(f"{format_source(place)}: cannot be read ({failed}); check its name, and who may read it.") from failed


def read_picture(place: str, read: Callable[[bytes], np.ndarray]) -> np.ndarray:
    """What `read` makes of a picture's bytes; raises ImageError, which names the place."""
    data = read_bytes(place)
    return name_source_in_errors(place, lambda: read(data))


def name_source_in_errors(place: str, read: Callable[[], np.ndarray]) -> np.ndarray:
    """What `read` gives; raises ImageError, which names the place in place of so many bytes."""
    try:
        return read()
    except ImageError as error:
        raise ImageError(f"{format_source(place)}: {strip_name(error)}") from error


@contextlib.contextmanager
def open_source(where: str, error: type[EdgeSearchError] = CatalogError) -> Iterator[BinaryIO]:
    """A local file or a URL, whose bytes can be read from any position; raises `error`, while it is read too."""
    try:
        with _open_url(where, error) if is_url(where) else _open_path(where, error) as file:
            yield file
    except OSError as failed:
        raise error(f"{where}: cannot be read ({failed.strerror or failed}); check it.") from failed


def _open_path(path: str, error: type[EdgeSearchError]) -> BinaryIO:
    if not os.path.isfile(path):  # to open a named pipe would wait for its writer for ever
        raise error(f"{path}: no such file; check its name.")
    return open(path, "rb")


def _open_url(url: str, error: type[EdgeSearchError]) -> BinaryIO:
    def ask(system: Any, path: str) -> BinaryIO:
        return system.open(path, "rb")

    return _call_fsspec(url, error, ask)


def list_folder(url: str) -> dict[str, str] | None:
    """The places of all files below a folder of a file system, by their names in it; None: it is no folder."""

    def ask(system: Any, path: str) -> dict[str, str] | None:
        if not system.isdir(path):
            return None
        root = system._strip_protocol(path).rstrip("/") + "/"
        return {name.removeprefix(root): system.unstrip_protocol(name) for name in system.find(path)}

    return _call_fsspec(url, CatalogError, ask)


def _call_fsspec(url: str, error: type[EdgeSearchError], ask: Callable[[Any, str], T]) -> T:
    try:
        import fsspec
    except ImportError as missing:
        raise error(
            f"{url}: URLs are read with fsspec; pip install edgesearch[urls], or give a local path."
        ) from missing
    try:
        return ask(*fsspec.core.url_to_fs(url))
    except ImportError as missing:
        raise error(
            f"{url}: cannot be read ({missing}); install that, for http and https edgesearch[urls]."
        ) from missing
    except FileNotFoundError as missing:
        if missing.__cause__ is None or getattr(missing.__cause__, "status", None) == 404:
            raise error(f"{url}: no such file; check its name.") from missing
        raise error(f"{url}: cannot be read ({missing.__cause__}); check that its machine answers.") from missing
    except Exception as failed:  # every file system has its own
        raise error(f"{url}: cannot be read ({failed}); check its name, and who may read it.") from failed


def _read_member(place: re.Match[str]) -> bytes:
    """An archive's member."""
    kind, start, size, crc, name = place[1], int(place[2]), int(place[3]), int(place[4]), format_source(place[0])
    if kind == "not":
        raise ImageError(f"{name}: not in the archive; check how the catalogue names it.")
    with open_source(_unescape(place[5]), ImageError) as file:
        file.seek(start)
        data = _read_zip_member(file, size, crc, name) if kind == "zip" else file.read(min(size, image.MAX_BYTES + 1))
    if kind == "tar" and len(data) < min(size, image.MAX_BYTES + 1):
        raise ImageError(f"{name}: the archive ends before it does; copy the archive again.")
    return data


def _read_zip_member(file: BinaryIO, size: int, crc: int, name: str) -> bytes:
    """A zip's member, its local header first; size: packed, in bytes. Never unpacks more than is read at most."""
    header = file.read(_HEADER)
    if len(header) < _HEADER or header[:4] != b"PK\3\4":
        raise ImageError(f"{name}: the archive has changed or is damaged; copy it again.")
    file.seek(int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little"), os.SEEK_CUR)
    most = min(size, image.MAX_BYTES + 1)
    packed = file.read(most)
    whole = len(packed) == most
    if int.from_bytes(header[8:10], "little") == DEFLATED:
        unpacking = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            packed = unpacking.decompress(packed, image.MAX_BYTES + 1)
        except zlib.error:
            whole = False
        whole &= unpacking.eof or len(packed) > image.MAX_BYTES
    if not whole or (len(packed) <= image.MAX_BYTES and zlib.crc32(packed) != crc):
        raise ImageError(f"{name}: damaged or cut off in its archive; copy the archive again.")
    return packed


def _unescape(archive: str) -> str:
    return archive.replace("%21", "!").replace("%25", "%")
