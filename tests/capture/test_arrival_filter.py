"""What is new in front of a camera is told once; a piece that comes back is another one."""

import numpy as np
import pytest

from edgesearch.answer import Answer, Decision, Match
from edgesearch.capture.arrival_filter import GONE_S, LOOKS, STEADY, ArrivalFilter, Stillness
from edgesearch.catalog.product import Product

FRAME_S = 0.08
SAYS: dict[str, Decision] = {"?": "unknown", "!": "ambiguous"}


def answer(what: str) -> Answer:
    """ "A": a match; "A!": ambiguous; "?": unknown."""
    decision = SAYS.get(what[-1], "match")
    return Answer("camera", decision, (Match(Product(what[0], what[0]), 0.9, "", 0),), {})


def told(frames: list[str], every_s: float = FRAME_S) -> list[str]:
    presence = ArrivalFilter()
    return [what for place, what in enumerate(frames) if presence.add(answer(what), place * every_s)]


def test_a_product_in_view_is_told_once() -> None:
    assert told(["A"] * 100) == ["A"]


def test_one_frame_says_nothing() -> None:
    assert told(["A", "B", "A", "B!", "?", "B"]) == []


def test_another_product_is_told_at_once() -> None:
    assert told(["A"] * 5 + ["B"] * 5) == ["A", "B"]


def test_a_flicker_does_not_tell_it_again() -> None:
    assert told(["A"] * 5 + ["?"] * 3 + ["A"] * 5 + ["B"] * 2 + ["A"] * 5) == ["A", "B"]


def test_the_next_piece_of_a_product_is_told_when_the_first_was_taken_away() -> None:
    away = round(GONE_S / FRAME_S) + 1
    assert told(["A"] * 5 + ["?"] * away + ["A"] * 5) in (["A", "A"], ["A", "?", "A"])
    assert told(["A"] * 5 + ["?"] * (away // 2) + ["A"] * 5) == ["A"]


def test_what_is_surer_by_now_is_told_and_what_is_less_sure_not() -> None:
    assert told(["A!"] * 6 + ["A"] * 6) == ["A!", "A"]
    assert told(["A"] * 6 + ["A!"] * 6) == ["A"]


def test_what_is_unknown_is_told_once_and_late() -> None:
    assert told(["?"] * (STEADY["unknown"] - 1)) == []
    assert told(["?"] * 50) == ["?"]


def test_a_product_that_rests_stays_told() -> None:
    presence = ArrivalFilter()
    assert [presence.add(answer("A"), place * FRAME_S) for place in range(3)] == [False, True, False]
    for place in range(3, 100):
        presence.stay(place * FRAME_S)
    assert not presence.add(answer("A"), 100 * FRAME_S)


def test_what_a_trigger_told_is_not_told_again() -> None:
    presence = ArrivalFilter()
    presence.tell(answer("A"), 0.0)
    assert not any(presence.add(answer("A"), place * FRAME_S) for place in range(1, 20))


def scene(seed: int, noise: float = 0.0) -> np.ndarray:
    """(H, W, 3) uint8; noise: standard deviation."""
    picture = np.random.default_rng(seed).integers(0, 255, (6, 8, 3)).repeat(60, 0).repeat(60, 1)
    shaken = picture + np.random.default_rng(seed + 1).normal(0, noise, picture.shape)
    return shaken.clip(0, 255).astype(np.uint8)


def test_a_scene_at_rest_is_looked_at_a_few_times() -> None:
    still = Stillness()
    assert [still.needs_look(scene(0, 20.0)) for _ in range(3 * LOOKS)] == [True] * LOOKS + [False] * 2 * LOOKS


@pytest.mark.parametrize("side", [120, 200])
def test_a_small_thing_that_moves_is_looked_at(side: int) -> None:
    still, moved = Stillness(), scene(0)
    for _ in range(LOOKS + 1):
        still.needs_look(scene(0))
    moved[100 : 100 + side, 100 : 100 + side] = 255 - moved[100 : 100 + side, 100 : 100 + side]
    assert still.needs_look(moved)


def test_a_frame_that_cannot_be_read_is_looked_at() -> None:
    assert Stillness().needs_look(b"no picture")
