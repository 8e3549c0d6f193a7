"""Write and read bundles: one file with model, index, catalogue and pictures, verified before anything parses it.

A container (`container.py`) holds `manifest.json`, then the signature `manifest.sig` if the bundle is signed, then the
members that the manifest lists. Reading checks in this order: signature, manifest, sizes, hashes. Only verified bytes
are ever parsed.

`pieces.sha256` holds the hash of every 64 kB piece of each member larger than 1 MB, one after the other, the members
sorted by name. A few rows of a large member are verified with it, without reading the rest.
"""

import contextlib
import functools
import hashlib
import os
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

from .._util import hashing, progress
from .._util.files import sync_folder
from ..errors import BundleError, SignatureError
from . import container, signing
from .container import MANIFEST_FILE, SIGNATURE_FILE
from .content import HASH_BYTES, PIECE, Content, MappedFile, VerifiedRange, hash_pieces
from .manifest import Delta, FileEntry, Manifest

PIECES_FILE = "pieces.sha256"
WHOLE_UP_TO = 1 << 20  # bytes; larger members are verified piece by piece


class Bundle:
    """A bundle; none of its bytes is used before it is verified, once per process.

    Attributes:
        content: the file.
        sealed: its contents must not be written to another file.
        locations: where each member lies in the file, manifest and signature included.
        manifest: describes its members.
        digest: hash of the manifest, and so of everything in the bundle.
        signer: hex key that signed it; `None` if it is unsigned.
    """

    def __init__(
        self,
        path: Path,
        trusted: Collection[str] = (),
        whole: bool = True,
        delta: bool = False,
        unseal: Callable[[Content], Content] | None = None,
    ):
        """Map the file and verify it.

        Args:
            path: the file.
            trusted: hex keys, one of which must have signed it; without any, it may be unsigned.
            whole: verify every byte now; otherwise verify each member, or piece of a large one, when it is read.
            delta: accept a delta too.
            unseal: reads the file if it is sealed.
        Raises:
            SignatureError: no trusted key signed it, or the signature is wrong.
            BundleError: it is not a bundle, or a byte differs from what the manifest says.
        """
        self.path = Path(path)
        self._verified: set[str] = set()
        self.sealed = unseal is not None
        self.content: Content = _map_file(self.path)
        try:
            if unseal:
                self.content = _unseal(self.path, self.content, unseal)
            self.locations = container.locate_heads(self.path, self.content)
            manifest = bytes(self._read(MANIFEST_FILE))
            signature = bytes(self._read(SIGNATURE_FILE)) if SIGNATURE_FILE in self.locations else None
            self.digest = hashing.sha256(manifest)
            self.signer = _check_signature(self.path, manifest, signature, trusted)
            self.manifest = Manifest.parse(manifest, str(self.path))
            self._locate_members(len(manifest), delta)
            if whole:
                self.verify()
        except BaseException:
            self.close()
            raise

    def _locate_members(self, manifest_bytes: int, delta: bool) -> None:
        """Find the members in the file; raise BundleError unless they are those of the manifest."""
        sizes = [manifest_bytes, *(entry.size for entry in self.manifest.files.values())]
        if self.content.size > container.max_file_bytes(sizes):
            raise BundleError(f"{self.path}: is larger than its manifest says; copy the bundle again.")
        heads = self.locations
        self.locations = container.locate_members(self.path, self.content, heads)
        if self.manifest.delta and not delta:
            raise _not_whole_error(self.path, self.manifest.delta)
        members = {name: self.locations[name] for name in self.locations.keys() - heads}
        _check_members(self.path, members, self.manifest.files)

    def verify(self) -> None:
        """Verify every byte; raise BundleError if one is wrong."""
        total = sum(entry.size for entry in self.manifest.files.values())
        with progress.stage(f"verify {self.path.name}", progress.BYTE, total) as stage:
            for name, entry in self.manifest.files.items():
                self._verify(name)
                if name in self._pieces and hash_pieces(self._read(name)) != self._pieces[name]:
                    raise BundleError(f"{self.path}: {PIECES_FILE} does not match {name}; build the bundle again.")
                self._release_pages(name)  # hashing has read all of it
                stage.done += entry.size

    def __contains__(self, name: str) -> bool:
        """Return whether the bundle has a member of that name."""
        return name in self.manifest.files

    def member(self, name: str) -> memoryview:
        """Return the verified content of a member; raise BundleError if it is wrong or missing."""
        self._verify(name)
        return self._read(name)

    def copy_member(self, name: str) -> bytes:
        """Return a copy of `member`, and release the pages of the file that hold it."""
        content = bytes(self.member(name))
        self._release_pages(name)
        return content

    def open_member(self, name: str) -> VerifiedRange:
        """Return a member to read in parts; pieces of a large one are verified when they are read.

        Raises:
            BundleError: the member is missing, or is wrong.
        """
        hashes = None if name in self._verified else self._pieces.get(name)
        if hashes is None:
            self._verify(name)
        return VerifiedRange(self.content, self.locations[name], hashes, f"{self.path}: {name}")

    @functools.cached_property
    def _pieces(self) -> dict[str, memoryview]:
        """The piece hashes of each large member, by name."""
        if PIECES_FILE not in self:
            return {}
        table, pieces = self.member(PIECES_FILE), {}
        for name in _large_members(self.manifest.files):
            size = -(-self.manifest.files[name].size // PIECE) * HASH_BYTES
            pieces[name], table = table[:size], table[size:]
            if len(pieces[name]) != size:
                raise BundleError(f"{self.path}: {PIECES_FILE} is too short; build the bundle again.")
        return pieces

    def _verify(self, name: str) -> None:
        if name not in self:
            raise BundleError(f"{self.path}: no {name} inside; build the bundle again.")
        if name not in self._verified:
            if hashing.sha256(self._read(name)) != self.manifest.files[name].sha256:
                raise BundleError(
                    f"{self.path}: {name} is not what the manifest promises (sha256); copy the bundle again."
                )
            self._verified.add(name)

    def _release_pages(self, name: str) -> None:
        self.content.release_pages(self.locations[name].start, self.locations[name].stop)

    def _read(self, name: str) -> memoryview:
        try:
            return self.content.read(self.locations[name].start, self.locations[name].stop)
        except ValueError as error:
            raise BundleError(f"{self.path}: {name} is damaged ({error}); install the bundle again.") from error

    @contextlib.contextmanager
    def unpack_member(self, name: str) -> Iterator[Path]:
        """Yield the path of a temporary copy of a member, for libraries that open only paths.

        A library that has the copy open can still read it after it was removed.

        Raises:
            BundleError: the member is missing or wrong, or the copy cannot be written.
        """
        try:
            with tempfile.TemporaryDirectory(prefix="edgesearch-") as folder:
                path = Path(folder) / name.replace("/", "-")
                path.write_bytes(self.member(name))
                self._release_pages(name)
                yield path
        except OSError as error:
            raise BundleError(
                f"{self.path}: {name} cannot be unpacked ({error}); free some space, or name another folder in TMPDIR."
            ) from error

    def close(self) -> None:
        """Release the file; its mapping is removed with the last slice of it."""
        self.content.close()


def write(
    path: Path,
    folder: Path,
    fields: Mapping[str, object],
    sign: Path | None = None,
    limit_bytes: int | None = None,
) -> Manifest:
    """Write every file below `folder` as one bundle: to a temporary file first, then moved to `path`.

    Args:
        path: the bundle to write.
        folder: folder of its members.
        fields: the fields of `Manifest` other than `files`.
        sign: private key; `None` leaves it unsigned.
        limit_bytes: largest size of the file; `None` sets no limit.
    Raises:
        BundleError: it cannot be written or exceeds the limit; what was at `path` is unchanged.
        SignatureError: `sign` is not a private key.
    """
    files = {str(p.relative_to(folder).as_posix()): p for p in sorted(folder.rglob("*")) if p.is_file()}
    named = progress.track(f"hash {path.name}", "file", files.items(), len(files))
    entries = {name: FileEntry(p.stat().st_size, _hash_file(p)) for name, p in named}
    pieces = b"".join(_hash_file_pieces(files[name]) for name in _large_members(entries))
    if pieces:
        entries[PIECES_FILE] = FileEntry(len(pieces), hashing.sha256(pieces))
    manifest = Manifest(files=entries, **fields)  # type: ignore[arg-type]
    content = manifest.to_bytes()
    signature = signing.sign(content, sign) if sign else b""
    heads = {MANIFEST_FILE: content, SIGNATURE_FILE: signature, PIECES_FILE: pieces}
    members = {name: data for name, data in heads.items() if data}
    try:
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as beside:
            with progress.stage(f"write {path.name}"):
                container.write(Path(beside) / path.name, {**members, **files})
            size = (Path(beside) / path.name).stat().st_size
            if limit_bytes is not None and size > limit_bytes:
                raise BundleError(
                    f"{path}: takes {size:,} bytes, and the budget is {limit_bytes:,}; give a larger budget."
                )
            os.replace(Path(beside) / path.name, path)
        sync_folder(path.parent)
    except OSError as error:
        raise BundleError(f"{path}: cannot be written ({error}); check the folder and its free space.") from error
    return manifest


def size_bytes(files: Mapping[str, int], head_bytes: int) -> int:
    """Return the size of the bundle that `write` makes.

    Args:
        files: size of each member in bytes.
        head_bytes: size of manifest and signature together.
    """
    pieces = sum(-(-size // PIECE) * HASH_BYTES for size in files.values() if size > WHOLE_UP_TO)
    heads = {MANIFEST_FILE: head_bytes, SIGNATURE_FILE: 0} | ({PIECES_FILE: pieces} if pieces else {})
    return container.size_bytes(heads | dict(sorted(files.items())))


def _map_file(path: Path) -> MappedFile:
    if os.path.exists(path) and not os.path.isfile(path):  # opening a named pipe would wait for its writer
        raise BundleError(f"{path}: cannot be read (not a file); give a .edge file.")
    try:
        with open(path, "rb") as file:
            return MappedFile(file)
    except ValueError as error:
        raise BundleError(f"{path}: an empty file; copy the bundle again.") from error
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror}); give a .edge file.") from error


def _unseal(path: Path, content: Content, unseal: Callable[[Content], Content]) -> Content:
    try:
        return unseal(content)
    except ValueError as error:
        raise BundleError(f"{path}: {error}; install the bundle again.") from error


def _not_whole_error(path: Path, delta: Delta) -> BundleError:
    return BundleError(
        f"{path}: a delta from bundle {delta.base[:8]} to {delta.digest[:8]}, not a bundle; install it on a device "
        "that has the first one."
    )


def _check_signature(path: Path, manifest: bytes, signature: bytes | None, trusted: Collection[str]) -> str | None:
    """Return the hex key that signed the manifest; raise SignatureError if it is not trusted."""
    if signature is None:
        if trusted:
            raise SignatureError(
                f"{path}: is not signed, and only signed bundles are trusted here; build it with --sign."
            )
        return None
    signer = signing.verify_signature(manifest, signature, str(path))
    if trusted and signer not in trusted:
        raise SignatureError(
            f"{path}: signed by key {signer[:8]}, trusted are {', '.join(key[:8] for key in trusted)}; do not use it, "
            "or sign it with one of these."
        )
    return signer


def _check_members(path: Path, members: Mapping[str, slice], expected: Mapping[str, FileEntry]) -> None:
    """Raise BundleError unless the members have the names and sizes of the manifest."""
    odd = sorted(set(members) ^ set(expected))
    if odd:
        raise BundleError(f"{path}: {odd[0]} is in the manifest or in the file, not in both; build the bundle again.")
    for name, location in members.items():
        if location.stop - location.start != expected[name].size:
            raise BundleError(f"{path}: {name} is not what the manifest promises (its size); copy the bundle again.")


def _large_members(files: Mapping[str, FileEntry]) -> list[str]:
    """Return the names of members that are verified piece by piece, in the order of their hashes."""
    return sorted(name for name, entry in files.items() if entry.size > WHOLE_UP_TO and name != PIECES_FILE)


def _hash_file(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _hash_file_pieces(path: Path) -> bytes:
    """Return the `hash_pieces` of a file, reading a few pieces at a time."""
    with open(path, "rb") as file:
        return b"".join(hash_pieces(memoryview(part)) for part in iter(lambda: file.read(64 * PIECE), b""))
