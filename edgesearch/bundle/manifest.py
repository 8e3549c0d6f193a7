"""Describe the contents of a bundle in its manifest, with a hash of every byte.

It is JSON in UTF-8. `format` is read first; the other keys are read one by one into `Manifest`.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..errors import BundleError

FORMAT = 1
COUNTS = {"products": 0, "pictures": 0}  # every manifest has these
DIGEST = re.compile(r"[0-9a-f]{64}")
PUBLIC_KEY = re.compile(r"([0-9a-f]{64})?")
# Members lie in folders of plain names, so that no path can leave the folder that a bundle is unpacked into.
MEMBER_NAME = re.compile(r"[a-z0-9_][a-z0-9_.]*(/[a-z0-9_][a-z0-9_.]*)*")


@dataclass(frozen=True)
class FileEntry:
    """A member of a bundle: its size in bytes and its hash."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Delta:
    """The two bundles of a delta.

    Attributes:
        base: digest of the bundle that it changes.
        digest: digest of the bundle that it makes.
        size: size of that bundle's file in bytes.
        sha256: hash of that file.
    """

    base: str
    digest: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """The contents of a bundle.

    Attributes:
        name: name of the bundle.
        sequence: sequence number; that of a device never goes down.
        created: when it was built, ISO 8601 in UTC.
        files: every member except the manifest itself.
        hashes: hashes of "model", "preprocessing", "codebook" and "index", which bind these parts to each other.
        counts: number of "products", "pictures" and others.
        calibration: the fields of `decision.Calibration`.
        accuracy: figures that the build measured.
        next_key: hex public key that devices trust from this bundle on; "" for none.
        delta: the two bundles of a delta; `None` for a whole bundle.
    """

    name: str
    sequence: int
    created: str
    files: Mapping[str, FileEntry]
    hashes: Mapping[str, str]
    counts: Mapping[str, int]
    calibration: Mapping[str, Any]
    accuracy: Mapping[str, Any]
    next_key: str = ""
    delta: Delta | None = None

    def to_bytes(self) -> bytes:
        """Return the content of the manifest file."""
        table = {key: value for key, value in asdict(self).items() if value is not None}
        return json.dumps({"format": FORMAT, **table}, indent=1, ensure_ascii=False).encode()

    @classmethod
    def parse(cls, data: bytes, name: str) -> "Manifest":
        """Read a manifest.

        Args:
            data: content of the file.
            name: of the bundle, for error messages.
        Raises:
            BundleError: it is not a manifest, has a newer format, or a key is missing or wrong.
        """
        try:
            table = json.loads(data)
            if table["format"] != FORMAT:
                raise BundleError(
                    f"{name}: bundle format {table['format']}; this version reads {FORMAT}, upgrade edgesearch."
                )
            return cls(
                name=str(table["name"]),
                sequence=int(table["sequence"]),
                created=str(table["created"]),
                files={_check_member_name(key): _parse_entry(entry) for key, entry in table["files"].items()},
                hashes={str(key): str(value) for key, value in table["hashes"].items()},
                counts={str(key): int(value) for key, value in (COUNTS | table["counts"]).items()},
                calibration=dict(table["calibration"]),
                accuracy=dict(table["accuracy"]),
                next_key=_check_key(str(table.get("next_key", ""))),
                delta=_parse_delta(table["delta"]) if "delta" in table else None,
            )
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise BundleError(f"{name}: its manifest is damaged ({error}); copy or build the bundle again.") from error


def _parse_entry(table: Mapping[str, Any]) -> FileEntry:
    return FileEntry(int(table["size"]), str(table["sha256"]))


def _check_key(text: str) -> str:
    if not PUBLIC_KEY.fullmatch(text):
        raise ValueError(f"next_key {text[:80]!r}")
    return text


def _parse_delta(table: Mapping[str, Any]) -> Delta:
    base, digest, sha256 = (_check_digest(str(table[key])) for key in ("base", "digest", "sha256"))
    return Delta(base, digest, int(table["size"]), sha256)


def _check_digest(text: str) -> str:
    if not DIGEST.fullmatch(text):
        raise ValueError(f"digest {text[:80]!r}")
    return text


def _check_member_name(name: str) -> str:
    if not MEMBER_NAME.fullmatch(name):
        raise ValueError(f"member name {name!r}")
    return name
