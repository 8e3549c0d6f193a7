"""Make and apply deltas: the parts of a bundle that a device with an older one lacks, small enough for a slow line.

A delta is a file as `bundle_file` writes it. Its manifest says which bundle it turns into which (`manifest.Delta`), and
its members say how (`delta_format`). The base is the manifest of a bundle and its members in the manifest's order, not
its file, so it is the same whether signed or not. Each member is compared with the member of the same name in the base
(`delta_matching`).

New prices of all of 2,000 products, a catalogue of 495,616 bytes, take 11.5 kB. With blocks of 16 bytes they take 30
kB, because chance matches cost more than they save; deflate with the bytes at the same position as dictionary takes 19
kB. LZMA instead of deflate saves 3%, and some systems' Python lacks it. For two bundles of 1.1 GB, 57 MB of which are
new, making a delta takes 65 s and 76 MB of memory, applying it 11 s and 27 MB (AMD EPYC).
"""

import contextlib
import hashlib
import itertools
import os
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from .._util import progress
from .._util.files import sync_folder
from .._util.hashing import sha256
from ..errors import BundleError
from . import bundle_file, signing
from .bundle_file import Bundle
from .container import MANIFEST_FILE
from .content import read_portions
from .delta_format import COPIES, LITERALS, InflatingReader, read_steps, write_members
from .delta_matching import Copy, find_copies
from .manifest import Delta, Manifest


def delta(old: Path, new: Path, output: Path, sign: Path | None = None) -> Manifest:
    """Write the delta from one bundle to another, after applying it once as a test.

    Args:
        old: the bundle that devices have.
        new: the bundle that they are to get.
        output: the file to write.
        sign: private key; `None` leaves it unsigned.
    Raises:
        BundleError: a bundle is damaged, no device with `old` would take `new`, or the output cannot be written.
        SignatureError: `sign` is not a private key.
    """
    old, new, output = Path(old), Path(new), Path(output)
    if sign:
        signing.sign(b"", sign)  # reports a wrong key now, not after the work
    with contextlib.closing(Bundle(old)) as before, contextlib.closing(Bundle(new)) as after:
        _check_pair(before, after, output)
        file = after.content.read(0, after.content.size)
        fields = _manifest_fields(after, Delta(before.digest, after.digest, len(file), sha256(file)))
        try:
            with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as folder:
                members, beside = Path(folder) / "members", Path(folder) / "delta"
                members.mkdir()
                write_members(members, _find_all_copies(before, after), file)
                manifest = bundle_file.write(beside, members, fields, sign)
                with contextlib.closing(Bundle(beside, delta=True)) as written, progress.stage("apply it as a test"):
                    rebuild(written, before, lambda piece: None)
                os.replace(beside, output)
            sync_folder(output.parent)
        except OSError as error:
            raise BundleError(f"{output}: cannot be written ({error}); check the folder and its free space.") from error
    return manifest


def rebuild(change: Bundle, base: Bundle, write: Callable[[memoryview], object]) -> None:
    """Make the new file from the base, piece by piece; check all steps before writing the first piece.

    Args:
        change: the delta.
        base: the bundle that it changes.
        write: receives the pieces.
    Raises:
        BundleError: the delta is of another base, or does not make what it promises; discard what was written.
    """
    promised = change.manifest.delta
    assert promised is not None
    members = [*_copyable_members(base).values(), slice(0, 0)]  # an empty copy may lie behind the last
    sizes = [member.stop - member.start for member in members]
    copies, literals = change.member(COPIES), InflatingReader(change.member(LITERALS))
    file_hash = hashlib.sha256()
    try:
        for _ in read_steps(copies, sizes, promised.size):
            pass
        for step in read_steps(copies, sizes, promised.size):
            start = members[step.member].start + step.start
            copied = read_portions(base.content, start, start + step.copied)
            for piece in itertools.chain(literals.read(step.taken), copied):
                file_hash.update(piece)
                write(piece)
        if file_hash.hexdigest() != promised.sha256:
            raise ValueError("sha256")
    except (ValueError, zlib.error) as error:
        raise BundleError(
            f"{change.path}: does not make the bundle that it promises ({error}); install the full bundle."
        ) from error


def _manifest_fields(after: Bundle, change: Delta) -> dict[str, object]:
    return {
        "name": after.manifest.name,
        "sequence": after.manifest.sequence,
        "created": after.manifest.created,
        "hashes": {},
        "counts": after.manifest.counts,
        "calibration": {},
        "accuracy": {},
        "delta": change,
    }


def _check_pair(before: Bundle, after: Bundle, output: Path) -> None:
    """Raise BundleError if no delta can lead from one bundle to the other, or the output is not a new file."""
    if not output.parent.is_dir() or output.is_dir():
        raise BundleError(f"{output}: not a file in a folder that exists; give a path such as store.delta.")
    if output.exists() and any(output.samefile(bundle.path) for bundle in (before, after)):
        raise BundleError(f"{output}: is one of the two bundles; give the delta a name of its own.")
    if before.digest == after.digest:
        raise BundleError(f"{after.path}: holds the same as {before.path}; there is nothing to change.")
    if after.manifest.sequence < before.manifest.sequence:
        raise BundleError(
            f"{after.path}: its sequence number is {after.manifest.sequence}, lower than that of {before.path}, "
            f"{before.manifest.sequence}, so no device would install it; give the older bundle first."
        )


def _copyable_members(base: Bundle) -> dict[str, slice]:
    """Return the location of each part of a bundle's file that a delta can copy, by name."""
    return {name: base.locations[name] for name in (MANIFEST_FILE, *base.manifest.files)}


def _find_all_copies(before: Bundle, after: Bundle) -> Iterator[Copy]:
    """Yield the copyable parts of the new file, in its order; sources count through the members of the base."""
    data = np.frombuffer(after.content.read(0, after.content.size), np.uint8)
    old = {
        name: before.content.read(location.start, location.stop) for name, location in _copyable_members(before).items()
    }
    begins = dict(zip(old, itertools.accumulate(map(len, old.values()), initial=0), strict=False))
    parts = sorted(after.locations.items(), key=lambda item: item[1].start)
    for name, location in progress.track(f"compare with {before.path.name}", "part", parts, len(parts)):
        if name in old:
            for copy in find_copies(np.frombuffer(old[name], np.uint8), data[location]):
                yield Copy(location.start + copy.start, begins[name] + copy.source, copy.size)
