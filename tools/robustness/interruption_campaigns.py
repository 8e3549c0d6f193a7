"""Campaigns on changes: wherever one is interrupted, the folder is as before or after it, and the next one succeeds."""

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
from edgesearch.building.entry_point import build
from edgesearch.device import slots
from edgesearch.device.slot_state import SLOT_NAMES
from edgesearch.errors import EdgeSearchError
from edgesearch.server.access import Access, Role

from . import fault_steps
from .campaign import REPORTED, SAME, Campaign, Sample
from .fault_steps import CHANGES, CUT, KILL, KILLED, READS, TEAR, Step
from .fault_targets import KEY, TINY_MODEL, Shop, State
from .forked_run import REFUSED, run_forked

INTERRUPTIONS = {
    "killed": [Step(0, KILL), Step(0, TEAR)],
    "power cut": [Step(0, CUT)],
    "disk full": [Step(0, errno.ENOSPC), Step(0, errno.ENOSPC, lasting=True)],
    "disk broken": [Step(0, errno.EIO, lasting, kinds) for lasting in (False, True) for kinds in (CHANGES, READS)],
    "read-only": [Step(0, errno.EROFS, lasting=True)],
}
TAUGHT, ENCRYPTED = 3, 4  # indexes of the shop's devices
DISK_KB, PAGE = 2048, 4096
YEARS = (2026, 1999, 2040, 2030, 1969, 2107, 2027, 9999)


@dataclass(frozen=True)
class Operation:
    """A change of a device folder, or a query to it.

    Attributes:
        installed: index of the shop's device to start from.
        act:       performs the operation on a folder and returns its answer.
    """

    name: str
    installed: int
    act: Callable[[Path], str]


def operations(shop: Shop) -> list[Operation]:
    """Return all operations that may be interrupted; add new ones that change a device folder here."""

    def install(bundle: Path) -> Callable[[Path], str]:
        return lambda device: edgesearch.install(bundle, device, shop.public).name

    return [
        Operation("install the first", 0, install(shop.bundles[2])),
        Operation("install the second", 1, install(shop.bundles[2])),
        Operation("install the third", 2, install(shop.bundles[2])),
        Operation("install the next key", 2, install(shop.key_change)),
        Operation("roll back", 2, lambda device: edgesearch.rollback(device).name),
        Operation("install a delta", 2, lambda device: edgesearch.install(shop.delta, device).name),
        Operation("install where something was taught", TAUGHT, install(shop.bundles[2])),
        Operation("install encrypted", ENCRYPTED, install(shop.bundles[2])),
        Operation("enrol", 2, partial(_enrol, shop)),
        Operation("enrol encrypted", ENCRYPTED, partial(_enrol, shop)),
        Operation("edit", TAUGHT, lambda device: _teach(device, lambda store: store.edit("TAUGHT", price=2).sku)),
        Operation(
            "edit encrypted", ENCRYPTED, lambda device: _teach(device, lambda store: store.edit("TAUGHT", price=2))
        ),
        Operation("give a PIN", TAUGHT, _give_pin),
        Operation("give a PIN encrypted", ENCRYPTED, _give_pin),
        Operation("remove", TAUGHT, lambda device: _teach(device, lambda store: store.remove("TAUGHT"))),
        Operation("undo", TAUGHT, lambda device: _teach(device, lambda store: store.undo().sku)),
        Operation("open and search", TAUGHT, shop.describe_answers),
    ]


def _give_pin(device: Path) -> str:
    access = Access(device / slots.ACCESS, slots.Slots(device))
    access.add_pin("night shift", Role.STAFF, "482913")
    return access.holders()[0].name


def _enrol(shop: Shop, device: Path) -> str:
    return _teach(device, lambda store: store.enrol("NEW", shop.photos[:1], name="New").product.sku)


def _teach(device: Path, act: Callable[[Store], object]) -> str:
    with edgesearch.open(device) as store:
        return str(act(store))


def campaigns(shop: Shop, sample: Sample) -> Iterator[Campaign]:
    """Yield all campaigns on changes."""
    for operation in operations(shop):
        trial = Trial(shop, operation)
        for name, interruptions in INTERRUPTIONS.items():
            yield Campaign(f"{operation.name}: {name}", partial(trial.faults, interruptions, sample), trial.inflict)
    yield Campaign(
        "install the third: less and less space", partial(_free_sizes, shop, sample), partial(_try_full_disk, shop)
    )
    yield Campaign("install: clock jumps", lambda: sample.pick(YEARS), partial(_try_clock, shop))


class Trial:
    """One operation, and what it does without interruption."""

    def __init__(self, shop: Shop, operation: Operation):
        self.shop, self.operation = shop, operation

    @cached_property
    def expected(self) -> tuple[State, str, State]:
        """The folder before, the answer, and the folder after."""
        device = self.shop.copy_device(self.operation.installed)
        return self.shop.device_state(device), self.operation.act(device), self.shop.device_state(device)

    def faults(self, interruptions: list[Step], sample: Sample) -> list[Step]:
        """Return faults at every step, one for each kind of interruption."""
        self.expected  # noqa: B018  # computed once, before processes are forked
        steps = {kinds: self._count_steps(kinds) for kinds in {fault.kinds for fault in interruptions}}
        faults = [replace(fault, number=number) for fault in interruptions for number in range(steps[fault.kinds])]
        return sample.pick(faults)

    def inflict(self, step: Step) -> str:
        """Interrupt the operation at one step; return SAME, REPORTED, or what is wrong."""
        device = self.shop.copy_device(self.operation.installed)
        return self.judge(device, lambda: fault_steps.armed(self.shop.folder, step))

    def _count_steps(self, kinds: int) -> int:
        device = self.shop.copy_device(self.operation.installed)

        def count() -> str:
            with fault_steps.armed(self.shop.folder, Step(0, fault_steps.COUNT, kinds=kinds)):
                self.operation.act(device)
            return str(fault_steps.count_steps())

        return int(run_forked(count).text)

    def judge(self, device: Path, fault: Callable[[], contextlib.AbstractContextManager[None]]) -> str:
        """Run the operation under a fault, and again after it; return SAME, REPORTED, or what is wrong."""

        def act() -> str:
            with fault():
                return self.operation.act(device)

        before, answer, after = self.expected
        result = run_forked(act)
        found = self.shop.device_state(device)
        if result.status not in (0, REFUSED, KILLED) or "\n" in result.text:
            return f"{result}"
        if result.status == 0 and (result.text, found) != (answer, after):
            return f"not done: {result.text:.200}, {found!s:.200}"
        if found.seen not in (before.seen, after.seen) or not self._trusts_right_keys(found.trusted):
            return f"neither before nor after: {found!s:.200}"
        return self._check_again(device, found) or (REPORTED if result.status == REFUSED else SAME)

    def _trusts_right_keys(self, trusted: frozenset[str]) -> bool:
        """Return whether all keys that stay trusted are trusted, and no others but the old and the next key."""
        before, _, after = self.expected
        return before.trusted & after.trusted <= trusted <= before.trusted | after.trusted

    def _check_again(self, device: Path, found: State) -> str:
        """Repeat the operation and install another bundle; return what is wrong, or an empty string."""
        before, _, after = self.expected
        if found.seen == before.seen != after.seen:
            self.operation.act(device)
        if self.shop.device_state(device) != after:
            return "cannot be done again"
        edgesearch.install(self.shop.bundles[-1], device)
        bundles = [*(device / slots.SLOTS).glob("*/*")]
        return "" if len(bundles) == len(SLOT_NAMES) else f"waste: {bundles}"


def _free_sizes(shop: Shop, sample: Sample) -> list[int]:
    """Return amounts of free space in bytes to try; none if no file system can be mounted."""
    with _small_disk(shop) as disk:
        if disk is None:
            print("cannot mount a file system here; full disks are only injected.", file=sys.stderr)
            return []
    return sample.pick(range(0, shop.bundles[-1].stat().st_size + 8 * PAGE, PAGE))


def _try_full_disk(shop: Shop, free: int) -> str:
    """Run the third installation on a real file system with so many free bytes."""
    trial = Trial(shop, operations(shop)[2])
    trial.expected  # noqa: B018  # computed with all the space there is
    with _small_disk(shop) as disk:
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
def _small_disk(shop: Shop) -> Iterator[Path | None]:
    """Mount a small file system; yield None if that is not permitted."""
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


def _try_clock(shop: Shop, year: int) -> str:
    """Install a bundle built in another year; the device takes it unless its number is lower than the installed one."""
    device, path = shop.copy_device(1), shop.folder / "jumped.edge"
    for built in (2026, year):
        with mock.patch("edgesearch.building.build.datetime", mock.Mock(wraps=datetime)) as clock:
            clock.datetime.now.return_value = datetime.datetime(built, 1, 1, tzinfo=datetime.UTC)
            build(shop.folder / "catalogue.csv", path, TINY_MODEL, local_features=0, sign=shop.folder / f"{KEY}.key")
        before = shop.device_state(device)
        try:
            edgesearch.install(path, device)
        except EdgeSearchError:
            return REPORTED if shop.device_state(device) == before and year < 2026 else "not as before"
    return SAME if year >= 2026 else "an older bundle was installed"
