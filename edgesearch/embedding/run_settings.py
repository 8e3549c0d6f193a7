"""Store the settings that `edgesearch doctor` chose for a device in `settings.json` of the device folder.

JSON, UTF-8: `format`, then the fields of `Settings` under `settings` and those of `Environment` under `measured_for`.
"""

import json
import platform
from dataclasses import asdict, dataclass

from ..errors import DeviceError

FORMAT = 1
FILE = "settings.json"
INT8, FLOAT = "int8", "float"
THREE_CROPS, ONE_CROP = 3, 1
MAX_THREADS = 1024
_CPUINFO, _CPUINFO_BYTES = "/proc/cpuinfo", 4096  # enough for the first processor's entry


@dataclass(frozen=True)
class Settings:
    """Choice of how a device computes embeddings.

    Attributes:
        kernels: arithmetic of the network, "int8" or "float".
        threads: threads for one photo.
        crops: crops of a photo that are embedded, 3, or 1 as with `fast`.
    """

    kernels: str = INT8
    threads: int = 1
    crops: int = THREE_CROPS

    def __post_init__(self) -> None:
        """Raise ValueError for unknown kernels or an impossible number of threads or crops."""
        threads_valid = type(self.threads) is int and 1 <= self.threads <= MAX_THREADS
        if self.kernels not in (INT8, FLOAT) or not threads_valid or self.crops not in (ONE_CROP, THREE_CROPS):
            raise ValueError(f"settings {asdict(self)}")

    @property
    def as_built(self) -> bool:
        """True if the network computes with the arithmetic that bundles are built with."""
        return self.kernels == INT8


@dataclass(frozen=True)
class Environment:
    """Network, onnxruntime and processor that settings were measured for; they hold for no others.

    Attributes:
        model: hash of the network.
        runtime: version of onnxruntime.
        processor: name of the processor.
    """

    model: str
    runtime: str
    processor: str


DEFAULT = Settings()


def to_bytes(settings: Settings, measured_for: Environment) -> bytes:
    """Return the content of a settings file; `parse` reads it."""
    table = {"format": FORMAT, "settings": asdict(settings), "measured_for": asdict(measured_for)}
    return json.dumps(table).encode()


def parse(data: bytes, name: str) -> tuple[Settings, Environment]:
    """Read the content of a settings file.

    Args:
        data: the file's bytes.
        name: of the file, for error messages.
    Raises:
        DeviceError: the content is damaged or of another format.
    """
    try:
        table = json.loads(data)
        if table["format"] != FORMAT:
            raise DeviceError(
                f"{name}: settings format {table['format']}; this version reads {FORMAT}, run `edgesearch "
                "doctor` again."
            )
        chosen, measured_for = table["settings"], table["measured_for"]
        return (
            Settings(chosen["kernels"], chosen["threads"], chosen["crops"]),
            Environment(str(measured_for["model"]), str(measured_for["runtime"]), str(measured_for["processor"])),
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise DeviceError(f"{name}: is damaged ({error}); run `edgesearch doctor` on its folder again.") from error


def processor() -> str:
    """Return the processor's name as Linux reports it, or its architecture elsewhere."""
    try:
        with open(_CPUINFO, encoding="utf-8", errors="replace") as file:
            lines = [line.partition(":") for line in file.read(_CPUINFO_BYTES).splitlines()]
    except OSError:
        lines = []
    fields = {key.strip(): value.strip() for key, _, value in reversed(lines)}
    return fields.get("model name") or fields.get("CPU part") or platform.machine()
