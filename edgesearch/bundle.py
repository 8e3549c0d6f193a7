"""The bundle, `store.edge`: one file with model, index, catalogue and pictures, verified before anything parses it.

An uncompressed zip: `manifest.json` first, then the members it lists, every member's content at a multiple of 64 bytes
and stored as it is, so that a member is a slice of the mapped file.
"""

import contextlib
import mmap
import os
import shutil
import struct
import tempfile
import weakref
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

from . import manifest as manifests
from .arrays import Pages
from .errors import BundleError
from .manifest import FileEntry, Manifest

MANIFEST_FILE = "manifest.json"
ALIGNMENT = 64
MAX_MANIFEST_BYTES = 16_000_000
_LOCAL_HEADER = struct.Struct("<4s5H3I2H")  # of a zip member; its name and extra field follow, then the content
_PADDING_ID = 0xD935  # extra field of Android's zipalign, which pads as we do
_EPOCH = (1980, 1, 1, 0, 0, 0)  # no clock in the file: the same content gives the same bytes


class Bundle:
    """A verified bundle. Its members are slices of `mapped`, the file."""

    def __init__(self, path: Path):
        """Map and verify.

        Raises:  BundleError: not a bundle, or a byte is not what the manifest says.
        """
        self.path = Path(path)
        self._unpacked: tempfile.TemporaryDirectory[str] | None = None
        self._members: dict[str, memoryview] = {}
        self.mapped = _map(self.path)
        try:
            places = _directory(self.path, self.mapped)
            data = memoryview(self.mapped)
            self.manifest = Manifest.parse(bytes(data[places[MANIFEST_FILE]]), str(self.path))
            self._members = {name: data[place] for name, place in places.items() if name != MANIFEST_FILE}
            _verify(self.path, self._members, self.manifest.files)
            Pages(self.mapped, 0, len(self.mapped)).let_go()  # hashing has read them all
        except BaseException:
            self.close()
            raise

    def member(self, name: str) -> memoryview:
        """The content of a member; raises BundleError where the bundle has none of that name."""
        try:
            return self._members[name]
        except KeyError:
            raise BundleError(f"{self.path}: no {name} inside; build the bundle again.") from None

    def get(self, name: str) -> memoryview | None:
        """The content of a member that may be absent."""
        return self._members.get(name)

    def unpacked(self, name: str) -> Path:
        """A private copy of a member, for libraries that open paths alone; it goes when the bundle is closed."""
        try:
            if self._unpacked is None:
                self._unpacked = tempfile.TemporaryDirectory(prefix="edgesearch-", ignore_cleanup_errors=True)
                weakref.finalize(self, self._unpacked.cleanup)  # also when a store is never closed
            path = Path(self._unpacked.name) / name.replace("/", "-")
            if not path.exists():
                path.write_bytes(self.member(name))
        except OSError as error:
            raise BundleError(f"{self.path}: {name} cannot be unpacked ({error}); free some space.") from error
        return path

    def close(self) -> None:
        """Give back temporary files; the map goes when its last slice does."""
        if self._unpacked is not None:
            self._unpacked.cleanup()
            self._unpacked = None
        self._members = {}
        with contextlib.suppress(BufferError):  # arrays that still look into it keep it open
            self.mapped.close()


def write(path: Path, folder: Path, describe: Mapping[str, object]) -> Manifest:
    """Write every file below `folder` as one bundle: beside `path` first, then moved into place.

    Args:    describe: the fields of `Manifest` other than `files`.
    Raises:  BundleError: it cannot be written; what was at `path` is still there.
    """
    members = {str(p.relative_to(folder).as_posix()): p for p in sorted(folder.rglob("*")) if p.is_file()}
    entries = {name: FileEntry(p.stat().st_size, _hash_file(p)) for name, p in members.items()}
    manifest = Manifest(files=entries, **describe)  # type: ignore[arg-type]
    try:
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as beside:
            _write_zip(Path(beside) / path.name, manifest, members)
            os.replace(Path(beside) / path.name, path)
        _sync_folder(path.parent)
    except OSError as error:
        raise BundleError(f"{path}: cannot be written ({error}); check the folder and its free space.") from error
    return manifest


def _write_zip(path: Path, manifest: Manifest, members: Mapping[str, Path]) -> None:
    with open(path, "xb") as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            _add(archive, MANIFEST_FILE, manifest.to_bytes())
            for name, member in members.items():
                _add(archive, name, member)
        file.flush()
        os.fsync(file.fileno())


def _add(archive: zipfile.ZipFile, name: str, content: bytes | Path) -> None:
    """Store one member with its content aligned; padding is an extra field in its header."""
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


def _map(path: Path) -> mmap.mmap:
    if path.exists() and not path.is_file():  # to open a named pipe would be to wait for its writer
        raise BundleError(f"{path}: cannot be read (not a file); give a .edge file.")
    try:
        with open(path, "rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except ValueError as error:
        raise BundleError(f"{path}: an empty file; copy the bundle again.") from error
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror}); give a .edge file.") from error


def _directory(path: Path, data: mmap.mmap) -> dict[str, slice]:
    """Where each member's content lies in the file, by name; the manifest agrees with its CRC."""
    try:
        with zipfile.ZipFile(data) as archive:  # type: ignore[call-overload]  # a map reads and seeks like a file
            infos = archive.infolist()
        places = {info.filename: _place(data, info) for info in infos}
    except (zipfile.BadZipFile, struct.error, NotImplementedError, OSError, ValueError) as error:
        raise BundleError(f"{path}: not a bundle, or damaged or cut off ({error}); copy or build it again.") from error
    if not infos or infos[0].filename != MANIFEST_FILE or len(places) < len(infos):
        raise BundleError(f"{path}: a zip, but not a bundle ({MANIFEST_FILE} is not first, or a name is there twice).")
    if infos[0].file_size > MAX_MANIFEST_BYTES or zlib.crc32(data[places[MANIFEST_FILE]]) != infos[0].CRC:
        raise BundleError(f"{path}: its manifest is damaged (CRC); copy or build the bundle again.")
    return places


def _place(data: mmap.mmap, info: zipfile.ZipInfo) -> slice:
    if info.header_offset < 0:
        raise ValueError(f"{info.filename} begins before the file")
    *_, name_length, extra_length = _LOCAL_HEADER.unpack_from(data, info.header_offset)
    start = info.header_offset + _LOCAL_HEADER.size + name_length + extra_length
    end = start + info.file_size
    if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size or end > len(data):
        raise ValueError(f"{info.filename} is compressed, or larger than the file")
    return slice(start, end)


def _verify(path: Path, members: Mapping[str, memoryview], promised: Mapping[str, FileEntry]) -> None:
    odd = sorted(set(members) ^ set(promised))
    if odd:
        raise BundleError(f"{path}: {odd[0]} is in the manifest or in the file, not in both; build the bundle again.")
    for name, entry in promised.items():
        if len(members[name]) != entry.size or manifests.sha256(members[name]) != entry.sha256:
            raise BundleError(f"{path}: {name} is not what the manifest promises (sha256); copy the bundle again.")


def _hash_file(path: Path) -> str:
    with open(path, "rb") as file:
        if not path.stat().st_size:
            return manifests.sha256(b"")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return manifests.sha256(data)  # type: ignore[arg-type]


def _sync_folder(folder: Path) -> None:
    """Make the renaming itself durable; Windows has no such call."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
