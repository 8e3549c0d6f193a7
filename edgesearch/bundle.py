"""The bundle, `store.edge`: one file with model, index, catalogue and pictures, verified before anything parses it.

An uncompressed zip: `manifest.json` first, then its signature `manifest.sig` where it is signed, then the members it
lists, every member's content at a multiple of 64 bytes and stored as it is, so that a member is a slice of the mapped
file. Read in this order: signature, manifest, sizes, hashes; then only does anything parse a member.
"""

import contextlib
import itertools
import mmap
import os
import shutil
import struct
import tempfile
import weakref
import zipfile
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path

from . import manifest as manifests
from . import signing
from .arrays import Pages
from .errors import BundleError, SignatureError
from .manifest import Delta, FileEntry, Manifest

MANIFEST_FILE, SIGNATURE_FILE = "manifest.json", "manifest.sig"
ALIGNMENT = 64
MOST_BETWEEN = 1024  # bytes of header between two members, and of the directory for each: nothing hides between them
MAX_MANIFEST_BYTES = 16_000_000
_LOCAL_HEADER = struct.Struct("<4s5H3I2H")  # of a zip member; its name and extra field follow, then the content
_PADDING_ID = 0xD935  # extra field of Android's zipalign, which pads as we do
_EPOCH = (1980, 1, 1, 0, 0, 0)  # no clock in the file: the same content gives the same bytes


class Bundle:
    """A verified bundle. Its members are slices of `mapped`, the file.

    Attributes: digest: hash of its manifest, and so of all that is in it; signer: hex key it is signed by, None where
                it is not signed; places: where in the file each member's content lies, those of the heads too.
    """

    def __init__(self, path: Path, trusted: Collection[str] = (), delta: bool = False):
        """Map and verify.

        Args:    trusted: hex keys, one of which must have signed it; none: it may be unsigned; delta: it may be one.
        Raises:  SignatureError: it is signed by none of these, or its signature is wrong;
                 BundleError: not a bundle, or a byte is not what the manifest says.
        """
        self.path = Path(path)
        self._unpacked: tempfile.TemporaryDirectory[str] | None = None
        self._members: dict[str, memoryview] = {}
        self.mapped = _map(self.path)
        try:
            data = memoryview(self.mapped)
            heads = _heads(self.path, self.mapped)
            content = bytes(data[heads[MANIFEST_FILE]])
            self.digest = manifests.sha256(content)
            self.signer = _signer(self.path, content, data, heads.get(SIGNATURE_FILE), trusted)
            self.places = _directory(self.path, self.mapped, heads)
            self.manifest = Manifest.parse(content, str(self.path))
            if self.manifest.delta and not delta:
                raise _no_store(self.path, self.manifest.delta)
            self._members = {name: data[place] for name, place in self.places.items() if name not in heads}
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


def write(path: Path, folder: Path, describe: Mapping[str, object], sign: Path | None = None) -> Manifest:
    """Write every file below `folder` as one bundle: beside `path` first, then moved into place.

    Args:    describe: the fields of `Manifest` other than `files`; sign: private key, None to leave it unsigned.
    Raises:  BundleError: it cannot be written; what was at `path` is still there. SignatureError: sign is no key.
    """
    members = {str(p.relative_to(folder).as_posix()): p for p in sorted(folder.rglob("*")) if p.is_file()}
    entries = {name: FileEntry(p.stat().st_size, _hash_file(p)) for name, p in members.items()}
    manifest = Manifest(files=entries, **describe)  # type: ignore[arg-type]
    heads = {MANIFEST_FILE: manifest.to_bytes()}
    if sign:
        heads[SIGNATURE_FILE] = signing.sign(heads[MANIFEST_FILE], sign)
    try:
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as beside:
            _write_zip(Path(beside) / path.name, {**heads, **members})
            os.replace(Path(beside) / path.name, path)
        sync_folder(path.parent)
    except OSError as error:
        raise BundleError(f"{path}: cannot be written ({error}); check the folder and its free space.") from error
    return manifest


def _write_zip(path: Path, members: Mapping[str, bytes | Path]) -> None:
    with open(path, "xb") as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
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
    if os.path.exists(path) and not os.path.isfile(path):  # to open a named pipe would be to wait for its writer
        raise BundleError(f"{path}: cannot be read (not a file); give a .edge file.")
    try:
        with open(path, "rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except ValueError as error:
        raise BundleError(f"{path}: an empty file; copy the bundle again.") from error
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror}); give a .edge file.") from error


def _heads(path: Path, data: mmap.mmap) -> dict[str, slice]:
    """Where the manifest lies, and its signature if it has one: the first members, without the zip's own directory."""
    heads: dict[str, slice] = {}
    start = 0
    try:
        for expected in (MANIFEST_FILE, SIGNATURE_FILE):
            magic, _, flags, method, _, _, crc, stored, size, named, extra = _LOCAL_HEADER.unpack_from(data, start)
            begin = start + _LOCAL_HEADER.size + named + extra
            start, name = begin + size, data[start + _LOCAL_HEADER.size :][:named]
            if magic != b"PK\3\4" or name != expected.encode():
                break
            content = data[begin:start]
            if (flags, method, stored, len(content)) != (0, 0, size, size) or size > MAX_MANIFEST_BYTES:
                raise ValueError(f"{expected} is compressed, cut off or too large")
            if zlib.crc32(content) != crc:
                raise ValueError(f"{expected} is damaged")
            heads[expected] = slice(begin, start)
    except (struct.error, ValueError) as error:
        raise BundleError(f"{path}: not a bundle, or damaged or cut off ({error}); copy or build it again.") from error
    if not heads:
        raise BundleError(f"{path}: not a bundle ({MANIFEST_FILE} is not its first member); give a .edge file.")
    return heads


def _no_store(path: Path, delta: Delta) -> BundleError:
    return BundleError(
        f"{path}: a delta from bundle {delta.base[:8]} to {delta.digest[:8]}, no bundle itself; install it on a device "
        "that has the first."
    )


def _signer(path: Path, manifest: bytes, data: memoryview, place: slice | None, trusted: Collection[str]) -> str | None:
    if place is None:
        if trusted:
            raise SignatureError(
                f"{path}: is not signed, and only signed bundles are trusted here; make it with --sign."
            )
        return None
    signer = signing.signer(manifest, bytes(data[place]), str(path))
    if trusted and signer not in trusted:
        raise SignatureError(
            f"{path}: signed by key {signer[:8]}, trusted are {', '.join(key[:8] for key in trusted)}; do not use it, "
            "or sign it with one of these."
        )
    return signer


def _directory(path: Path, data: mmap.mmap, heads: Mapping[str, slice]) -> dict[str, slice]:
    """Where each member's content lies in the file, by name: one after the other, the heads where they were read."""
    try:
        with zipfile.ZipFile(data) as archive:  # type: ignore[call-overload]  # a map reads and seeks like a file
            infos = archive.infolist()
        places = {info.filename: _place(data, info) for info in infos}
    except (zipfile.BadZipFile, struct.error, NotImplementedError, OSError, ValueError, OverflowError) as error:
        raise BundleError(f"{path}: not a bundle, or damaged or cut off ({error}); copy or build it again.") from error
    ordered = sorted(places.values(), key=lambda place: (place.start, place.stop))
    gaps = [after.start - before.stop for before, after in itertools.pairwise(ordered)]
    end = max((place.stop for place in ordered), default=0)
    apart = all(0 <= gap <= MOST_BETWEEN for gap in gaps) and len(data) - end <= MOST_BETWEEN * (len(infos) + 1)
    if len(places) < len(infos) or not apart or any(places.get(name) != place for name, place in heads.items()):
        raise BundleError(f"{path}: a zip, but not a bundle (a name is there twice, members overlap or lie far apart).")
    return places


def _place(data: mmap.mmap, info: zipfile.ZipInfo) -> slice:
    if not 0 <= info.header_offset < len(data):
        raise ValueError(f"{info.filename} begins outside the file")
    *_, named, extra = _LOCAL_HEADER.unpack_from(data, info.header_offset)
    begin = info.header_offset + _LOCAL_HEADER.size
    start = begin + named + extra
    end = start + info.file_size
    if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size or end > len(data):
        raise ValueError(f"{info.filename} is compressed, or larger than the file")
    if data[begin : begin + named] != info.orig_filename.encode():
        raise ValueError(f"{info.filename} has two names")
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


def sync_folder(folder: Path) -> None:
    """Make the renaming itself durable; Windows has no such call."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
