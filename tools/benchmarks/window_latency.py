"""How long a thread that must not wait, such as a window's, waits while others search; how soon a search stops.

A ticker sleeps for 1 ms again and again and notes how late it comes (`gap`), and for how much of that this process was
at work at all (`own`): the rest is the system's, which on a busy machine gives others their turn while a thread waits,
or while one holds the interpreter's lock. Searches in another process show what they cost without that lock.

What holds that lock longest: in a search nothing but Python itself, which gives way every 5 ms; Pillow, while it makes
room for 12 megapixels of PNG (27 ms) and while it decodes as much WebP (42 ms). JPEGs are decoded smaller.
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

from .context import SEED, Found
from .processes import in_fresh_process

TICK_S = 0.001
FRAME_MS = 16.0
ROUNDS = 4
CAMERA = (4000, 3000)  # px, of a phone
STARTS = 5


def measure(products: int, folder: Path, seed: int) -> dict[str, float]:
    """Gaps in ms while nothing happens, while another process and while other threads search, and while files are read.

    Args:    products: of the drawn shop that is searched; folder: where it is made.
    """
    write_catalogue(folder, products=products, unknown=2, photos=1, seed=seed)
    edgesearch.build(folder / "catalogue.csv", folder / "shop.edge")
    edgesearch.install(folder / "shop.edge", folder / "device")
    photos = sorted((folder / "photos").glob("*.jpg"))
    found = _starts(folder / "device", photos[0])
    with edgesearch.open(folder / "device") as store:
        store.warm_up(words=True).result()
        searching = [lambda: _all(store, photos)]
        cases: dict[str, Callable[[], object]] = {
            "idle": lambda: time.sleep(2),
            "other_process": lambda: _in_process(folder / "device", photos),
            "search": lambda: _together(searching),
            "two_searches": lambda: _together(searching * 2),
            "search_switching_1_ms": lambda: _switching(0.001, searching),
            "two_searches_switching_1_ms": lambda: _switching(0.001, searching * 2),
            "words": lambda: [store.search(text="a red one under 5") for _ in range(10 * ROUNDS)],
            "enrol": lambda: [store.enrol(f"NEW{i}", photos[:1], name=f"New {i}") for i in range(ROUNDS)],
            "open": lambda: [edgesearch.open(folder / "device") for _ in range(ROUNDS)],
        }
        for kind in ("JPEG", "PNG", "WEBP"):
            camera = _camera(photos[0], kind)
            cases[f"12_megapixel_{kind.lower()}"] = lambda camera=camera: [  # type: ignore[misc]
                store.search(camera) for _ in range(ROUNDS)
            ]
        for name, work in cases.items():
            found |= {f"{name}_{part}": value for part, value in _gaps(work).items()}
        found |= _stops(store, photos)
    return found


def _gaps(work: Callable[[], object]) -> dict[str, float]:
    """How late a ticker comes meanwhile, and what of it is this process's own: p50, p99, max, share above a frame."""
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


def _all(store: edgesearch.Store, photos: Sequence[Path]) -> None:
    for photo in [*photos] * ROUNDS:
        store.search(photo)


def _together(works: Sequence[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _switching(interval_s: float, works: Sequence[Callable[[], None]]) -> None:
    """As `_together`, where the interpreter hands its lock over so often; it does every 5 ms unless it is told."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(interval_s)
    try:
        _together(works)
    finally:
        sys.setswitchinterval(before)


def _in_process(device: Path, photos: Sequence[Path]) -> None:
    code = (
        "import sys, edgesearch; store = edgesearch.open(sys.argv[1])\n"
        "for photo in sys.argv[3:] * int(sys.argv[2]): store.search(photo)"
    )
    command = [sys.executable, "-c", code, str(device), str(ROUNDS), *map(str, photos)]
    subprocess.run(command, check=True)  # noqa: S603  # ours


def _camera(photo: Path, kind: str) -> bytes:
    with Image.open(photo) as image:
        data = io.BytesIO()
        image.resize(CAMERA).save(data, kind, **({"compress_level": 1} if kind == "PNG" else {}))
    return data.getvalue()


def first_and_next(device: str, photo: str, warm: str) -> str:
    """The first search of this process and the one after it, in ms; warm: "1", it was warmed up before."""
    with edgesearch.open(device) as store:
        if int(warm):
            store.warm_up().result()
        times = []
        for _ in range(2):
            start = time.perf_counter()
            store.search(photo)
            times.append((time.perf_counter() - start) * 1000)
    return " ".join(map(str, times))


def _starts(device: Path, photo: Path) -> dict[str, float]:
    """Medians in ms, of new processes, of the first search and the next one, without and with a warm-up."""
    times: dict[int, list[list[float]]] = {0: [], 1: []}
    for warm in [0, 1] * STARTS:
        said = in_fresh_process("window_latency", "first_and_next", device, photo, warm)
        times[warm].append([float(part) for part in said.split()])
    (first, after), (warmed, after_warmed) = (np.median(times[warm], 0).tolist() for warm in (0, 1))
    return {
        "first_search_ms": first,
        "next_search_ms": after,
        "warmed_first_search_ms": warmed,
        "warmed_next_search_ms": after_warmed,
    }


def _stops(store: edgesearch.Store, photos: Sequence[Path]) -> dict[str, float]:
    """From being told to stop, 20 ms after the search began, to being stopped, in ms."""
    took = []
    for photo in photos:
        with edgesearch.Stop() as stop:
            told: list[float] = []

            def tell(stop: edgesearch.Stop = stop, told: list[float] = told) -> None:
                told.append(time.perf_counter())
                stop.set()

            threading.Timer(0.02, tell).start()
            try:
                store.search(photo)
            except edgesearch.StoppedError:
                took.append((time.perf_counter() - told[0]) * 1000)
    return {"stopped_p50_ms": float(np.median(took)), "stopped_max_ms": max(took)} if took else {}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How many."""
    parser.add_argument("--products", type=int, default=60, help="drawn (default: 60)")


def run(options: argparse.Namespace, folder: Path) -> Found:
    """As `measure`."""
    return measure(options.products, folder, SEED) | {"products": options.products}
