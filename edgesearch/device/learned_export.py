"""Export what a device learned into the folder of `overlay_export`, and read such folders where bundles are built.

learned.json        {"format": 1, "device", "network", "local", "sha256" of learned.bin, "pictures": [...]}; each
                    picture has the fields of `SharedPicture`, in the order of learned.bin
learned.bin         the references, one after another, as `Reference.to_bytes` writes them
learned/<name>.jpg  the pictures, if the device keeps them

No person is named, nor by a hash that a guess would confirm.
"""

import datetime
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from ..bundle.manifest import Manifest
from ..errors import CatalogError
from ..search.open_bundle import Reference, network_of, space_of
from .learned import LearnedPicture, LearnedPictures

FILE, REFERENCES, PICTURES = "learned.json", "learned.bin", "learned"
FORMAT = 1
MAX_LIST_BYTES = 1 << 28
MAX_PICTURE_BYTES = 1 << 22
MAX_REFERENCE_BYTES = 1 << 20
BATCH = 256  # references read at once
UNIT = 1e-3  # by which the length of an embedding may differ from 1
STATES = ("used", "waiting")
_NAME, _DEVICE = re.compile(r"[0-9a-f]{16}"), re.compile(r"[0-9a-f]{1,64}")


@dataclass(frozen=True, slots=True)
class SharedPicture:
    """A picture that a device learned and shares.

    Attributes:
        sku: Of its product.
        time: ISO 8601, by the device's clock.
        source: As in `LearnedPicture`, as are `trust` and `state`, which is never "aside".
        name: Hash of the picture, or of its reference if no picture is kept.
        size: Of its reference, in bytes.
        has_picture: Whether the picture itself is in the folder.
    """

    sku: str
    time: str
    source: str
    trust: float
    state: str
    name: str
    size: int
    has_picture: bool


def write(learned: LearnedPictures, running: Callable[[], Manifest], write_file: Callable[[str, bytes], None]) -> int:
    """Write what a device learned, except what was set aside; return the number of pictures.

    Args:
        learned: To export.
        running: Returns the manifest of the bundle that the device runs; called if anything was learned.
        write_file: Writes a file, by name and content; not called if nothing was learned.
    Raises:
        BundleError, DeviceError: The device cannot be read.
        OSError: A file cannot be written.
    """
    pictures = [one for one in learned.all() if one.state in STATES]
    if not pictures:
        return 0
    manifest = running()
    parts, shared = list[bytes](), list[SharedPicture]()
    for one, content, picture in _read_all(learned, pictures, space_of(manifest)):
        name = one.name or name_of(content)
        if picture:
            write_file(f"{PICTURES}/{name}.jpg", picture)
        parts.append(content)
        shared.append(_share(one, name, len(content), bool(picture)))
    references = b"".join(parts)
    write_file(REFERENCES, references)
    head = {"format": FORMAT, "device": learned.settings().device, "network": network_of(manifest.hashes)}
    head |= {"local": manifest.hashes.get("local", ""), "sha256": hashlib.sha256(references).hexdigest()}
    table = {**head, "pictures": [asdict(one) for one in shared]}
    write_file(FILE, json.dumps(table, ensure_ascii=False).encode())
    return len(shared)


def name_of(content: bytes) -> str:
    """Return the name of a picture, or of a reference."""
    return hashlib.sha256(content).hexdigest()[:16]


def _read_all(
    learned: LearnedPictures, pictures: Sequence[LearnedPicture], space: str
) -> Iterator[tuple[LearnedPicture, bytes, bytes | None]]:
    """Yield pictures with their reference, and with their JPEG if one is kept; each content once.

    Omit those that only another network computed, and of which no picture is kept.
    """
    seen = set[bytes]()
    for start in range(0, len(pictures), BATCH):
        batch = pictures[start : start + BATCH]
        references = learned.references(space, [one.number for one in batch])
        for one in batch:
            content = references.get(one.number)
            if content is not None and content not in seen:
                seen.add(content)
                yield one, content, learned.picture(one.number)


def _share(one: LearnedPicture, name: str, size: int, has_picture: bool) -> SharedPicture:
    """Describe a picture without naming a person; each dismissed match halves the trust in it."""
    trust = one.trust / 2**one.against
    return SharedPicture(one.sku, one.time, one.source, trust, one.state, name, size, has_picture)


@dataclass(frozen=True)
class LearnedExport:
    """Hold what one device learned.

    Attributes:
        folder: That was exported.
        device: Random name of the device.
        has_features: Whether the references have local features that fit the ones asked for.
        pictures: In the order of the file.
        embeddings: (R, D) float32, unit rows, without whitening.
    """

    folder: Path
    device: str
    has_features: bool
    pictures: Sequence[SharedPicture]
    embeddings: np.ndarray

    def references(self, rows: Sequence[int]) -> Iterator[Reference]:
        """Yield references in the given order. Raise CatalogError if the file was changed meanwhile."""
        starts = np.cumsum([0, *(one.size for one in self.pictures)])
        try:
            with open(self.folder / REFERENCES, "rb") as file:
                for row in rows:
                    file.seek(int(starts[row]))
                    content = file.read(self.pictures[row].size)
                    yield Reference.from_bytes(content, self.embeddings.shape[1])
        except (OSError, ValueError) as error:
            raise CatalogError(f"{self.folder / REFERENCES}: was changed while it was read ({error}).") from error

    def picture(self, row: int) -> Path | None:
        """Return the file of a picture; None if there is none, or another one of its name."""
        one = self.pictures[row]
        path = self.folder / PICTURES / f"{one.name}.jpg"
        if not one.has_picture or path.is_symlink() or not path.is_file():
            return None
        is_whole = path.stat().st_size <= MAX_PICTURE_BYTES and name_of(path.read_bytes()) == one.name
        return path if is_whole else None


def read(folder: Path, network: str, local: str, dim: int) -> LearnedExport:
    """Read an exported folder and check all of it.

    Args:
        folder: That `overlay export` wrote.
        network: Hash of network and preprocessing, as `network_of` returns it.
        local: Hash of the codebook of local features.
        dim: D.
    Raises:
        CatalogError: The folder is damaged, of a newer version, or of a device with another network.
    """
    path = Path(folder) / FILE
    try:
        table = json.loads(_read_file(path, MAX_LIST_BYTES))
        if table["format"] != FORMAT:
            raise CatalogError(f"{path}: format {table['format']}; this version reads {FORMAT}, upgrade edgesearch.")
        if table["network"] != network:
            raise CatalogError(
                f"{path}: was learned with network {str(table['network'])[:8]}, and this build uses {network[:8]}; "
                "build with that model, or install the new bundle on the device and export again."
            )
        if not isinstance(table["device"], str) or not _DEVICE.fullmatch(table["device"]):
            raise ValueError(f"device {table['device']!r}"[:80])
        pictures = [_parse(one) for one in table["pictures"]]
        embeddings = _check_references(path.parent / REFERENCES, pictures, str(table["sha256"]), dim)
        return LearnedExport(path.parent, table["device"], table["local"] == local, pictures, embeddings)
    except OSError as error:
        reason = error.strerror or error
        raise CatalogError(f"{path}: cannot be read ({reason}); give a folder that `overlay export` wrote.") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CatalogError(f"{path}: is damaged ({error}); export it again.") from error


def _parse(table: Mapping[str, Any]) -> SharedPicture:
    """Read what `asdict` made of a picture; raise KeyError, TypeError or ValueError for anything else."""
    one = SharedPicture(**{field.name: table[field.name] for field in fields(SharedPicture)})
    texts = (one.sku, one.source, one.state, one.name)
    if not all(isinstance(text, str) for text in texts) or not _NAME.fullmatch(one.name) or one.state not in STATES:
        raise ValueError(f"picture {one.name!r}"[:80])
    datetime.datetime.fromisoformat(one.time)
    numbers = (one.trust, one.size)
    if any(isinstance(number, bool) or not isinstance(number, (int, float)) for number in numbers):
        raise ValueError(f"picture {one.name}: trust {one.trust!r}, size {one.size!r}"[:80])
    if not 0 <= one.trust <= 1 or not isinstance(one.size, int) or not 0 < one.size <= MAX_REFERENCE_BYTES:
        raise ValueError(f"picture {one.name}: trust {one.trust!r}, size {one.size!r}"[:80])
    return one


def _check_references(path: Path, pictures: Sequence[SharedPicture], sha256: str, dim: int) -> np.ndarray:
    """Return the embeddings of a file of references, (R, D) float32; raise ValueError if one is damaged."""
    if path.is_symlink() or not path.is_file():
        raise ValueError(f"{REFERENCES} is missing")
    digest, embeddings = hashlib.sha256(), np.empty((len(pictures), dim), np.float32)
    with open(path, "rb") as file:
        for row, one in enumerate(pictures):
            content = file.read(one.size)
            digest.update(content)
            reference = Reference.from_bytes(content, dim)
            if reference.features is not None:
                reference.features.check()
            embeddings[row] = reference.embedding
        if file.read(1) or digest.hexdigest() != sha256:
            raise ValueError(f"{REFERENCES} is not what was exported")
    lengths = np.linalg.norm(embeddings, axis=1)
    if not (np.abs(lengths - 1) <= UNIT).all():  # NaN is not near either
        raise ValueError(f"{REFERENCES} holds an embedding that is no unit vector")
    return embeddings


def _read_file(path: Path, limit: int) -> bytes:
    """Return the content of a regular file; raise OSError or ValueError for anything else or too large a file."""
    if path.exists() and (path.is_symlink() or not path.is_file()):
        raise ValueError("it is no file")
    if path.stat().st_size > limit:
        raise ValueError(f"{path.stat().st_size:,} bytes, at most {limit:,} expected")
    return path.read_bytes()
