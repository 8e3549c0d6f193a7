"""A product that arrives in view is reported once; one that returns later is another piece."""

import numpy as np
import pytest

from edgesearch.answer import Answer, Decision, Match
from edgesearch.capture.arrival_filter import GONE_S, STEADY_FRAMES, STILL_SEARCHES, ArrivalFilter, MotionDetector
from edgesearch.catalog.product import Product

FRAME_S = 0.08
DECISIONS: dict[str, Decision] = {"?": "unknown", "!": "ambiguous"}


def answer(what: str) -> Answer:
    """Return the answer of a frame; "A": a match; "A!": ambiguous; "AB!": between two; "?": unknown."""
    decision = DECISIONS.get(what[-1], "match")
    skus = what.rstrip("!") or what
    return Answer("camera", decision, tuple(Match(Product(sku, sku), 0.9, "", 0) for sku in skus), {})


def reported(frames: list[str], every_s: float = FRAME_S) -> list[str]:
    arrivals = ArrivalFilter()
    return [what for number, what in enumerate(frames) if arrivals.add(answer(what), number * every_s)]


def test_a_product_in_view_is_reported_once() -> None:
    assert reported(["A"] * 100) == ["A"]


def test_single_frames_are_not_reported() -> None:
    assert reported(["A", "B", "A", "B!", "?", "B"]) == []


def test_the_next_product_is_reported_at_once() -> None:
    assert reported(["A"] * 5 + ["B"] * 5) == ["A", "B"]


def test_a_brief_misrecognition_does_not_report_a_product_again() -> None:
    assert reported(["A"] * 5 + ["?"] * 3 + ["A"] * 5 + ["B"] * 2 + ["A"] * 5) == ["A", "B"]


def test_a_product_that_returns_after_a_while_is_reported_again() -> None:
    away = round(GONE_S / FRAME_S) + 1
    assert reported(["A"] * 5 + ["?"] * away + ["A"] * 5) in (["A", "A"], ["A", "?", "A"])
    assert reported(["A"] * 5 + ["?"] * (away // 2) + ["A"] * 5) == ["A"]


def test_a_surer_decision_is_reported_and_a_less_sure_one_is_not() -> None:
    assert reported(["A!"] * 6 + ["A"] * 6) == ["A!", "A"]
    assert reported(["A"] * 6 + ["A!"] * 6) == ["A"]


def test_a_choice_whose_products_swap_places_is_reported_once() -> None:
    assert reported(["AB!", "BA!"] * 20) == ["BA!"]
    assert reported(["AB!", "CD!"] * 20) == []


def test_an_unknown_product_is_reported_once_after_more_frames() -> None:
    assert reported(["?"] * (STEADY_FRAMES["unknown"] - 1)) == []
    assert reported(["?"] * 50) == ["?"]


def test_a_product_at_rest_is_not_reported_again() -> None:
    arrivals = ArrivalFilter()
    assert [arrivals.add(answer("A"), number * FRAME_S) for number in range(3)] == [False, True, False]
    for number in range(3, 100):
        arrivals.add_still_frame(number * FRAME_S)
    assert not arrivals.add(answer("A"), 100 * FRAME_S)


def test_an_answer_to_a_trigger_is_not_reported_again() -> None:
    arrivals = ArrivalFilter()
    arrivals.mark_reported(answer("A"), 0.0)
    assert not any(arrivals.add(answer("A"), number * FRAME_S) for number in range(1, 20))


def scene(seed: int, noise: float = 0.0) -> np.ndarray:
    """Return a (360, 480, 3) uint8 picture; `noise` is the standard deviation of its noise."""
    picture = np.random.default_rng(seed).integers(0, 255, (6, 8, 3)).repeat(60, 0).repeat(60, 1)
    noisy = picture + np.random.default_rng(seed + 1).normal(0, noise, picture.shape)
    return noisy.clip(0, 255).astype(np.uint8)


def test_a_still_scene_is_searched_a_few_times() -> None:
    detector = MotionDetector()
    searched = [detector.should_search(scene(0, 20.0)) for _ in range(3 * STILL_SEARCHES)]
    assert searched == [True] * STILL_SEARCHES + [False] * 2 * STILL_SEARCHES


@pytest.mark.parametrize("side", [120, 200])
def test_a_scene_with_a_small_moving_object_is_searched(side: int) -> None:
    detector, moved = MotionDetector(), scene(0)
    for _ in range(STILL_SEARCHES + 1):
        detector.should_search(scene(0))
    moved[100 : 100 + side, 100 : 100 + side] = 255 - moved[100 : 100 + side, 100 : 100 + side]
    assert detector.should_search(moved)


def test_an_unreadable_frame_is_searched() -> None:
    assert MotionDetector().should_search(b"no picture")
