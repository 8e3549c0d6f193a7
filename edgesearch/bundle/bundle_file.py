"""The bundle, `store.edge`: one file with model, index, catalogue and pictures, verified before anything parses it.

A container (`container.py`) of `manifest.json`, then its signature `manifest.sig` where it is signed, then the members
that it lists. Read in this order: signature, manifest, sizes, hashes; then only does anything parse a member.

Of members larger than 1 MB `pieces.sha256` holds the hash of every piece of 64 kB, one after the other, the members by
name: so a few rows of a large one are verified without the rest.
"""

import contextlib
import functools
import hashlib
import os
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

from .._util import hashing
from .._util.files import sync_folder
from ..errors import BundleError, SignatureError
from . import container, signing
from .container import MANIFEST_FILE, SIGNATURE_FILE
from .content import HASH_BYTES, PIECE, Content, Mapped, Part, piece_hashes
from .manifest import Delta, FileEntry, Manifest

PIECES_FILE = "pieces.sha256"
WHOLE_UP_TO = 1 << 20  # bytes of a member that is verified at once


class Bundle:
    """A bundle of which no byte is used before it is verified, once in a process.

    Attributes: content: the file; sealed: what is in it must not be written elsewhere; places: where in it each member
                lies, those of the heads too; digest: hash of its manifest, and so of all that is in it; signer: hex key
                it is signed by, None where it is not signed.
    """

    def __init__(
        self,
        path: Path,
        trusted: Collection[str] = (),
        whole: bool = True,
        delta: bool = False,
        unseal: Callable[[Content], Content] | None = None,
    ):
        """Map and verify.

        Args:    trusted: hex keys, one of which must have signed it; none: it may be unsigned; whole: verify every byte
                 now; otherwise each member, or piece of a large one, when it is read; delta: it may be one; unseal:
                 how to read the file where it is sealed.
        Raises:  SignatureError: it is signed by none of these, or its signature is wrong;
                 BundleError: not a bundle, or a byte is not what the manifest says.
        """
        self.path = Path(path)
        self._verified: set[str] = set()
        self.sealed = unseal is not None
        self.content: Content = _map(self.path)
        try:
            if unseal:
                self.content = _unsealed(self.path, self.content, unseal)
            self.places = container.heads(self.path, self.content)
            manifest = bytes(self._read(MANIFEST_FILE))
            signature = bytes(self._read(SIGNATURE_FILE)) if SIGNATURE_FILE in self.places else None
            self.digest = hashing.sha256(manifest)
            self.signer = _signer(self.path, manifest, signature, trusted)
            self.manifest = Manifest.parse(manifest, str(self.path))
            most = container.most_bytes([len(manifest), *(entry.size for entry in self.manifest.files.values())])
            if self.content.size > most:
                raise BundleError(f"{self.path}: is larger than its manifest says; copy the bundle again.")
            heads, self.places = self.places, container.directory(self.path, self.content, self.places)
            if self.manifest.delta and not delta:
                raise _no_store(self.path, self.manifest.delta)
            _match(self.path, {name: self.places[name] for name in self.places.keys() - heads}, self.manifest.files)
            if whole:
                self.verify()
        except BaseException:
            self.close()
            raise

    def verify(self) -> None:
        """Verify every byte; raises BundleError."""
        for name in self.manifest.files:
            self._verify(name)
            if name in self._pieces and piece_hashes(self._read(name)) != self._pieces[name]:
                raise BundleError(f"{self.path}: {PIECES_FILE} is not of {name}; build the bundle again.")
            self._release_pages(name)  # hashing has read it all

    def __contains__(self, name: str) -> bool:
        """Whether the bundle has a member of that name."""
        return name in self.manifest.files

    def member(self, name: str) -> memoryview:
        """The content of a member, verified; raises BundleError where the bundle has none of that name."""
        self._verify(name)
        return self._read(name)

    def copy(self, name: str) -> bytes:
        """As `member`, apart from the file, whose pages are let go of."""
        content = bytes(self.member(name))
        self._release_pages(name)
        return content

    def part(self, name: str) -> Part:
        """As `member`, for parts of it: of a large one the pieces are verified when they are read."""
        hashes = None if name in self._verified else self._pieces.get(name)
        if hashes is None:
            self._verify(name)
        return Part(self.content, self.places[name], hashes, f"{self.path}: {name}")

    @functools.cached_property
    def _pieces(self) -> dict[str, memoryview]:
        """The hashes of the pieces of large members."""
        if PIECES_FILE not in self:
            return {}
        table, pieces = self.member(PIECES_FILE), {}
        for name in _in_pieces(self.manifest.files):
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
        self.content.release_pages(self.places[name].start, self.places[name].stop)

    def _read(self, name: str) -> memoryview:
        try:
            return self.content.read(self.places[name].start, self.places[name].stop)
        except ValueError as error:
            raise BundleError(f"{self.path}: {name} is damaged ({error}); install the bundle again.") from error

    @contextlib.contextmanager
    def unpacked(self, name: str) -> Iterator[Path]:
        """A private copy of a member, for libraries that open paths alone; who has it open keeps it when it is gone."""
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
        """Give back the file; its map goes when its last slice does."""
        self.content.close()


def write(
    path: Path,
    folder: Path,
    describe: Mapping[str, object],
    sign: Path | None = None,
    limit_bytes: int | None = None,
) -> Manifest:
    """Write every file below `folder` as one bundle: beside `path` first, then moved into place.

    Args:    describe: the fields of `Manifest` other than `files`; sign: private key, None to leave it unsigned;
             limit_bytes: the file must not be larger.
    Raises:  BundleError: it cannot be written; what was at `path` is still there. SignatureError: sign is no key.
    """
    files = {str(p.relative_to(folder).as_posix()): p for p in sorted(folder.rglob("*")) if p.is_file()}
    entries = {name: FileEntry(p.stat().st_size, _sha256(p)) for name, p in files.items()}
    pieces = b"".join(_pieces_of(files[name]) for name in _in_pieces(entries))
    if pieces:
        entries[PIECES_FILE] = FileEntry(len(pieces), hashing.sha256(pieces))
    manifest = Manifest(files=entries, **describe)  # type: ignore[arg-type]
    content = manifest.to_bytes()
    signature = signing.sign(content, sign) if sign else b""
    made = {MANIFEST_FILE: content, SIGNATURE_FILE: signature, PIECES_FILE: pieces}
    members = {name: data for name, data in made.items() if data}
    try:
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as beside:
            container.write(Path(beside) / path.name, {**members, **files})
            size = (Path(beside) / path.name).stat().st_size
            if limit_bytes is not None and size > limit_bytes:
                raise BundleError(f"{path}: takes {size:,} bytes, more than the {limit_bytes:,} given; give more.")
            os.replace(Path(beside) / path.name, path)
        sync_folder(path.parent)
    except OSError as error:
        raise BundleError(f"{path}: cannot be written ({error}); check the folder and its free space.") from error
    return manifest


def size_bytes(files: Mapping[str, int], head_bytes: int) -> int:
    """Of the bundle that `write` makes of files of these sizes; head_bytes: of manifest and signature together."""
    pieces = sum(-(-size // PIECE) * HASH_BYTES for size in files.values() if size > WHOLE_UP_TO)
    heads = {MANIFEST_FILE: head_bytes, SIGNATURE_FILE: 0} | ({PIECES_FILE: pieces} if pieces else {})
    return container.size_bytes(heads | dict(sorted(files.items())))


def _map(path: Path) -> Mapped:
    if os.path.exists(path) and not os.path.isfile(path):  # to open a named pipe would be to wait for its writer
        raise BundleError(f"{path}: cannot be read (not a file); give a .edge file.")
    try:
        with open(path, "rb") as file:
            return Mapped(file)
    except ValueError as error:
        raise BundleError(f"{path}: an empty file; copy the bundle again.") from error
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror}); give a .edge file.") from error


def _unsealed(path: Path, content: Content, unseal: Callable[[Content], Content]) -> Content:
    try:
        return unseal(content)
    except ValueError as error:
        raise BundleError(f"{path}: {error}; install the bundle again.") from error


def _no_store(path: Path, delta: Delta) -> BundleError:
    return BundleError(
        f"{path}: a delta from bundle {delta.base[:8]} to {delta.digest[:8]}, no bundle itself; install it on a device "
        "that has the first."
    )


def _signer(path: Path, manifest: bytes, signature: bytes | None, trusted: Collection[str]) -> str | None:
    if signature is None:
        if trusted:
            raise SignatureError(
                f"{path}: is not signed, and only signed bundles are trusted here; make it with --sign."
            )
        return None
    signer = signing.signer(manifest, signature, str(path))
    if trusted and signer not in trusted:
        raise SignatureError(
            f"{path}: signed by key {signer[:8]}, trusted are {', '.join(key[:8] for key in trusted)}; do not use it, "
            "or sign it with one of these."
        )
    return signer


def _match(path: Path, members: Mapping[str, slice], promised: Mapping[str, FileEntry]) -> None:
    odd = sorted(set(members) ^ set(promised))
    if odd:
        raise BundleError(f"{path}: {odd[0]} is in the manifest or in the file, not in both; build the bundle again.")
    for name, place in members.items():
        if place.stop - place.start != promised[name].size:
            raise BundleError(f"{path}: {name} is not what the manifest promises (its size); copy the bundle again.")


def _in_pieces(files: Mapping[str, FileEntry]) -> list[str]:
    """Members so large that parts of them are verified alone, in the order of their hashes."""
    return sorted(name for name, entry in files.items() if entry.size > WHOLE_UP_TO and name != PIECES_FILE)


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _pieces_of(path: Path) -> bytes:
    """As `piece_hashes`, some pieces after the other."""
    with open(path, "rb") as file:
        return b"".join(piece_hashes(memoryview(part)) for part in iter(lambda: file.read(64 * PIECE), b""))
