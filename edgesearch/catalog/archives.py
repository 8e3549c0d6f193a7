"""What is in a folder or an archive: the names of its files, with "/", and their places."""

import atexit
import gzip
import os
import re
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ..errors import CatalogError
from ..images import image, photo_files
from . import sources

GZIPPED = (".tar.gz", ".tgz")
ARCHIVES = (".zip", ".tar", *GZIPPED)
MAX_GROWTH = 100  # times: pictures hardly shrink, so what grows more than that is no archive of pictures
_SURROGATE = re.compile("[\ud800-\udfff]")  # a byte of a name that is no text
_unpacked_paths: dict[tuple[str, int, int], str] = {}


def is_archive(source: str) -> bool:
    """It is one by its name."""
    return source.lower().endswith(ARCHIVES)


def is_folder(source: str) -> bool:
    """It is a folder, of this machine or any file system; raises CatalogError: nobody can tell."""
    return sources.list_folder(source) is not None if sources.is_url(source) else os.path.isdir(source)


def list_files(source: str) -> dict[str, str]:
    """The places of all files by name, in the order of their names; hidden ones are left out.

    A .tar.gz is unpacked first, into a temporary file that stays until this process ends.

    Raises:  CatalogError: an archive cannot be read, is encrypted, or names files outside of it; a name is no UTF-8.
    """
    if not is_archive(source):
        found = sources.list_folder(source) or {} if sources.is_url(source) else _list_local(source)
    elif source.lower().endswith(".zip"):
        found = _list_zip(source)
    else:
        found = _list_tar(_unpack_gzip(source) if source.lower().endswith(GZIPPED) else source, source)
    shown = {name: place for name, place in found.items() if not _is_hidden(name)}
    for name in shown:
        if _SURROGATE.search(name):
            raise CatalogError(f"{source}: the name {name!r} is not UTF-8; rename it.")
    return dict(sorted(shown.items()))


def list_folders(source: str) -> set[str]:
    """The names of those at the top of a folder of this machine, but for hidden ones."""
    with os.scandir(source) as found:
        return {one.name.strip() for one in found if one.is_dir() and not _is_hidden(one.name)}


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


def _list_local(folder: str) -> dict[str, str]:
    def fail(error: OSError) -> None:
        raise CatalogError(f"{error.filename}: cannot be read ({error.strerror}); check its permissions.") from error

    found = {}
    for parent, names in photo_files.walk_folders(folder, fail):
        inside = os.path.relpath(parent, folder)
        for name in names:
            relative = os.path.normpath(os.path.join(inside, name)).replace(os.sep, "/")
            found[relative] = sources.resolve(parent, name)
    return found


def _list_zip(archive: str) -> dict[str, str]:
    found = {}
    with sources.open_source(archive) as file:
        for info in _read_zip_directory(archive, file):
            if info.filename.endswith("/"):
                continue
            if info.flag_bits & 1:
                raise CatalogError(f"{archive}: {info.filename} is encrypted; pack the pictures without a password.")
            if info.compress_type not in (sources.STORED, sources.DEFLATED):
                raise CatalogError(f"{archive}: {info.filename} is packed in an unusual way; pack it as a plain zip.")
            name = _member_name(archive, info.filename)
            found[name] = sources.member_source("zip", info.header_offset, info.compress_size, archive, name, info.CRC)
    return found


def _read_zip_directory(archive: str, file: BinaryIO) -> list[zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(file) as opened:
            return opened.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError) as error:
        raise CatalogError(f"{archive}: damaged, or no zip ({error}); pack it again.") from error


def _list_tar(archive: str, name: str) -> dict[str, str]:
    """name: of what it was unpacked from."""
    found: dict[str, str] = {}
    with sources.open_source(archive) as file:
        for info in _iterate_tar(name, file):
            if info.islnk() and (place := found.get(_member_name(name, info.linkname))):  # the same under another name
                found[_member_name(name, info.name)] = place
            if info.isreg() and not info.issparse():
                inner = _member_name(name, info.name)
                found[inner] = sources.member_source("tar", info.offset_data, info.size, archive, inner)
    return found


def _iterate_tar(archive: str, file: BinaryIO) -> Iterator[tarfile.TarInfo]:
    file.seek(0)
    try:
        with tarfile.open(fileobj=file, mode="r:") as opened:
            while (info := opened.next()) is not None:
                opened.members.clear()  # type: ignore[attr-defined]  # it would keep them all
                yield info
            file.seek(opened.offset)
            if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):  # at damage it ends as if all were read
                raise CatalogError(f"{archive}: damaged or cut off at byte {opened.offset:,}; copy it again.")
    except (tarfile.TarError, ValueError, EOFError) as error:
        raise CatalogError(f"{archive}: damaged, or no tar ({error}); pack it again.") from error


def _member_name(archive: str, name: str) -> str:
    """A member's name as it is used; raises CatalogError: it leads out of the archive."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    if ".." in parts or name.startswith("/") or "\0" in name or not parts:
        raise CatalogError(f"{archive}: {name!r} leads out of it; pack the pictures with plain names.")
    return "/".join(parts)


def _unpack_gzip(archive: str) -> str:
    """The path of its content, unpacked once."""
    state = (archive, 0, 0) if sources.is_url(archive) else _file_state(archive)
    if state not in _unpacked_paths:
        folder = tempfile.mkdtemp(prefix="edgesearch-unpacked-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        path = os.path.join(folder, f"{Path(archive).name.partition('.')[0]}.tar")
        with sources.open_source(archive) as packed:
            try:
                with open(path, "wb") as whole:
                    _decompress(archive, packed, whole)
            except (CatalogError, OSError):
                shutil.rmtree(folder, ignore_errors=True)
                raise
        _unpacked_paths[state] = path
    return _unpacked_paths[state]


def _file_state(archive: str) -> tuple[str, int, int]:
    try:
        found = os.stat(archive)
    except OSError as error:
        raise CatalogError(f"{archive}: cannot be read ({error.strerror}); check its name.") from error
    return os.path.realpath(archive), found.st_size, found.st_mtime_ns


def _decompress(archive: str, packed: BinaryIO, whole: BinaryIO) -> None:
    most = packed.seek(0, os.SEEK_END) * MAX_GROWTH + image.MAX_BYTES
    packed.seek(0)
    try:
        with gzip.open(packed) as content:
            while part := content.read(1 << 20):
                if whole.tell() + len(part) > most:
                    raise CatalogError(f"{archive}: unpacks to over {MAX_GROWTH} times its size; pack pictures alone.")
                _write(archive, part, whole)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise CatalogError(f"{archive}: damaged or cut off ({error}); copy it again.") from error


def _write(archive: str, part: bytes, whole: BinaryIO) -> None:
    try:
        whole.write(part)
    except OSError as error:
        raise CatalogError(
            f"{archive}: cannot be unpacked to {whole.name} ({error.strerror}); make room there, or set TMPDIR."
        ) from error
