"""Count wrong PINs, so that guessing takes years and nobody who guesses locks everybody out.

People type a PIN without a name, so a wrong one is a guess at everybody's. It counts for a day, and for a person no
longer than until that person's next right PIN at the same address. Each person has two limits: on the wrong PINs at one
address, and on those at all addresses together where that person has not logged in yet. Whoever guesses at a kiosk
locks that kiosk, and at most the devices that a person has not used before.

The counts are kept in a file, so that a restart does not clear them: {"format": 1, "addresses": {"192.168.1.7":
{"wrong": [1790000000.0], "right": {"Ada": 1790000000.0}}}}, times in seconds since 1970. One server writes it.
"""

import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from .._util import files

FILE = "wrong_pins.json"
FORMAT = 1
DAY_S = 86_400.0
KNOWN_S = 90 * DAY_S  # after its last right PIN, an address is a new one to that person
FREE_TRIES = 5  # wrong PINs at one address before a person has to wait
FREE_ELSEWHERE = 100  # at all addresses that are new to the person
FIRST_WAIT_S, MAX_WAIT_S = 60.0, 900.0
MAX_DOUBLINGS = 10


@dataclass
class _Address:
    """The times of wrong PINs, oldest first, and of each person's last right one."""

    wrong: list[float] = field(default_factory=list)
    right: dict[str, float] = field(default_factory=dict)


class WrongPins:
    """The wrong PINs of the last day, by address. Not safe to share between threads."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time):
        """Read a file, which need not exist; `clock` returns seconds since 1970."""
        self._path, self._clock = path, clock
        self._addresses = _read(path)

    def wait_s(self, name: str, address: str) -> float:
        """Return the seconds until a person may try a PIN at an address, 0 for now."""
        here, elsewhere = self._count(name, address)
        return max(self._wait_s(here, FREE_TRIES), self._wait_s(elsewhere, FREE_ELSEWHERE))

    def tries_left(self, name: str, address: str) -> int:
        """Return the number of wrong PINs after which the person has to wait."""
        here, elsewhere = self._count(name, address)
        return max(0, min(FREE_TRIES - len(here), FREE_ELSEWHERE - len(elsewhere)))

    def number(self) -> int:
        """Return the number of wrong PINs of the last day."""
        self._forget()
        return sum(len(one.wrong) for one in self._addresses.values())

    def add_wrong(self, address: str) -> None:
        """Count a wrong PIN."""
        self._addresses.setdefault(address, _Address()).wrong.append(self._clock())
        self._write()

    def add_right(self, name: str, address: str) -> None:
        """Clear a person's count at an address."""
        self._addresses.setdefault(address, _Address()).right[name] = self._clock()
        self._write()

    def _count(self, name: str, address: str) -> tuple[list[float], list[float]]:
        """Return the times of the wrong PINs that count for a person: at the address, and at all new ones if it is."""
        self._forget()
        here = self._addresses.get(address, _Address())
        if name in here.right:
            return [at for at in here.wrong if at > here.right[name]], []
        new = [one.wrong for one in self._addresses.values() if name not in one.right]
        return here.wrong, sorted(at for wrong in new for at in wrong)

    def _wait_s(self, wrong: list[float], free: int) -> float:
        if len(wrong) < free:
            return 0.0
        pause_s = min(MAX_WAIT_S, FIRST_WAIT_S * 2 ** min(len(wrong) - free, MAX_DOUBLINGS))
        return max(0.0, wrong[-1] + pause_s - self._clock())

    def _forget(self) -> None:
        """Forget old times, and correct those that lie ahead because the clock was set back."""
        now, kept = self._clock(), {}
        for address, one in self._addresses.items():
            wrong = [min(at, now) for at in one.wrong if at > now - DAY_S]
            right = {name: min(at, now) for name, at in one.right.items() if at > now - KNOWN_S}
            if wrong or right:
                kept[address] = _Address(wrong, right)
        self._addresses = kept

    def _write(self) -> None:
        table = {"format": FORMAT, "addresses": {address: asdict(one) for address, one in self._addresses.items()}}
        # A full disk must not keep out whoever has a right PIN; until there is room, the counts are in memory alone.
        with contextlib.suppress(OSError), files.replacing(self._path, files.open_private) as file:
            file.write(json.dumps(table, ensure_ascii=False).encode())


def _read(path: Path) -> dict[str, _Address]:
    """Return the counts in a file; none if it is missing or damaged, which must not keep everybody out."""
    try:
        table = json.loads(path.read_bytes())
        return {
            str(address): _Address(list(map(float, one["wrong"])), {str(k): float(v) for k, v in one["right"].items()})
            for address, one in table["addresses"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
