"""Write and read the container of a bundle: a zip of stored members, each at a multiple of 64 bytes; trust none of it.

Every zip tool can read it. The manifest and its signature come first and are found without the zip's directory, so
that only their headers are parsed before the signature is checked.
"""

import io
import itertools
import os
import shutil
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from .._util.array_file import ByteSource
from ..errors import BundleError
from .content import ContentFile

MANIFEST_FILE, SIGNATURE_FILE = "manifest.json", "manifest.sig"
ALIGNMENT = 64
MAX_GAP_BYTES = 1024  # of header between two members, and of directory for each: nothing can hide in a gap
MAX_MANIFEST_BYTES = 16_000_000
_LOCAL_HEADER = struct.Struct("<4s5H3I2H")  # of a zip member; its name and extra field follow, then the content
_DIRECTORY_ENTRY, _DIRECTORY_END = 46, 22  # bytes of an entry without name and extra field, and of the end record
_PADDING_ID = 0xD935  # extra field of Android's zipalign, which pads the same way
_EPOCH = (1980, 1, 1, 0, 0, 0)  # fixed time: the same content gives the same bytes


def write(path: Path, members: Mapping[str, bytes | Path]) -> None:
    """Write a new file of these members, in this order, and sync it; raise OSError if that fails."""
    with open(path, "xb") as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for name, member in members.items():
                _add_member(archive, name, member)
        file.flush()
        os.fsync(file.fileno())


def may_be_bundle(path: Path) -> bool:
    """Return whether a file begins as a bundle does, or is empty; raise OSError if it cannot be read."""
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        head = file.read(_LOCAL_HEADER.size + len(MANIFEST_FILE))
    return not head or (head[:4] == b"PK\3\4" and head[_LOCAL_HEADER.size :] == MANIFEST_FILE.encode())


def size_bytes(members: Mapping[str, int]) -> int:
    """Return the size of the file that `write` makes of members of these sizes, below 2 GB in total."""
    local = directory = 0
    for name, size in members.items():
        start = local + _LOCAL_HEADER.size + len(name) + 4
        padding = -start % ALIGNMENT
        local = start + padding + size
        directory += _DIRECTORY_ENTRY + len(name) + 4 + padding
    return local + directory + _DIRECTORY_END


def locate_heads(path: Path, data: ByteSource) -> dict[str, slice]:
    """Return where the first members lie: the manifest, and its signature if there is one.

    Args:
        path: name of the file, for error messages.
        data: its content.
    Raises:
        BundleError: the manifest is not there, or a head is damaged.
    """
    found: dict[str, slice] = {}
    start = 0
    try:
        for expected in (MANIFEST_FILE, SIGNATURE_FILE):
            header = data.read(start, start + _LOCAL_HEADER.size)
            magic, _, flags, method, _, _, crc, stored, size, name_bytes, extra = _LOCAL_HEADER.unpack(header)
            begin = start + _LOCAL_HEADER.size
            name, begin = bytes(data.read(begin, begin + name_bytes)), begin + name_bytes + extra
            start = begin + size
            if magic != b"PK\3\4" or name != expected.encode():
                break
            content = data.read(begin, min(start, begin + MAX_MANIFEST_BYTES + 1))
            if (flags, method, stored, len(content)) != (0, 0, size, size) or size > MAX_MANIFEST_BYTES:
                raise ValueError(f"{expected} is compressed, cut off or too large")
            if zlib.crc32(content) != crc:
                raise ValueError(f"{expected} is damaged")
            found[expected] = slice(begin, start)
    except (struct.error, ValueError) as error:
        raise BundleError(f"{path}: not a bundle, or damaged or cut off ({error}); copy or build it again.") from error
    if not found:
        raise BundleError(f"{path}: not a bundle ({MANIFEST_FILE} is not its first member); give a .edge file.")
    return found


def max_file_bytes(sizes: Sequence[int]) -> int:
    """Return the largest size of a file with members of these sizes and a signature; it bounds the zip's directory."""
    return sum(sizes) + 2 * MAX_GAP_BYTES * (len(sizes) + 2)


def locate_members(path: Path, data: ByteSource, heads: Mapping[str, slice]) -> dict[str, slice]:
    """Return where the content of each member lies in the file, by name.

    Args:
        path: name of the file, for error messages.
        data: its content.
        heads: result of `locate_heads`.
    Raises:
        BundleError: it is not a zip of stored members one after the other, with `heads` where they were read.
    """
    try:
        with zipfile.ZipFile(io.BufferedReader(ContentFile(data))) as archive:
            infos = archive.infolist()
        locations = {info.filename: _locate_member(data, info) for info in infos}
    except (zipfile.BadZipFile, struct.error, NotImplementedError, OSError, ValueError, OverflowError) as error:
        raise BundleError(f"{path}: not a bundle, or damaged or cut off ({error}); copy or build it again.") from error
    ordered = sorted(locations.values(), key=lambda location: (location.start, location.stop))
    gaps = [after.start - before.stop for before, after in itertools.pairwise(ordered)]
    end = max((location.stop for location in ordered), default=0)
    is_dense = all(0 <= gap <= MAX_GAP_BYTES for gap in gaps) and data.size - end <= MAX_GAP_BYTES * (len(infos) + 1)
    moved = any(locations.get(name) != location for name, location in heads.items())
    if len(locations) < len(infos) or not is_dense or moved:
        raise BundleError(f"{path}: a zip, but not a bundle (a name occurs twice, members overlap or lie far apart).")
    return locations


def _locate_member(data: ByteSource, info: zipfile.ZipInfo) -> slice:
    if not 0 <= info.header_offset < data.size:
        raise ValueError(f"{info.filename} begins outside the file")
    begin = info.header_offset + _LOCAL_HEADER.size
    *_, name_bytes, extra = _LOCAL_HEADER.unpack(data.read(info.header_offset, begin))
    start = begin + name_bytes + extra
    end = start + info.file_size
    if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size or end > data.size:
        raise ValueError(f"{info.filename} is compressed, or larger than the file")
    if data.read(begin, begin + name_bytes) != info.orig_filename.encode():
        raise ValueError(f"{info.filename} has two names")
    return slice(start, end)


def _add_member(archive: zipfile.ZipFile, name: str, content: bytes | Path) -> None:
    """Store one member with its content aligned; an extra field in its header pads it."""
    info = zipfile.ZipInfo(name, _EPOCH)
    info.external_attr = 0o600 << 16
    info.file_size = content.stat().st_size if isinstance(content, Path) else len(content)
    info.create_system = 3
    assert archive.fp is not None
    start = archive.fp.tell() + _LOCAL_HEADER.size + len(name) + 4
    if info.file_size * 1.05 > zipfile.ZIP64_LIMIT:  # zipfile's own rule
        start += 20  # the extra field with which zipfile states 64-bit sizes
    padding = -start % ALIGNMENT
    info.extra = struct.pack("<HH", _PADDING_ID, padding) + bytes(padding)
    with archive.open(info, "w") as target:
        if isinstance(content, bytes):
            target.write(content)
        else:
            with open(content, "rb") as source:
                shutil.copyfileobj(source, target, 1 << 20)
