"""Check which learned pictures are kept."""

import numpy as np
import pytest

from edgesearch.learning import diverse_memory


def at(*degrees: float) -> np.ndarray:
    turns = np.radians(degrees)
    return np.column_stack([np.cos(turns), np.sin(turns)]).astype(np.float32)


NONE = at()


def test_a_picture_that_is_nearly_known_adds_nothing() -> None:
    assert diverse_memory.adds_nothing(at(5)[0], at(0, 90))
    assert not diverse_memory.adds_nothing(at(45)[0], at(0, 90))
    assert not diverse_memory.adds_nothing(at(45)[0], NONE)


def test_the_picture_that_adds_least_goes() -> None:
    assert diverse_memory.choose_dropped(at(0, 40, 41, 90), NONE, [*"abcd"], 3) == [1]
    assert diverse_memory.choose_dropped(at(0, 40, 90), at(1), [*"abc"], 2) == [0]  # a fixed one never goes
    assert diverse_memory.choose_dropped(at(0, 40, 90), NONE, [*"abc"], 3) == []


def test_of_equals_the_oldest_goes() -> None:
    assert diverse_memory.choose_dropped(at(10, 10, 50, 50), NONE, [*"abcd"], 3) == [0]


@pytest.mark.parametrize("limit", [1, 2, 5, 16])
def test_one_group_takes_half_of_the_memory_at_most(limit: int) -> None:
    degrees = np.linspace(0, 80, 20)
    groups = ["poisoned"] * 18 + ["a", "b"]
    dropped = diverse_memory.choose_dropped(at(*degrees), NONE, groups, limit)
    kept = [groups[i] for i in range(20) if i not in dropped]
    assert len(kept) <= limit
    assert kept.count("poisoned") <= max(1, min(limit / 2, 2))  # as many as the others
    assert len(set(dropped)) == len(dropped)
