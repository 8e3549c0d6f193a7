"""Search in a process that `doctor` has started to measure it; this module loads what a search needs, and no more."""

import contextlib
import json
import sys
import time
from pathlib import Path

from ..embedding.run_settings import Settings
from ..store.store import Store

SETTLE_S, IDLE_S = 0.2, 1.5  # numpy's threads spin for 0.1 s after an answer
WARM_UP_SEARCHES = 3  # after the first one, before memory is measured


def run(path: str, settings: str, photo: str) -> None:
    """Run what `doctor.Start` measures; print moments (seconds since 1970), memory and idle load as JSON."""
    moments = [time.time()]
    store = Store(Path(path), settings=Settings(**json.loads(settings)))
    moments.append(time.time())
    store.search(photo)
    moments.append(time.time())
    for _ in range(WARM_UP_SEARCHES):
        store.search(photo)
    memory = _memory_bytes()
    time.sleep(SETTLE_S)
    busy = time.process_time()
    time.sleep(IDLE_S)
    idle_cpu = (time.process_time() - busy) / IDLE_S
    print(json.dumps([moments, memory, idle_cpu]))  # noqa: T201  # read by `doctor.measure_start`
    store.close()


def _memory_bytes() -> tuple[int | None, int | None]:
    """Return the resident memory of this process in bytes, and the part that no file backs; None if unknown."""
    with contextlib.suppress(OSError, KeyError), open("/proc/self/status", encoding="ascii") as file:
        lines = dict(line.split(":", 1) for line in file)
        resident, own = (int(lines[name].split()[0]) * 1024 for name in ("VmRSS", "RssAnon"))
        return resident, own
    with contextlib.suppress(ImportError):  # Windows
        import resource

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most * (1 if sys.platform == "darwin" else 1024), None
    return None, None
