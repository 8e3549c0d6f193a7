"""Measure how long an interactive thread, such as a window's, waits while others search; how soon a search stops.

A ticker sleeps for 1 ms again and again. It notes how late it wakes up (`gap`), and how much of that time this process
was running (`own`). The rest is due to the system, which gives other processes a turn while a thread waits or holds the
interpreter's lock. Searches in another process show the cost without that lock.

In a search only Python code holds the lock, and releases it every 5 ms. Pillow holds it longest: 27 ms while it
allocates 12 megapixels for a PNG, and 42 ms while it decodes as large a WebP. JPEGs are decoded at a smaller size.
"""

import argparse
import io
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from demo_shop import write_catalogue
from PIL import Image

import edgesearch

from .context import SEED, Results
from .processes import in_fresh_process

TICK_S = 0.001
FRAME_MS = 16.0
ROUNDS = 4
CAMERA = (4000, 3000)  # px of a phone's photo
STARTS = 5


def measure(products: int, folder: Path, seed: int) -> dict[str, float]:
    """Measure gaps in ms: idle, while another process or other threads search, and while large files are decoded.

    Args:    products: number of products of the drawn shop; folder: where it is made.
    """
    write_catalogue(folder, products=products, unknown=2, photos=1, seed=seed)
    edgesearch.build(folder / "catalogue.csv", folder / "shop.edge")
    edgesearch.install(folder / "shop.edge", folder / "device")
    photos = sorted((folder / "photos").glob("*.jpg"))
    found = _measure_starts(folder / "device", photos[0])
    with edgesearch.open(folder / "device") as store:
        store.warm_up(words=True).result()
        searching = [lambda: _search_all(store, photos)]
        cases: dict[str, Callable[[], object]] = {
            "idle": lambda: time.sleep(2),
            "other_process": lambda: _search_in_process(folder / "device", photos),
            "search": lambda: _run_together(searching),
            "two_searches": lambda: _run_together(searching * 2),
            "search_switching_1_ms": lambda: _with_switch_interval(0.001, searching),
            "two_searches_switching_1_ms": lambda: _with_switch_interval(0.001, searching * 2),
            "words": lambda: [store.search(text="a red one under 5") for _ in range(10 * ROUNDS)],
            "enrol": lambda: [store.enrol(f"NEW{i}", photos[:1], name=f"New {i}") for i in range(ROUNDS)],
            "open": lambda: [edgesearch.open(folder / "device") for _ in range(ROUNDS)],
        }
        for kind in ("JPEG", "PNG", "WEBP"):
            camera = _camera_photo(photos[0], kind)
            cases[f"12_megapixel_{kind.lower()}"] = lambda camera=camera: [  # type: ignore[misc]
                store.search(camera) for _ in range(ROUNDS)
            ]
        for name, work in cases.items():
            found |= {f"{name}_{part}": value for part, value in _measure_gaps(work).items()}
        found |= _measure_stops(store, photos)
    return found


def _measure_gaps(work: Callable[[], object]) -> dict[str, float]:
    """Return how late a ticker is while the work runs, in total and due to this process (p50, p99, maximum,
    share above a frame).
    """
    late: list[float] = []
    own: list[float] = []
    thread = threading.Thread(target=work)
    before, worked = time.perf_counter(), time.process_time()
    thread.start()
    while thread.is_alive():
        time.sleep(TICK_S)
        now, busy = time.perf_counter(), time.process_time()
        late.append((now - before - TICK_S) * 1000)
        own.append(min(late[-1], (busy - worked) * 1000))
        before, worked = now, busy
    found: dict[str, float] = {}
    for name, values in (("gap", late), ("own", own)):
        middle, most, longest = np.percentile(values, [50, 99, 100])
        found |= {f"{name}_p50_ms": float(middle), f"{name}_p99_ms": float(most), f"{name}_max_ms": float(longest)}
        found[f"{name}_above_a_frame"] = float(np.mean(np.array(values) > FRAME_MS))
    return found


def _search_all(store: edgesearch.Store, photos: Sequence[Path]) -> None:
    for photo in [*photos] * ROUNDS:
        store.search(photo)


def _run_together(works: Sequence[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _with_switch_interval(interval_s: float, works: Sequence[Callable[[], None]]) -> None:
    """Run works together while the interpreter's lock is handed over every `interval_s` (default of Python: 5 ms)."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(interval_s)
    try:
        _run_together(works)
    finally:
        sys.setswitchinterval(before)


def _search_in_process(device: Path, photos: Sequence[Path]) -> None:
    code = (
        "import sys, edgesearch; store = edgesearch.open(sys.argv[1])\n"
        "for photo in sys.argv[3:] * int(sys.argv[2]): store.search(photo)"
    )
    command = [sys.executable, "-c", code, str(device), str(ROUNDS), *map(str, photos)]
    subprocess.run(command, check=True)  # noqa: S603  # ours


def _camera_photo(photo: Path, kind: str) -> bytes:
    with Image.open(photo) as image:
        data = io.BytesIO()
        image.resize(CAMERA).save(data, kind, **({"compress_level": 1} if kind == "PNG" else {}))
    return data.getvalue()


def first_and_next(device: str, photo: str, warm: str) -> str:
    """Return the ms of this process's first two searches; warm: "1" to warm up before."""
    with edgesearch.open(device) as store:
        if int(warm):
            store.warm_up().result()
        times = []
        for _ in range(2):
            start = time.perf_counter()
            store.search(photo)
            times.append((time.perf_counter() - start) * 1000)
    return " ".join(map(str, times))


def _measure_starts(device: Path, photo: Path) -> dict[str, float]:
    """Return the median ms of the first two searches of new processes, without and with a warm-up."""
    times: dict[int, list[list[float]]] = {0: [], 1: []}
    for warm in [0, 1] * STARTS:
        output = in_fresh_process("window_latency", "first_and_next", device, photo, warm)
        times[warm].append([float(part) for part in output.split()])
    (first, after), (warmed, after_warmed) = (np.median(times[warm], 0).tolist() for warm in (0, 1))
    return {
        "first_search_ms": first,
        "next_search_ms": after,
        "warmed_first_search_ms": warmed,
        "warmed_next_search_ms": after_warmed,
    }


def _measure_stops(store: edgesearch.Store, photos: Sequence[Path]) -> dict[str, float]:
    """Stop searches 20 ms after they start; return the ms until they end."""
    took = []
    for photo in photos:
        with edgesearch.Stop() as stop:
            signalled: list[float] = []

            def signal_stop(stop: edgesearch.Stop = stop, signalled: list[float] = signalled) -> None:
                signalled.append(time.perf_counter())
                stop.set()

            threading.Timer(0.02, signal_stop).start()
            try:
                store.search(photo)
            except edgesearch.StoppedError:
                took.append((time.perf_counter() - signalled[0]) * 1000)
    return {"stopped_p50_ms": float(np.median(took)), "stopped_max_ms": max(took)} if took else {}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument("--products", type=int, default=60, help="number of drawn products (default: 60)")


def run(options: argparse.Namespace, folder: Path) -> Results:
    """Run the benchmark."""
    return measure(options.products, folder, SEED) | {"products": options.products}
