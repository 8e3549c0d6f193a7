"""Campaigns of faults, and counts of how they ended."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from tqdm import tqdm

from edgesearch.errors import EdgeSearchError

from .forked_run import TIMEOUT_S, ForkResult, run_forked

SAME, REPORTED = "same", "sentence"  # the two outcomes of a fault that was survived
T = TypeVar("T")


@dataclass
class Count:
    """Counts of one campaign: faults that ended in the same answer, in one sentence of ours, or otherwise."""

    name: str
    same: int = 0
    sentence: int = 0
    wrong: list[str] = field(default_factory=list)

    def __iadd__(self, other: "Count") -> "Count":
        self.same, self.sentence = self.same + other.same, self.sentence + other.sentence
        self.wrong += other.wrong
        return self

    def add(self, fault: object, result: ForkResult) -> None:
        """Count the result of a process that returned SAME, REPORTED, or a description of what is wrong."""
        self.same += result == ForkResult(0, SAME)
        self.sentence += result == ForkResult(0, REPORTED)
        if result not in (ForkResult(0, SAME), ForkResult(0, REPORTED)):
            self.wrong.append(f"{fault}: {'it hung' if result.status is None else result.text or result.status}")


@dataclass(frozen=True)
class Campaign:
    """Faults of one kind.

    Attributes:
        faults:  lists them.
        inflict: inflicts one, in a process of its own, and returns how it ended.
    """

    name: str
    faults: Callable[[], Sequence[Any]]
    inflict: Callable[[Any], str]

    def run(self) -> Count:
        """Inflict every fault."""
        count = Count(self.name)
        for fault in tqdm(self.faults(), desc=self.name, disable=None, leave=False):
            # The child may wait for children of its own.
            count.add(fault, run_forked(lambda fault=fault: self.inflict(fault), 2 * TIMEOUT_S))  # type: ignore[misc]
        return count


@dataclass(frozen=True)
class Sample:
    """The number of faults to try.

    Attributes:
        flips: bits to flip in each campaign of bit flips.
        share: share of the faults that can be enumerated.
    """

    rng: np.random.Generator
    flips: int
    share: float

    def pick(self, faults: Sequence[T]) -> list[T]:
        """Pick a share of the faults, in order, and at least one."""
        chosen = self.rng.random(len(faults)) < self.share
        chosen[self.rng.integers(len(faults))] = True
        return [fault for fault, taken in zip(faults, chosen, strict=True) if taken]


def classify(work: Callable[[], object], expected: object) -> str:
    """Do the work; return SAME, REPORTED, or a description of the unexpected answer."""
    try:
        found = work()
    except EdgeSearchError as error:
        return "an error of two lines" if "\n" in str(error) else REPORTED
    return SAME if found == expected else f"another answer: {found!s:.200}"
