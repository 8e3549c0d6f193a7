"""Measure how a store runs on this device, and choose its settings: kernels, threads and crops.

Kernels: a bundle contains one network, quantized. onnxruntime computes it with int8 kernels. With fusion of operators
disabled, it computes in float and rounds to the same quantized values between the operators, so that the same index
answers. On an AMD EPYC with AVX2, float takes twice as long (18.1 ms against 8.9 for a crop; the float model 12.2), so
int8 is the default. On a device whose integer kernels are slow, or wrong so that the golden queries fail, float may be
better.

Photos: each shows two of the store's own reference images side by side. Its embedding is sure of neither, so the local
features are compared too: these photos take longest.
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

from .._util import progress
from ..building.entry_point import build
from ..bundle.bundle_file import Bundle
from ..device.slots import Slots, open_bundle
from ..embedding.run_settings import DEFAULT, FLOAT, INT8, ONE_CROP, Environment, Settings
from ..embedding.shipped_models import default_model
from ..errors import BundleError, DeviceError
from ..images import crops, image
from ..search.open_bundle import PICTURES, open_catalog, open_embedder, run_environment
from ..store.store import Store
from . import model_costs
from .model_costs import ModelCost

FASTER_KERNELS = 1.2  # speed-up that float kernels need; the index was measured with int8 kernels
MIN_AGREEMENT = 0.995  # median cosine of float and int8 embeddings; now and then another object of a photo is found
FASTER_THREADS = 1.3  # speed-up that more threads need; each uses as much battery as the first
BUDGET_MS = 300.0  # for a photo with three crops; a person does not notice a shorter wait
PHOTOS = 8
PHOTO_SIDE = 480  # px; of each of the two pictures in a photo
COMPARISON_S = 2.0  # time for one comparison of settings; each searches at least one photo
COMPARISONS_S = 8.0  # after this time, optional comparisons are skipped
STARTS, STARTS_S = 3, 13.0  # processes to start, and time after which no further one is started
DRAWN_PICTURES = 3


@dataclass(frozen=True)
class Measurement:
    """Searches with some settings.

    Attributes:
        settings: What the searches ran with.
        median_ms, p95_ms: Time of a photo: the median and the 95th percentile.
        photos: Number of searches.
        agreement: Median cosine of the embeddings and those of int8 kernels.
        golden: Whether the bundle's golden queries give the same results as where it was built.
    """

    settings: Settings
    median_ms: float
    p95_ms: float
    photos: int
    agreement: float
    golden: bool


@dataclass(frozen=True)
class Start:
    """A new process: from its start to its first answers, and at rest.

    Attributes:
        import_ms: From the start of the process to the end of the import.
        open_ms, answer_ms: The next steps.
        resident_bytes: Resident memory after the answers; without /proc, the peak; None if unknown.
        own_bytes: The part of it that no file backs; None if unknown.
        idle_cpu: Share of one processor at rest.
    """

    import_ms: float
    open_ms: float
    answer_ms: float
    resident_bytes: int | None
    own_bytes: int | None
    idle_cpu: float

    @property
    def total_ms(self) -> float:
        """Time to the first answer."""
        return self.import_ms + self.open_ms + self.answer_ms


@dataclass(frozen=True)
class Report:
    """The measurements of a device, and the settings chosen from them.

    Attributes:
        measured_for: Network, runtime and processor that the settings are valid for.
        measurements: One for each group of settings that was measured.
        start: The median of the processes that were started.
        settings: The chosen ones.
        reasons: A sentence with the reason of each choice.
        models: What each model that is installed here costs.
    """

    measured_for: Environment
    measurements: tuple[Measurement, ...]
    start: Start
    settings: Settings
    reasons: tuple[str, ...]
    models: tuple[ModelCost, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able form."""
        return {
            "place": asdict(self.measured_for),
            "trials": [asdict(measurement) for measurement in self.measurements],
            "start": asdict(self.start) | {"total_ms": self.start.total_ms},
            "settings": asdict(self.settings),
            "reasons": self.reasons,
            "models": [asdict(model) for model in self.models],
        }


class Choice(NamedTuple):
    """Preferred settings, and the reason in one sentence."""

    settings: Settings
    reason: str


def examine(store: Path | None = None, budget_ms: float = BUDGET_MS) -> Report:
    """Measure and choose, in less than 20 s if a photo takes up to half a second; change nothing.

    Args:
        store: `.edge` file or device folder; None measures a small drawn store with the shipped model.
        budget_ms: Longest time for a photo; if three crops take longer, one crop is chosen.
    Raises:
        EdgeSearchError: The store cannot be opened, or onnxruntime is not installed.
    """
    if store is None:
        with tempfile.TemporaryDirectory(prefix="edgesearch-") as folder:
            return examine(_build_drawn_store(Path(folder)), budget_ms)
    began = time.monotonic()
    bundle = open_bundle(store)
    try:
        photos = hard_photos(bundle)
        comparisons = _Comparisons(store, photos, began + COMPARISONS_S)
        settings, reasons = _choose_settings(comparisons, budget_ms)
        models, own_ms = model_costs.measure_installed(), model_costs.crop_ms(open_embedder(bundle, DEFAULT))
        measured_for = run_environment(bundle)
    finally:
        bundle.close()
    with progress.stage("measure new processes", "start", STARTS) as stage:
        starts = [measure_start(store, settings, photos[0])]
        while len(starts) < STARTS and time.monotonic() < began + STARTS_S:
            stage.done = len(starts)
            starts.append(measure_start(store, settings, photos[0]))
    median = sorted(starts, key=lambda start: start.total_ms)[(len(starts) - 1) // 2]
    photo_ms = next(one.median_ms for one in reversed(comparisons.measurements) if one.settings.crops != ONE_CROP)
    reasons += model_costs.advise(models, own_ms, photo_ms, budget_ms)
    return Report(measured_for, tuple(comparisons.measurements), median, settings, reasons, models)


def save(device: Path, report: Report) -> None:
    """Use the chosen settings on this device from now on; raise DeviceError if that fails."""
    Slots(device).save_settings(report.settings, report.measured_for)


def choose_kernels(int8: Measurement, floats: Measurement) -> Choice:
    """Choose int8 unless float kernels are clearly faster and agree, or only they pass the golden queries."""
    times = f"a photo takes {int8.median_ms:.0f} ms with int8 kernels, {floats.median_ms:.0f} ms with float ones"
    if not floats.golden:
        return Choice(int8.settings, f"int8 kernels: float ones do not pass the golden queries ({times}).")
    if floats.agreement < MIN_AGREEMENT:
        return Choice(int8.settings, f"int8 kernels: float embeddings differ (cosine {floats.agreement:.3f}).")
    if not int8.golden:
        return Choice(floats.settings, f"float kernels: int8 ones do not pass the golden queries ({times}).")
    faster = int8.median_ms >= FASTER_KERNELS * floats.median_ms
    return Choice(
        floats.settings if faster else int8.settings,
        f"{FLOAT if faster else INT8} kernels: {times}; float ones are chosen if {FASTER_KERNELS} times faster.",
    )


def choose_threads(measurements: Sequence[Measurement]) -> Choice:
    """Choose the fewest threads unless more are clearly faster; the measurements have more and more threads."""
    chosen = measurements[0]
    for measurement in measurements[1:]:
        if chosen.median_ms >= FASTER_THREADS * measurement.median_ms:
            chosen = measurement
    times = ", ".join(f"{one.median_ms:.0f} ms with {one.settings.threads}" for one in measurements)
    number = chosen.settings.threads
    return Choice(
        chosen.settings,
        f"{number} thread{'s' * (number > 1)}: a photo takes {times}; more are chosen if {FASTER_THREADS} times "
        "faster, because each costs battery.",
    )


def choose_crops(three: Measurement, one: Measurement, budget_ms: float) -> Choice:
    """Choose three crops unless they take longer than the budget."""
    times = f"a photo takes {three.median_ms:.0f} ms with three, {one.median_ms:.0f} ms with one, less accurate"
    is_within = three.median_ms <= budget_ms
    return Choice(
        (three if is_within else one).settings,
        f"{'three crops' if is_within else 'one crop'}: {times}; the budget is {budget_ms:.0f} ms.",
    )


def hard_photos(bundle: Bundle) -> list[bytes]:
    """Return JPEGs that each show two reference images."""
    with contextlib.closing(open_catalog(bundle)) as catalog:
        offsets = [offset for offset in catalog.picture_offsets() if offset[1]] or [(0, 0)]
    member = bundle.open_member(PICTURES)
    chosen = [offsets[i] for i in np.linspace(0, len(offsets) - 1, PHOTOS + 1).astype(int).tolist()]
    pictures = [image.read(bytes(member.read(start, start + size))) for start, size in chosen]
    halves = [image.crop_square(picture, crops.whole_crop(picture.shape[:2]), PHOTO_SIDE) for picture in pictures]
    return [image.thumbnail(np.hstack(halves[i : i + 2]), 2 * PHOTO_SIDE) for i in range(PHOTOS)]


def measure_start(store: Path, settings: Settings, photo: bytes) -> Start:
    """Start a process that opens the store and searches a photo; raise DeviceError if it fails."""
    code = "import sys; from edgesearch.evaluation.started_process import run; run(*sys.argv[1:])"
    with tempfile.TemporaryDirectory(prefix="edgesearch-") as folder:
        path = Path(folder) / "photo.jpg"
        path.write_bytes(photo)
        command = [sys.executable, "-P", "-c", code, str(store), json.dumps(asdict(settings)), str(path)]
        environment = {"OPENBLAS_NUM_THREADS": "1"} | os.environ  # as for a command
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
        start = time.time()
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603  # ours
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        raise DeviceError(f"{store}: a new process could not open it ({reason}); try `edgesearch search` there.")
    moments, (resident_bytes, own_bytes), idle_cpu = json.loads(done.stdout)
    import_ms, open_ms, answer_ms = (np.diff([start, *moments]) * 1000).tolist()
    return Start(import_ms, open_ms, answer_ms, resident_bytes, own_bytes, idle_cpu)


class _Comparisons:
    """Compares settings on one store. They take turns on each photo, because the other load of a device varies."""

    def __init__(self, path: Path, photos: Sequence[bytes], end_s: float):
        self._path, self._photos, self._end_s = path, photos, end_s
        self._results: dict[str, tuple[np.ndarray, bool]] = {}  # embeddings, and `Measurement.golden`, by kernels
        self.measurements: list[Measurement] = []

    @property
    def has_time(self) -> bool:
        return time.monotonic() < self._end_s

    def compare(self, *candidates: Settings) -> list[Measurement]:
        """Measure candidates in turn; the first comparison must begin with int8 kernels."""
        with contextlib.ExitStack() as stack:
            stores = [stack.enter_context(Store(self._path, settings=settings)) for settings in candidates]
            results = [self._check(store) for store in stores]
            times = np.array(_time_searches([store.search for store in stores], self._photos))
        medians, p95s = np.percentile(times, [50, 95], axis=0).tolist()
        counts = [len(times)] * len(results)
        measured = list(map(Measurement, candidates, medians, p95s, counts, *zip(*results, strict=True)))
        self.measurements += measured
        return measured

    def _check(self, store: Store) -> tuple[float, bool]:
        """Return agreement with int8 kernels, and whether the golden queries pass; threads do not change them."""
        kernels = store.settings.kernels
        if kernels not in self._results:
            self._results[kernels] = store.embed(self._photos, fast=True), _passes_golden_queries(store)
        embeddings, golden = self._results[kernels]
        return float(np.median((embeddings * self._results[INT8][0]).sum(1))), golden


def _choose_settings(comparisons: _Comparisons, budget_ms: float) -> tuple[Settings, tuple[str, ...]]:
    with progress.stage("measure the kernels"):
        kernels = choose_kernels(*comparisons.compare(DEFAULT, replace(DEFAULT, kernels=FLOAT)))
    settings = kernels.settings
    threads = Choice(settings, "1 thread: there was no time to measure more.")
    if comparisons.has_time:
        numbers = [replace(settings, threads=number) for number in _thread_numbers()]
        with progress.stage("measure the threads"):
            threads = choose_threads(comparisons.compare(*numbers))
    with progress.stage("measure the crops"):
        three, one = comparisons.compare(threads.settings, replace(threads.settings, crops=ONE_CROP))
    crops = choose_crops(three, one, budget_ms)
    return crops.settings, tuple(choice.reason for choice in (kernels, threads, crops))


def _thread_numbers() -> list[int]:
    """Return 1, 2, 4 and so on, up to the number of processors available to this process."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return [number for number in (2**i for i in range(10)) if number <= cores]


def _time_searches(searches: Sequence[Callable[[bytes], object]], photos: Sequence[bytes]) -> list[list[float]]:
    """Return milliseconds; one row for each photo, one column for each search."""
    for search in searches:
        search(photos[0])  # loads what the first search needs
    rows: list[list[float]] = []
    until = time.perf_counter() + COMPARISON_S
    while not rows or time.perf_counter() < until:
        moments = [time.perf_counter()]
        for search in searches:
            search(photos[len(rows) % len(photos)])
            moments.append(time.perf_counter())
        rows.append((np.diff(moments) * 1000).tolist())
    return rows


def _passes_golden_queries(store: Store) -> bool:
    try:
        store.self_test()
    except BundleError:
        return False
    return True


def _build_drawn_store(folder: Path) -> Path:
    """Build a store of coloured tiles; return its path."""
    rng = np.random.default_rng(0)
    lines = ["sku,name,images"]
    for number in range(DRAWN_PICTURES):
        tiles = rng.integers(0, 256, (12, 12, 3), np.uint8).repeat(24, 0).repeat(24, 1)
        (folder / f"{number}.jpg").write_bytes(image.thumbnail(tiles, len(tiles)))
        lines.append(f"{number},Tiles {number},{number}.jpg")
    (folder / "catalogue.csv").write_text("\n".join(lines), encoding="utf-8")
    build(folder / "catalogue.csv", folder / "drawn.edge", default_model())
    return folder / "drawn.edge"
