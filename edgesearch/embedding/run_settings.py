"""How a store runs on one device: what `doctor` chose there, and for what, in the device folder's `settings.json`.

JSON, UTF-8: `format`, then the fields of `Settings` under `settings` and those of `Place` under `measured_for`.
"""

import json
import platform
from dataclasses import asdict, dataclass, replace

from ..errors import DeviceError
from .runtime import ONNXRUNTIME, RUNTIMES

FORMAT = 1
FILE = "settings.json"
INT8, FLOAT = "int8", "float"
THREE_CROPS, ONE_CROP = 3, 1
MOST_THREADS = 1024
_CPUINFO, _CPUINFO_BYTES = "/proc/cpuinfo", 4096  # the first processor's part


@dataclass(frozen=True)
class Settings:
    """Attributes: kernels: the network's arithmetic, "int8" or "float"; threads: of the network, for one photo; crops:
    at a photo, 3, or 1 as with `fast`; runtime: which computes the network, one of `RUNTIMES`; float kernels are
    onnxruntime's alone.
    """

    kernels: str = INT8
    threads: int = 1
    crops: int = THREE_CROPS
    runtime: str = ONNXRUNTIME

    def __post_init__(self) -> None:
        """Raises ValueError: settings that cannot be."""
        threads = type(self.threads) is int and 1 <= self.threads <= MOST_THREADS
        if self.runtime not in RUNTIMES:
            raise ValueError(f"runtime {self.runtime!r}; expected {' or '.join(RUNTIMES)}.")
        computed = self.kernels == INT8 or (self.kernels == FLOAT and self.runtime == ONNXRUNTIME)
        if not threads or not computed or self.crops not in (ONE_CROP, THREE_CROPS):
            raise ValueError(f"settings {asdict(self)}")

    @property
    def as_built(self) -> bool:
        """Whether the network is computed as where bundles are built."""
        return self.kernels == INT8 and self.runtime == ONNXRUNTIME

    def on(self, runtime: str) -> "Settings":
        """The same on another runtime, with the kernels that each has."""
        return replace(self, runtime=runtime, kernels=self.kernels if runtime == ONNXRUNTIME else INT8)


@dataclass(frozen=True)
class Place:
    """What settings were measured for: for any other network, runtime or processor they say nothing.

    Attributes: model: hash of the network; runtime: version of what computes it; processor: its name.
    """

    model: str
    runtime: str
    processor: str


DEFAULT = Settings()


def to_bytes(settings: Settings, place: Place) -> bytes:
    """The file that `parse` reads."""
    return json.dumps({"format": FORMAT, "settings": asdict(settings), "measured_for": asdict(place)}).encode()


def parse(data: bytes, name: str) -> tuple[Settings, Place]:
    """Read the file; raises DeviceError: not such a file; name: what to call it."""
    try:
        table = json.loads(data)
        if table["format"] != FORMAT:
            raise DeviceError(
                f"{name}: settings format {table['format']}; this version reads {FORMAT}, run `edgesearch "
                "doctor` again."
            )
        chosen, place = table["settings"], table["measured_for"]
        return (
            Settings(
                chosen["kernels"],
                chosen["threads"],
                chosen["crops"],
                chosen.get("runtime", ONNXRUNTIME),  # files of before have none
            ),
            Place(str(place["model"]), str(place["runtime"]), str(place["processor"])),
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise DeviceError(f"{name}: is damaged ({error}); run `edgesearch doctor` on its folder again.") from error


def processor() -> str:
    """The processor's name, where the system tells it; else its architecture."""
    try:
        with open(_CPUINFO, encoding="utf-8", errors="replace") as file:
            lines = [line.partition(":") for line in file.read(_CPUINFO_BYTES).splitlines()]
    except OSError:
        lines = []
    told = {key.strip(): value.strip() for key, _, value in reversed(lines)}
    return told.get("model name") or told.get("CPU part") or platform.machine()
