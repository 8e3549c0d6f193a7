"""The manifest: what a bundle says it holds, with a hash of every byte.

JSON, UTF-8. `format` is read first; the rest is read key by key into `Manifest`.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..errors import BundleError

FORMAT = 1
COUNTS = {"products": 0, "pictures": 0}
DIGEST = re.compile(r"[0-9a-f]{64}")
PUBLIC_KEY = re.compile(r"([0-9a-f]{64})?")
# Members lie in folders of plain names: no path can leave the folder a bundle is unpacked into.
MEMBER_NAME = re.compile(r"[a-z0-9_][a-z0-9_.]*(/[a-z0-9_][a-z0-9_.]*)*")


@dataclass(frozen=True)
class FileEntry:
    """One member of a bundle."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Delta:
    """What a delta makes of what.

    Attributes: base: digest of the bundle it changes; digest: of the one it ends in; size, sha256: of that one's file.
    """

    base: str
    digest: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What a bundle holds.

    Attributes: created: ISO 8601, UTC; files: every member but the manifest itself; hashes: of "model",
                "preprocessing", "codebook" and "index", which bind the parts to each other; counts: "products",
                "pictures" and others; calibration: the fields of `decision.Calibration`; accuracy: figures measured at
                build; sequence: a device goes up only; next_key: hex public key that devices trust from then on, ""
                for none; delta: None for a whole bundle.
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
        """The manifest file."""
        table = {key: value for key, value in asdict(self).items() if value is not None}
        return json.dumps({"format": FORMAT, **table}, indent=1, ensure_ascii=False).encode()

    @classmethod
    def parse(cls, data: bytes, name: str) -> "Manifest":
        """Read a manifest; name: what to call the bundle in errors.

        Raises:  BundleError: not a manifest, of a newer format, or a key is missing or wrong.
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
                files={_member(key): FileEntry(int(f["size"]), str(f["sha256"])) for key, f in table["files"].items()},
                hashes={str(key): str(value) for key, value in table["hashes"].items()},
                counts={str(key): int(value) for key, value in (COUNTS | table["counts"]).items()},
                calibration=dict(table["calibration"]),
                accuracy=dict(table["accuracy"]),
                next_key=_key(str(table.get("next_key", ""))),
                delta=_delta(table["delta"]) if "delta" in table else None,
            )
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise BundleError(f"{name}: its manifest is damaged ({error}); copy or build the bundle again.") from error


def _key(text: str) -> str:
    if not PUBLIC_KEY.fullmatch(text):
        raise ValueError(f"next_key {text[:80]!r}")
    return text


def _delta(table: Mapping[str, Any]) -> Delta:
    base, digest, sha256 = (_digest(str(table[key])) for key in ("base", "digest", "sha256"))
    return Delta(base, digest, int(table["size"]), sha256)


def _digest(text: str) -> str:
    if not DIGEST.fullmatch(text):
        raise ValueError(f"digest {text[:80]!r}")
    return text


def _member(name: str) -> str:
    if not MEMBER_NAME.fullmatch(name):
        raise ValueError(f"member name {name!r}")
    return name
