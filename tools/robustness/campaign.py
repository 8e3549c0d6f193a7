"""How faults ended."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from tqdm import tqdm

from edgesearch.errors import EdgeSearchError

from .forked_run import TIMEOUT_S, Ending, in_child

SAME, SENTENCE = "same", "sentence"  # what a survived fault ends in
T = TypeVar("T")


@dataclass
class Count:
    """Figures of one campaign: faults that ended in the same answer, in a sentence of ours, or in anything else."""

    name: str
    same: int = 0
    sentence: int = 0
    wrong: list[str] = field(default_factory=list)

    def __iadd__(self, other: "Count") -> "Count":
        self.same, self.sentence = self.same + other.same, self.sentence + other.sentence
        self.wrong += other.wrong
        return self

    def add(self, fault: object, ending: Ending) -> None:
        """ending: of a process that says SAME, SENTENCE, or what is wrong."""
        self.same += ending == Ending(0, SAME)
        self.sentence += ending == Ending(0, SENTENCE)
        if ending not in (Ending(0, SAME), Ending(0, SENTENCE)):
            self.wrong.append(f"{fault}: {'it hung' if ending.status is None else ending.text or ending.status}")


@dataclass(frozen=True)
class Campaign:
    """Faults of one kind.

    Attributes: faults: lists them; ask: inflicts one and says how it ended, in a process of its own.
    """

    name: str
    faults: Callable[[], Sequence[Any]]
    ask: Callable[[Any], str]

    def run(self) -> Count:
        """Inflict every fault."""
        count = Count(self.name)
        for fault in tqdm(self.faults(), desc=self.name, disable=None, leave=False):
            # It may wait for children of its own.
            count.add(fault, in_child(lambda fault=fault: self.ask(fault), 2 * TIMEOUT_S))  # type: ignore[misc]
        return count


@dataclass(frozen=True)
class Sample:
    """How many faults are tried.

    Attributes: flips: bits in each campaign of them; share: of faults that can be enumerated.
    """

    rng: np.random.Generator
    flips: int
    share: float

    def of(self, faults: Sequence[T]) -> list[T]:
        """Some of them, in order; one at least."""
        chosen = self.rng.random(len(faults)) < self.share
        chosen[self.rng.integers(len(faults))] = True
        return [fault for fault, taken in zip(faults, chosen, strict=True) if taken]


def sentence(work: Callable[[], object], expected: object) -> str:
    """How a question ended: SAME, SENTENCE, or another answer."""
    try:
        found = work()
    except EdgeSearchError as error:
        return "an error of two lines" if "\n" in str(error) else SENTENCE
    return SAME if found == expected else f"another answer: {found!s:.200}"
