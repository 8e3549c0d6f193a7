"""The file `current` of a device folder: which slot runs, and what each slot contains."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from .._util.hashing import hash_json
from ..bundle.manifest import DIGEST
from ..errors import DeviceError

FORMAT = 2  # format 1 had no hash of itself
SLOT_NAMES = ("a", "b")


@dataclass(frozen=True)
class SlotState:
    """The content of `current`.

    Attributes:
        slot: Slot that runs.
        highest: Highest sequence number that was installed; no bundle below it may be installed.
        installed: Hash of the manifest in each slot.
        trusting: Whether `trusted.pub` contains keys.
        encrypted: Whether the folder is encrypted.
        guarded: Whether PINs or tokens were set up.
    """

    slot: str
    highest: int
    installed: Mapping[str, str] = field(default_factory=dict)
    trusting: bool = False
    encrypted: bool = False
    guarded: bool = False

    @property
    def other_slot(self) -> str:
        """The slot that does not run."""
        return SLOT_NAMES[1 - SLOT_NAMES.index(self.slot)]

    def to_bytes(self) -> bytes:
        """Return the content of the file."""
        table = {"format": FORMAT, **asdict(self)}
        return json.dumps({**table, "sha256": hash_json(table)}).encode()

    @classmethod
    def parse(cls, data: bytes, name: str) -> "SlotState":
        """Read the content of a file; raise DeviceError if it is damaged or of another format."""
        try:
            table = json.loads(data)
            if table["format"] != FORMAT:
                raise DeviceError(
                    f"{name}: device format {table['format']}; this version reads {FORMAT}, upgrade edgesearch."
                )
            if table.pop("sha256") != hash_json(table):
                raise ValueError("its numbers changed")
            flags = bool(table["trusting"]), bool(table["encrypted"]), bool(table.get("guarded", False))
            state = cls(table["slot"], int(table["highest"]), dict(table["installed"]), *flags)
            installed = state.installed.items()
            wrong = [key for key, digest in installed if not (key in SLOT_NAMES and DIGEST.fullmatch(digest))]
            if wrong or state.slot not in state.installed:
                raise ValueError(f"slots {wrong or state.slot!r}")
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise DeviceError(f"{name}: is damaged ({error}); restore it, or make a new device folder.") from error
        return state
