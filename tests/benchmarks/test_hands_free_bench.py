"""Check how photos in a trembling hand are judged."""

import numpy as np
import pytest
from benchmarks.hands_free import judge, table
from browsing.recorded_camera import Hand, plan

FIRST, EMPTY, SECOND = plan(["milk", "table", "tea"], hold_ms=3000)
SKUS = {"milk": "M", "tea": "T"}


def searched(start: float, *skus: str) -> dict[str, object]:
    return {"at": start + 400, "kind": "searched", "start": start, "skus": [*skus]}


def seen(at: float, kind: str = "shown") -> dict[str, object]:
    return {"at": at, "kind": kind}


def test_answers_in_time_and_old_answers_are_counted() -> None:
    start = FIRST.still_ms + 300
    late = SECOND.still_ms + 1200
    events = [searched(start, "M"), seen(start + 400), seen(EMPTY.from_ms + 250, "faded")]
    events += [searched(late, "X", "Y"), seen(late + 400)]
    found = judge(events, [FIRST, EMPTY, SECOND], SKUS)
    assert found["answered or asked back within 1.5 s"] == 1  # the second came after 1.6 s
    assert found["right product among the answers"] == 1
    assert found["ms until the answer, median"] == 1150
    assert found["answers to these"] == 0
    assert found["ms an old answer stays, longest"] == 250
    assert "| photos | 2 | 2 |" in table({"1 px": found, "2 px": found})


def test_an_answer_to_the_photo_before_does_not_count() -> None:
    early = FIRST.until_ms - 50
    found = judge([searched(early, "M"), seen(early + 400)], [FIRST, EMPTY], SKUS)
    assert found["answers to these"] == 0
    start = EMPTY.still_ms
    found = judge([searched(start, "M"), seen(start + 400)], [FIRST, EMPTY], SKUS)
    assert found["answers to these"] == 1
    assert found["answered or asked back within 1.5 s"] == 0


@pytest.mark.parametrize("px", [1, 4])
def test_a_hand_trembles_smoothly_and_not_further_than_it_is_told(px: float) -> None:
    path = Hand(px).path(4000, seed=1)
    assert np.abs(path).max() == pytest.approx(px)
    assert np.abs(np.diff(path, axis=0)).max() < px
    assert (path == Hand(px).path(4000, seed=1)).all()
