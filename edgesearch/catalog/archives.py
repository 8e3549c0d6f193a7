"""List the files in a folder or an archive, by names with "/", with the source (`sources`) of each."""

import atexit
import contextlib
import gzip
import os
import re
import shutil
import struct
import tarfile
import tempfile
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from ..errors import CatalogError
from ..images import image, photo_files
from . import remote_files, sources

GZIPPED = (".tar.gz", ".tgz")
ARCHIVES = (".zip", ".tar", *GZIPPED)
UTF_8_FLAG, UNICODE_PATH = 0x800, 0x7075  # of a zip's member: general purpose bit 11, extra field of Info-ZIP
LEGACY_ENCODINGS = ("cp850", "cp1252", "cp852", "cp1250", "cp866", "cp1251", "shift_jis", "gb18030", "big5", "euc_kr")
MAX_GROWTH = 100  # unpacked size / packed size; pictures hardly compress, so more than this is no archive of pictures
_SURROGATE = re.compile("[\ud800-\udfff]")  # stands for a byte that is not UTF-8
_unpacked_paths: dict[tuple[str, int, int], str] = {}


def is_archive(source: str) -> bool:
    """Return whether a file is an archive, judged by its name."""
    return source.lower().endswith(ARCHIVES)


def is_folder(source: str) -> bool:
    """Return whether a path or URL names a folder; raise CatalogError if its file system cannot be asked."""
    return remote_files.list_folder(source) is not None if sources.is_url(source) else os.path.isdir(source)


def list_files(source: str) -> dict[str, str]:
    """Return the source of every file in a folder or archive by file name, sorted by name; omit hidden files.

    Unpack a .tar.gz to a temporary file that stays until this process ends.

    Raises:  CatalogError: an archive is unreadable, is encrypted or has a member that leads out of it; or a name is
             not UTF-8.
    """
    if not is_archive(source):
        found = remote_files.list_folder(source) or {} if sources.is_url(source) else _list_local(source)
    elif source.lower().endswith(".zip"):
        found = _list_zip(source)
    else:
        found = _list_tar(_unpack_gzip(source) if source.lower().endswith(GZIPPED) else source, source)
    visible = {name: location for name, location in found.items() if not _is_hidden(name)}
    for name in visible:
        if _SURROGATE.search(name):
            raise CatalogError(f"{source}: the file name {name!r} is not UTF-8; rename the file.")
    return dict(sorted(visible.items()))


def list_folders(source: str) -> set[str]:
    """Return the names of the folders directly in a local folder; omit hidden ones."""
    with os.scandir(source) as entries:
        return {entry.name.strip() for entry in entries if entry.is_dir() and not _is_hidden(entry.name)}


def _is_hidden(name: str) -> bool:
    return any(map(photo_files.is_hidden, name.split("/")))


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
    """List a zip file; raise CatalogError if a member is encrypted or of an unusual compression."""
    found = {}
    with sources.open_source(archive, keep=True) as file:
        for info in _read_zip_directory(archive, file):
            if info.filename.endswith("/"):
                continue
            if info.flag_bits & 1:
                raise CatalogError(f"{archive}: {info.filename} is encrypted; pack the pictures without a password.")
            if info.compress_type not in (sources.STORED, sources.DEFLATED):
                raise CatalogError(
                    f"{archive}: {info.filename} uses zip compression method {info.compress_type}; pack it again with "
                    "the usual method (deflate)."
                )
            name = _member_name(archive, _decode_name(info))
            found[name] = sources.member_source("zip", info.header_offset, info.compress_size, archive, name, info.CRC)
    return found


def _decode_name(info: zipfile.ZipInfo) -> str:
    """Return the name of a zip's member: in UTF-8 if it is, whether or not a flag or an extra field says so."""
    if info.flag_bits & UTF_8_FLAG or info.filename.isascii():
        return info.filename
    extra = info.extra
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<HH", extra)
        if (
            kind == UNICODE_PATH
            and size > 5
            and not _SURROGATE.search(extra[9 : 4 + size].decode("utf-8", "surrogateescape"))
        ):
            return extra[9 : 4 + size].decode("utf-8")
        extra = extra[4 + size :]
    try:
        return info.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return info.filename


def find_spellings(files: Mapping[str, str]) -> dict[str, str]:
    """Return the source of every file by each name that a table may give it, in Unicode's form NFC.

    The names in a zip that are not UTF-8 were written in the code page of some computer, and read as cp437.
    """
    found = {unicodedata.normalize("NFC", name): source for name, source in files.items()}
    for name, source in files.items():
        for encoding in () if name.isascii() else LEGACY_ENCODINGS:
            with contextlib.suppress(UnicodeError):
                found.setdefault(unicodedata.normalize("NFC", name.encode("cp437").decode(encoding)), source)
    return found


def _read_zip_directory(archive: str, file: BinaryIO) -> list[zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(file) as opened:
            return opened.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError) as error:
        raise CatalogError(f"{archive}: damaged, or no zip file ({error}); pack it again.") from error


def _list_tar(archive: str, name: str) -> dict[str, str]:
    """List a tar file; name: of the archive that it was unpacked from, for error messages."""
    found: dict[str, str] = {}
    with sources.open_source(archive, keep=True) as file:
        for info in _iterate_tar(name, file):
            if info.islnk() and (target := found.get(_member_name(name, info.linkname))):
                found[_member_name(name, info.name)] = target  # a hard link: the same content under another name
            if info.isreg() and not info.issparse():
                inner = _member_name(name, info.name)
                found[inner] = sources.member_source("tar", info.offset_data, info.size, archive, inner)
    return found


def _iterate_tar(archive: str, file: BinaryIO) -> Iterator[tarfile.TarInfo]:
    """Yield the members of a tar file; raise CatalogError if it is damaged."""
    file.seek(0)
    try:
        with tarfile.open(fileobj=file, mode="r:") as opened:
            while (info := opened.next()) is not None:
                opened.members.clear()  # type: ignore[attr-defined]  # tarfile would keep all of them in memory
                yield info
            file.seek(opened.offset)
            if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):  # tarfile stops silently at damage
                raise CatalogError(f"{archive}: damaged or cut off at byte {opened.offset:,}; copy it again.")
    except (tarfile.TarError, ValueError, EOFError) as error:
        raise CatalogError(f"{archive}: damaged, or no tar file ({error}); pack it again.") from error


def _member_name(archive: str, name: str) -> str:
    """Return the normalized name of an archive's member; raise CatalogError if it leads out of the archive."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    if ".." in parts or name.startswith("/") or "\0" in name or not parts:
        raise CatalogError(
            f"{archive}: the member name {name!r} leads out of the archive; pack the pictures with relative names."
        )
    return "/".join(parts)


def _unpack_gzip(archive: str) -> str:
    """Unpack a .tar.gz, once per process, and return the path of the tar file."""
    state = (archive, 0, 0) if sources.is_url(archive) else _file_state(archive)
    if state not in _unpacked_paths:
        folder = tempfile.mkdtemp(prefix="edgesearch-unpacked-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        path = os.path.join(folder, f"{Path(archive).name.partition('.')[0]}.tar")
        with sources.open_source(archive) as packed:
            try:
                with open(path, "wb") as target:
                    _decompress(archive, packed, target)
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


def _decompress(archive: str, packed: BinaryIO, target: BinaryIO) -> None:
    """Unpack a gzip file; raise CatalogError if it is damaged or unpacks to too much."""
    limit = packed.seek(0, os.SEEK_END) * MAX_GROWTH + image.MAX_BYTES
    packed.seek(0)
    try:
        with gzip.open(packed) as content:
            while part := content.read(1 << 20):
                if target.tell() + len(part) > limit:
                    raise CatalogError(
                        f"{archive}: unpacks to over {MAX_GROWTH} times its size; pack only pictures and a table."
                    )
                _write(archive, part, target)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise CatalogError(f"{archive}: damaged or cut off ({error}); copy it again.") from error


def _write(archive: str, part: bytes, target: BinaryIO) -> None:
    try:
        target.write(part)
    except OSError as error:
        raise CatalogError(
            f"{archive}: cannot be unpacked to {target.name} ({error.strerror}); free some space there, or set TMPDIR."
        ) from error
