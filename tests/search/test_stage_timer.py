"""Timing of an answer's stages."""

import time

import pytest

from edgesearch import Stop, StoppedError
from edgesearch.search.stage_timer import StageTimer


def test_stages_are_reported_in_their_order_with_a_total() -> None:
    timer = StageTimer()
    for name in ("catalog", "image", "embed"):
        with timer.stage(name):
            pass
    report = timer.report()
    assert list(report) == ["image", "embed", "catalog", "total"]
    assert report["total"] == pytest.approx(report["image"] + report["embed"] + report["catalog"])


def test_repeated_stage_adds_up() -> None:
    timer = StageTimer()
    for _ in range(2):
        with timer.stage("decision"):
            time.sleep(0.002)
    assert timer.report()["decision"] >= 4


def test_stop_ends_the_next_stage_before_it_starts() -> None:
    timer = StageTimer()
    with Stop() as stop:
        stop.set()
        with pytest.raises(StoppedError), timer.stage("embed"):
            raise AssertionError("the stage ran")
    assert "embed" not in timer.report()
