"""`tools/robustness/soak`: query one device folder for hours, while another process installs and rolls back bundles.

Every answer must equal the first answer to the same question, every error must have been provoked, and the memory must
not grow.
"""

import argparse
import contextlib
import itertools
import multiprocessing
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

import numpy as np
from benchmarks.processes import resident

import edgesearch
from edgesearch import Answer, Store
from edgesearch.embedding.shipped_models import default_model
from edgesearch.images import image

from . import fault_targets
from .fault_targets import Shop

WARM_UP = 0.2  # share of the time after which memory is measured for comparison
REOPENED = 0.02  # share of the operations before which a thread opens its store again
SHOWN = 5  # printed failures
PAUSE_S = 1.0  # between two changes of the device folder


class Soak:
    """State that the threads share.

    Attributes:
        queries:  number of operations done.
        failures: a line for each failure.
    """

    def __init__(self, shop: Shop, device: Path, seed: int):
        self.device, self.seed = device, seed
        self.photos = sorted((shop.folder / "photos").glob("*.jpg"))
        self.store = edgesearch.open(device)
        self.queries = 0
        self.failures: list[str] = []
        self.ended = threading.Event()
        self._first: dict[object, object] = {}
        self._lock = threading.Lock()

    def ask(self, number: int) -> None:
        """Do random operations until the end, on the shared store or on one that this thread reopens now and then."""
        rng = random.Random(f"{self.seed} {number}")  # noqa: S311  # no secret
        own = edgesearch.open(self.device)
        while not self.ended.is_set():
            try:
                if rng.random() < REOPENED:
                    own.close()
                    own = edgesearch.open(self.device)
                rng.choice(OPERATIONS)(self, rng.choice((own, self.store)), rng)
            except Exception as error:  # whatever it is, it is counted
                self.failures.append(f"{type(error).__name__}: {error}")
                self.ended.wait(0.1)
            with self._lock:
                self.queries += 1
        own.close()

    def check_same(self, question: object, answer: object) -> None:
        """Compare an answer with the first one to the same question.

        Raises: AssertionError: they differ.
        """
        with self._lock:
            assert self._first.setdefault(question, answer) == answer, f"{question}: another answer"

    def pick_photo(self, rng: random.Random) -> Path:
        """Pick one of the shop's photos."""
        return rng.choice(self.photos)


def _stable_part(answer: Answer) -> object:
    """Return the part of an answer that neither a new bundle of the same shop nor enrolled products may change."""
    best = next(match for match in answer.matches if match.row is not None and match.row >= 0)
    return best.product, best.score, best.image, best.points


def search_file(soak: Soak, store: Store, rng: random.Random) -> None:
    """Search a file, as a handheld scanner does."""
    photo = soak.pick_photo(rng)
    soak.check_same(photo, _stable_part(store.search(photo, k=20)))


def search_pixels(soak: Soak, store: Store, rng: random.Random) -> None:
    """Search pixels with `fast`, as a kiosk's camera does."""
    photo = soak.pick_photo(rng)
    soak.check_same((photo, "fast"), _stable_part(store.search(image.read(photo), k=20, fast=True)))


def explain(soak: Soak, store: Store, rng: random.Random) -> None:
    """Explain an answer, and read the picture of its first match."""
    photo = soak.pick_photo(rng)
    answer = store.search(photo.read_bytes(), k=1)
    row = answer.matches[0].row
    if row is None or row < 0:  # just taught
        return
    soak.check_same((photo, "explained"), store.explain(photo, answer))
    soak.check_same((photo, "picture"), store.picture(answer.matches[0]))


def search_damaged(soak: Soak, store: Store, rng: random.Random) -> None:
    """Search a truncated photo, which must raise ImageError.

    Raises: AssertionError: it was answered.
    """
    data = soak.pick_photo(rng).read_bytes()
    with contextlib.suppress(edgesearch.ImageError):
        store.search(data[: rng.randrange(len(data) // 2)])
        raise AssertionError("half a photo was answered")


def teach(soak: Soak, store: Store, rng: random.Random) -> None:
    """Enrol a product unlike all others, edit it, and remove it, as staff do."""
    sku, tiles = f"SOAK-{threading.get_ident()}", np.frombuffer(rng.randbytes(6 * 6 * 3), np.uint8).reshape(6, 6, 3)
    store.enrol(sku, [tiles.repeat(40, 0).repeat(40, 1)], name="Tiles")
    assert sku in store.skus()
    assert store.edit(sku, price=7).price == 7
    store.remove(sku)
    assert sku not in store.skus()


# All are equally likely.
OPERATIONS: tuple[Callable[[Soak, Store, random.Random], None], ...] = (
    search_file,
    search_pixels,
    explain,
    search_damaged,
    teach,
)


def main() -> int:
    """Run the threads; return 1 if anything failed or the memory grew."""
    options = _parser().parse_args()
    with tempfile.TemporaryDirectory() as folder:
        shop = fault_targets.make_shop(Path(folder), options.model)
        soak = Soak(shop, shop.copy_device(2), options.seed)
        process = multiprocessing.get_context("spawn")
        changes = process.Value("i", 0)
        changer = process.Process(target=_change_bundles, args=(shop, soak.device, changes), daemon=True)
        changer.start()
        threads = [threading.Thread(target=soak.ask, args=(number,)) for number in range(options.threads)]
        for thread in threads:
            thread.start()
        grown_mb = _watch(soak, changes, options.minutes)
        for thread in threads:
            thread.join()
        soak.store.close()
        if not changer.is_alive():  # it ends only if it fails
            soak.failures.append("the process that installs bundles ended")
        changer.terminate()
        changer.join()
    for failure in soak.failures[:SHOWN]:
        print(f"tools/robustness/soak: {failure}", file=sys.stderr)
    print(f"{soak.queries:,} queries, {changes.value} changes, {len(soak.failures)} failures, {grown_mb:+.1f} MB")
    return int(bool(soak.failures) or grown_mb > options.most_mb)


def _change_bundles(shop: Shop, device: Path, changes: "Synchronized[int]") -> None:
    """Install newer and newer bundles and sometimes roll back, for as long as the parent process lives."""
    soak = multiprocessing.parent_process()
    for number in itertools.count(fault_targets.BUNDLES + 1):
        if soak is None or not soak.is_alive():
            return
        edgesearch.install(fault_targets.rewrite_bundle(shop.folder, shop.folder / "newer.edge", number), device)
        time.sleep(PAUSE_S)
        if number % 3 == 0:
            edgesearch.rollback(device)
            time.sleep(PAUSE_S)
        changes.value += 1 + (number % 3 == 0)


def _watch(soak: Soak, changes: "Synchronized[int]", minutes: float) -> float:
    """Print a line a minute until the time is over; return the growth of memory after the warm-up, in MB."""
    print("minute  resident MB    queries  changes  failures", flush=True)
    started, warm_mb = time.monotonic(), 0.0
    while (passed := (time.monotonic() - started) / 60) < minutes:
        time.sleep(min(1, minutes - passed) * 60)
        passed, resident_mb = (time.monotonic() - started) / 60, resident() / 1e6
        row = f"{passed:6.1f} {resident_mb:12.1f} {soak.queries:10,} {changes.value:8,} {len(soak.failures):9,}"
        print(row, flush=True)
        if passed <= WARM_UP * minutes or not warm_mb:
            warm_mb = resident_mb
    soak.ended.set()
    return resident_mb - warm_mb


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tools/robustness/soak", description="Query a device folder for hours, and watch its memory."
    )
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--model", type=Path, default=default_model(), help="model folder (default: the shipped one)")
    parser.add_argument(
        "--most-mb",
        type=float,
        default=16,
        help="largest accepted growth after the first fifth of the time (default: 16)",
    )
    parser.add_argument("--seed", type=int, default=0)
    return parser


if __name__ == "__main__":
    sys.exit(main())
