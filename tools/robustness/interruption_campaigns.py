"""Campaigns on changes: whenever one ends or is refused, the folder is as before or as after, and the next succeeds."""

import contextlib
import datetime
import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from unittest import mock

import edgesearch
from edgesearch import Store
from edgesearch.building.build import build
from edgesearch.device import slots
from edgesearch.errors import EdgeSearchError

from . import fault_steps
from .campaign import SAME, SENTENCE, Campaign, Sample
from .fault_steps import CHANGES, CUT, KILL, KILLED, READS, TEAR, Step
from .fault_targets import KEY, TINY_MODEL, Shop, State
from .forked_run import REFUSED, in_child

WAYS = {
    "killed": [Step(0, KILL), Step(0, TEAR)],
    "power cut": [Step(0, CUT)],
    "disk full": [Step(0, errno.ENOSPC), Step(0, errno.ENOSPC, lasting=True)],
    "disk broken": [Step(0, errno.EIO, lasting, kinds) for lasting in (False, True) for kinds in (CHANGES, READS)],
    "read-only": [Step(0, errno.EROFS, lasting=True)],
}
TAUGHT, ENCRYPTED = 3, 4  # of the shop's devices
DISK_KB, PAGE = 2048, 4096
YEARS = (2026, 1999, 2040, 2030, 1969, 2107, 2027, 9999)


@dataclass(frozen=True)
class Operation:
    """A change of a device folder, or a question to it.

    Attributes: installed: bundles there before; act: does it, and returns what it answers.
    """

    name: str
    installed: int
    act: Callable[[Path], str]


def operations(shop: Shop) -> list[Operation]:
    """Whatever may be interrupted; what else changes a device folder is to be added here."""

    def install(bundle: Path) -> Callable[[Path], str]:
        return lambda device: edgesearch.install(bundle, device, shop.public).name

    return [
        Operation("install the first", 0, install(shop.bundles[2])),
        Operation("install the second", 1, install(shop.bundles[2])),
        Operation("install the third", 2, install(shop.bundles[2])),
        Operation("install the next key", 2, install(shop.turning)),
        Operation("roll back", 2, lambda device: edgesearch.rollback(device).name),
        Operation("install a delta", 2, lambda device: edgesearch.install(shop.delta, device).name),
        Operation("install where something was taught", TAUGHT, install(shop.bundles[2])),
        Operation("install encrypted", ENCRYPTED, install(shop.bundles[2])),
        Operation("enrol", 2, partial(_enrol, shop)),
        Operation("enrol encrypted", ENCRYPTED, partial(_enrol, shop)),
        Operation("edit", TAUGHT, lambda device: _teach(device, lambda store: store.edit("TAUGHT", price=2).sku)),
        Operation("remove", TAUGHT, lambda device: _teach(device, lambda store: store.remove("TAUGHT"))),
        Operation("undo", TAUGHT, lambda device: _teach(device, lambda store: store.undo().sku)),
        Operation("open and search", TAUGHT, shop.answers),
    ]


def _enrol(shop: Shop, device: Path) -> str:
    return _teach(device, lambda store: store.enrol("NEW", shop.photos[:1], name="New").product.sku)


def _teach(device: Path, act: Callable[[Store], object]) -> str:
    with edgesearch.open(device) as store:
        return str(act(store))


def campaigns(shop: Shop, sample: Sample) -> Iterator[Campaign]:
    """All of them."""
    for operation in operations(shop):
        trial = Trial(shop, operation)
        for name, ways in WAYS.items():
            yield Campaign(f"{operation.name}: {name}", partial(trial.faults, ways, sample), trial.ask)
    yield Campaign("install the third: less and less space", partial(_spaces, shop, sample), partial(_filled, shop))
    yield Campaign("install: clock jumps", lambda: sample.of(YEARS), partial(_clock, shop))


class Trial:
    """One operation, and what it does where nothing interrupts it."""

    def __init__(self, shop: Shop, operation: Operation):
        self.shop, self.operation = shop, operation

    @cached_property
    def expected(self) -> tuple[State, str, State]:
        """The folder before, what is answered, and the folder after."""
        device = self.shop.device(self.operation.installed)
        return self.shop.state(device), self.operation.act(device), self.shop.state(device)

    def faults(self, ways: list[Step], sample: Sample) -> list[Step]:
        """A fault at every step, in each of some ways."""
        self.expected  # noqa: B018  # once, before processes are forked
        numbers = {kinds: self._steps(kinds) for kinds in {way.kinds for way in ways}}
        return sample.of([replace(way, number=i) for way in ways for i in range(numbers[way.kinds])])

    def ask(self, step: Step) -> str:
        """Inflict it."""
        device = self.shop.device(self.operation.installed)
        return self.judge(device, lambda: fault_steps.armed(self.shop.folder, step))

    def _steps(self, kinds: int) -> int:
        device = self.shop.device(self.operation.installed)

        def count() -> str:
            with fault_steps.armed(self.shop.folder, Step(0, fault_steps.COUNT, kinds=kinds)):
                self.operation.act(device)
            return str(fault_steps.counted())

        return int(in_child(count).text)

    def judge(self, device: Path, fault: Callable[[], contextlib.AbstractContextManager[None]]) -> str:
        """SAME, SENTENCE, or what is wrong with what happened while a fault lasted, and after it."""

        def act() -> str:
            with fault():
                return self.operation.act(device)

        before, answer, after = self.expected
        ending = in_child(act)
        found = self.shop.state(device)
        if ending.status not in (0, REFUSED, KILLED) or "\n" in ending.text:
            return f"{ending}"
        if ending.status == 0 and (ending.text, found) != (answer, after):
            return f"not done: {ending.text:.200}, {found!s:.200}"
        if found.seen not in (before.seen, after.seen) or not self._between(found.trusted):
            return f"neither before nor after: {found!s:.200}"
        return self._again(device, found) or (SENTENCE if ending.status == REFUSED else SAME)

    def _between(self, trusted: frozenset[str]) -> bool:
        """Whoever is trusted before and after, and nobody who never is: for a while a device trusts an old key and the
        next.
        """
        before, _, after = self.expected
        return before.trusted & after.trusted <= trusted <= before.trusted | after.trusted

    def _again(self, device: Path, found: State) -> str:
        """What is wrong when the operation is done again, and another bundle is installed after it."""
        before, _, after = self.expected
        if found.seen == before.seen != after.seen:
            self.operation.act(device)
        if self.shop.state(device) != after:
            return "cannot be done again"
        edgesearch.install(self.shop.bundles[-1], device)
        bundles = [*(device / slots.SLOTS).glob("*/*")]
        return "" if len(bundles) == len(slots.NAMES) else f"waste: {bundles}"


def _spaces(shop: Shop, sample: Sample) -> list[int]:
    """Bytes that are free, less and less; none where no file system may be mounted."""
    with _disk(shop) as disk:
        if disk is None:
            print("no file system may be mounted here; full disks are injected alone.", file=sys.stderr)
            return []
    return sample.of(range(0, shop.bundles[-1].stat().st_size + 8 * PAGE, PAGE))


def _filled(shop: Shop, free: int) -> str:
    """A real disk with so much space."""
    trial = Trial(shop, operations(shop)[2])
    trial.expected  # noqa: B018  # with all the space there is
    with _disk(shop) as disk:
        assert disk is not None

        @contextlib.contextmanager
        def full() -> Iterator[None]:
            space = os.statvfs(disk)
            ballast = disk / "ballast"
            ballast.write_bytes(bytes(space.f_bavail * space.f_frsize - free))
            try:
                yield
            finally:
                ballast.unlink()

        return trial.judge(Path(shutil.copytree(shop.devices[2], disk / "device")), full)


@contextlib.contextmanager
def _disk(shop: Shop) -> Iterator[Path | None]:
    """A small file system of its own; None where it may not be mounted."""
    disk = shop.folder / "disk"
    disk.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_KB}k", "tmpfs", str(disk)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:  # noqa: S603  # ours
        yield None
        return
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)  # noqa: S603, S607  # ours


def _clock(shop: Shop, year: int) -> str:
    """A bundle built at another time: a device takes it where its number is not lower, and otherwise runs on."""
    device, path = shop.device(1), shop.folder / "jumped.edge"
    for built in (2026, year):
        with mock.patch.object(
            sys.modules["edgesearch.building.build"], "datetime", mock.Mock(wraps=datetime)
        ) as clock:
            clock.datetime.now.return_value = datetime.datetime(built, 1, 1, tzinfo=datetime.UTC)
            build(shop.folder / "catalogue.csv", path, TINY_MODEL, local_features=0, sign=shop.folder / f"{KEY}.key")
        before = shop.state(device)
        try:
            edgesearch.install(path, device)
        except EdgeSearchError:
            return SENTENCE if shop.state(device) == before and year < 2026 else "not as before"
    return SAME if year >= 2026 else "an older bundle was installed"
