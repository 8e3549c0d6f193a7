"""Measure how a store runs on this very device, and choose its settings: kernels, threads, crops.

Kernels: a bundle brings one network, quantized. onnxruntime computes it in int8; or, told to leave it unfused, in
float, rounding to the same quantized values between the operators, so that the same index answers. On an AMD EPYC with
AVX2 that takes twice as long (18.1 ms against 8.9 a look; the float file 12.2), and so int8 it is. Where integer
kernels are slow, or wrong so that the golden queries are not answered, it may be the other way round.

Photos: two of the store's own reference images side by side. The vector cannot be sure of one of them, so the print is
looked at: what is measured are the photos that take longest.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..building.build import build
from ..bundle.bundle_file import Bundle
from ..device.slots import Slots, open_bundle
from ..embedding.embedder import default_model
from ..embedding.run_settings import DEFAULT, FLOAT, INT8, ONE_CROP, Environment, Settings
from ..errors import BundleError, DeviceError
from ..images import crops, image
from ..search.open_bundle import PICTURES, open_catalog, place
from ..store.store import Store

FASTER_KERNELS = 1.2  # times, that float kernels must be faster: they are not those the index was measured with
LEAST_AGREEMENT = 0.995  # median cosine of their embeddings and those of int8; another object is found now and then
FASTER_THREADS = 1.3  # times, that more threads must be faster: each burns as much battery as the first
BUDGET_MS = 300.0  # of a photo with three looks; a person waits so long without noticing it
PHOTOS = 8
PHOTO_SIDE = 480  # px; of each of the two pictures in a photo
CONTEST_S = 2.0  # of photos, asked with each of some settings in turn; each at least once
CONTESTS_S = 8.0  # after which nothing is tried that can be left out
STARTS, STARTS_S = 3, 13.0  # processes started, and seconds after which no other one is
SETTLE_S, IDLE_S = 0.2, 1.5  # threads of numpy go on for 0.1 s after an answer, in case there is more to do
FIRST_ANSWERS = 3  # after the first, before memory is measured
DRAWN_PICTURES = 3


@dataclass(frozen=True)
class Trial:
    """Photos asked with some settings.

    Attributes: median_ms, p95_ms: of a photo; photos: asked; agreement: median cosine of the embeddings to those of
                int8 kernels; golden: whether the bundle's golden queries are answered as where it was built.
    """

    settings: Settings
    median_ms: float
    p95_ms: float
    photos: int
    agreement: float
    golden: bool


@dataclass(frozen=True)
class Start:
    """A process from its start to its first answers, and at rest.

    Attributes: import_ms, open_ms, answer_ms: one after the other; the import from the very start of the process;
                resident_bytes: what it holds then (where there is no /proc, the most it held); own_bytes: of these,
                what no file backs; both None where unknown; idle_cpu: share of one processor.
    """

    import_ms: float
    open_ms: float
    answer_ms: float
    resident_bytes: int | None
    own_bytes: int | None
    idle_cpu: float

    @property
    def total_ms(self) -> float:
        """To the first answer."""
        return self.import_ms + self.open_ms + self.answer_ms


@dataclass(frozen=True)
class Report:
    """What was measured, what is chosen, and why, a sentence for each choice."""

    place: Environment
    trials: tuple[Trial, ...]
    start: Start
    settings: Settings
    reasons: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return {**asdict(self), "start": asdict(self.start) | {"total_ms": self.start.total_ms}}


class Choice(NamedTuple):
    """Settings that were preferred, and why in one sentence."""

    settings: Settings
    reason: str


def examine(store: Path | None = None, budget_ms: float = BUDGET_MS) -> Report:
    """Measure and choose, in less than 20 s where a photo takes up to half a second; nothing is changed.

    Args:    store: `.edge` file or device folder; None: the shipped model, on a small store that is made for it;
             budget_ms: of a photo, above which one look must do.
    Raises:  EdgeSearchError: the store cannot be opened, or onnxruntime is not installed.
    """
    if store is None:
        with tempfile.TemporaryDirectory(prefix="edgesearch-") as folder:
            return examine(_drawn(Path(folder)), budget_ms)
    began = time.monotonic()
    bundle = open_bundle(store)
    try:
        photos = hard_photos(bundle)
        contests = _Contests(store, photos, began + CONTESTS_S)
        chosen, reasons = _chosen(contests, budget_ms)
        measured_for = place(bundle)
    finally:
        bundle.close()
    starts = [started(store, chosen, photos[0])]
    while len(starts) < STARTS and time.monotonic() < began + STARTS_S:
        starts.append(started(store, chosen, photos[0]))
    middle = sorted(starts, key=lambda one: one.total_ms)[(len(starts) - 1) // 2]
    return Report(measured_for, tuple(contests.trials), middle, chosen, reasons)


def keep(device: Path, report: Report) -> None:
    """Run so on this device from now on; raises DeviceError."""
    Slots(device).settle(report.settings, report.place)


def choose_kernels(int8: Trial, floats: Trial) -> Choice:
    """int8, unless float kernels are clearly faster and see the same, or alone answer the golden queries."""
    times = f"a photo takes {int8.median_ms:.0f} ms with int8 kernels, {floats.median_ms:.0f} ms with float ones"
    if not floats.golden:
        return Choice(int8.settings, f"int8 kernels: float ones do not pass the golden queries ({times}).")
    if floats.agreement < LEAST_AGREEMENT:
        return Choice(int8.settings, f"int8 kernels: float ones see other things (cosine {floats.agreement:.3f}).")
    if not int8.golden:
        return Choice(floats.settings, f"float kernels: int8 ones do not pass the golden queries ({times}).")
    faster = int8.median_ms >= FASTER_KERNELS * floats.median_ms
    return Choice(
        floats.settings if faster else int8.settings,
        f"{FLOAT if faster else INT8} kernels: {times}, which are taken if {FASTER_KERNELS} times faster.",
    )


def choose_threads(trials: Sequence[Trial]) -> Choice:
    """The fewest, unless more are clearly faster; trials: with more and more threads."""
    chosen = trials[0]
    for trial in trials[1:]:
        if chosen.median_ms >= FASTER_THREADS * trial.median_ms:
            chosen = trial
    times = ", ".join(f"{one.median_ms:.0f} ms with {one.settings.threads}" for one in trials)
    number = chosen.settings.threads
    return Choice(
        chosen.settings,
        f"{number} thread{'s' * (number > 1)}: a photo takes {times}; more are taken if {FASTER_THREADS} times faster, "
        "for each costs battery.",
    )


def choose_crops(three: Trial, one: Trial, budget_ms: float) -> Choice:
    """Three, unless they take longer than the budget."""
    times = f"a photo takes {three.median_ms:.0f} ms with three, {one.median_ms:.0f} ms with one, less accurate"
    within = three.median_ms <= budget_ms
    return Choice(
        (three if within else one).settings,
        f"{'three looks' if within else 'one look'}: {times}; the budget is {budget_ms:.0f} ms.",
    )


def hard_photos(bundle: Bundle) -> list[bytes]:
    """JPEGs of two reference images each."""
    with contextlib.closing(open_catalog(bundle)) as catalog:
        places = [place for place in catalog.picture_offsets() if place[1]] or [(0, 0)]
    kept = bundle.open_member(PICTURES)
    chosen = [places[at] for at in np.linspace(0, len(places) - 1, PHOTOS + 1).astype(int).tolist()]
    pictures = [image.read(bytes(kept.read(start, start + size))) for start, size in chosen]
    halves = [image.crop_square(picture, crops.whole_crop(picture.shape[:2]), PHOTO_SIDE) for picture in pictures]
    return [image.thumbnail(np.hstack(halves[i : i + 2]), 2 * PHOTO_SIDE) for i in range(PHOTOS)]


def started(store: Path, settings: Settings, photo: bytes) -> Start:
    """Start a process that opens the store and is asked a photo; raises DeviceError: it fails."""
    code = "import sys; from edgesearch.evaluation.doctor import live; live(*sys.argv[1:])"
    with tempfile.TemporaryDirectory(prefix="edgesearch-") as folder:
        asked = Path(folder) / "photo.jpg"
        asked.write_bytes(photo)
        command = [sys.executable, "-P", "-c", code, str(store), json.dumps(asdict(settings)), str(asked)]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        start = time.time()
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603  # ours
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        raise DeviceError(f"{store}: a process of its own could not open it ({said}); try `edgesearch search` there.")
    moments, (resident_bytes, own_bytes), idle_cpu = json.loads(done.stdout)
    import_ms, open_ms, answer_ms = (np.diff([start, *moments]) * 1000).tolist()
    return Start(import_ms, open_ms, answer_ms, resident_bytes, own_bytes, idle_cpu)


def live(path: str, settings: str, photo: str) -> None:
    """What `Start` measures, inside the fresh process; prints moments (seconds since 1970) and the rest as JSON."""
    moments = [time.time()]
    store = Store(Path(path), settings=Settings(**json.loads(settings)))
    moments.append(time.time())
    store.search(photo)
    moments.append(time.time())
    for _ in range(FIRST_ANSWERS):
        store.search(photo)
    memory = _memory()
    time.sleep(SETTLE_S)
    busy = time.process_time()
    time.sleep(IDLE_S)
    idle_cpu = (time.process_time() - busy) / IDLE_S
    print(json.dumps([moments, memory, idle_cpu]))  # noqa: T201  # to the process that started this one
    store.close()


class _Contests:
    """Settings compared on one store: in turn on each photo, for other work comes and goes on a device."""

    def __init__(self, path: Path, photos: Sequence[bytes], until: float):
        self._path, self._photos, self._until = path, photos, until
        # By kernels: embeddings, and if golden queries are right.
        self._seen: dict[str, tuple[np.ndarray, bool]] = {}
        self.trials: list[Trial] = []

    @property
    def timely(self) -> bool:
        return time.monotonic() < self._until

    def compare(self, *contestants: Settings) -> list[Trial]:
        """int8 kernels come first."""
        with contextlib.ExitStack() as stack:
            stores = [stack.enter_context(Store(self._path, settings=one)) for one in contestants]
            sees = [self._sees(store) for store in stores]
            times = np.array(_timed_ms([store.search for store in stores], self._photos))
        medians, p95s = np.percentile(times, [50, 95], axis=0).tolist()
        trials = list(map(Trial, contestants, medians, p95s, [len(times)] * len(sees), *zip(*sees, strict=True)))
        self.trials += trials
        return trials

    def _sees(self, store: Store) -> tuple[float, bool]:
        """Agreement with int8 kernels, and if the golden queries are answered; more threads compute the
        same.
        """
        kernels = store.settings.kernels
        if kernels not in self._seen:
            self._seen[kernels] = store.embed(self._photos, fast=True), _golden(store)
        embeddings, golden = self._seen[kernels]
        return float(np.median((embeddings * self._seen[INT8][0]).sum(1))), golden


def _chosen(contests: _Contests, budget_ms: float) -> tuple[Settings, tuple[str, ...]]:
    kernels = choose_kernels(*contests.compare(DEFAULT, replace(DEFAULT, kernels=FLOAT)))
    settings = kernels.settings
    threads = Choice(settings, "1 thread: there was no time to try more.")
    if contests.timely:
        numbers = [replace(settings, threads=number) for number in _thread_numbers()]
        threads = choose_threads(contests.compare(*numbers))
    three, one = contests.compare(threads.settings, replace(threads.settings, crops=ONE_CROP))
    looked = choose_crops(three, one, budget_ms)
    return looked.settings, tuple(choice.reason for choice in (kernels, threads, looked))


def _thread_numbers() -> list[int]:
    """1, 2, 4 and so on, up to as many as there are processors for this process."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return [number for number in (2**i for i in range(10)) if number <= cores]


def _timed_ms(searches: Sequence[Callable[[bytes], object]], photos: Sequence[bytes]) -> list[list[float]]:
    """A row a photo, a column a search."""
    for search in searches:
        search(photos[0])  # loads what is loaded at first use
    rows: list[list[float]] = []
    until = time.perf_counter() + CONTEST_S
    while not rows or time.perf_counter() < until:
        moments = [time.perf_counter()]
        for search in searches:
            search(photos[len(rows) % len(photos)])
            moments.append(time.perf_counter())
        rows.append((np.diff(moments) * 1000).tolist())
    return rows


def _golden(store: Store) -> bool:
    try:
        store.self_test()
    except BundleError:
        return False
    return True


def _memory() -> tuple[int | None, int | None]:
    """Bytes of memory that this process holds, and those that are its own; None where unknown."""
    with contextlib.suppress(OSError, KeyError), open("/proc/self/status", encoding="ascii") as file:
        lines = dict(line.split(":", 1) for line in file)
        resident, own = (int(lines[name].split()[0]) * 1024 for name in ("VmRSS", "RssAnon"))
        return resident, own
    with contextlib.suppress(ImportError):  # Windows
        import resource

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most * (1 if sys.platform == "darwin" else 1024), None
    return None, None


def _drawn(folder: Path) -> Path:
    """A store of coloured tiles."""
    rng = np.random.default_rng(0)
    lines = ["sku,name,images"]
    for number in range(DRAWN_PICTURES):
        tiles = rng.integers(0, 256, (12, 12, 3), np.uint8).repeat(24, 0).repeat(24, 1)
        (folder / f"{number}.jpg").write_bytes(image.thumbnail(tiles, len(tiles)))
        lines.append(f"{number},Tiles {number},{number}.jpg")
    (folder / "catalogue.csv").write_text("\n".join(lines), encoding="utf-8")
    build(folder / "catalogue.csv", folder / "drawn.edge", default_model())
    return folder / "drawn.edge"
