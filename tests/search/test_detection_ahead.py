"""With two threads, local features are detected beside the network, and the answers are the same."""

import threading
from pathlib import Path

import numpy as np
import pytest

import edgesearch
from edgesearch.search import detection_ahead, pipeline, scoring
from edgesearch.search.pipeline import Observation

NAME = "edgesearch-features"


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of the threads that were started."""
    names: list[str] = []
    start = threading.Thread.start
    monkeypatch.setattr(threading.Thread, "start", lambda self: (names.append(self.name), start(self)))
    return names


def observe(path: Path, photo: Path, threads: int, fast: bool = False) -> Observation:
    with edgesearch.open(path, threads) as store:
        return pipeline.observe(store._gallery(), photo, 5, fast)


def test_answers_are_the_same_to_the_bit(shop_edge: Path, shop: Path, started: list[str]) -> None:
    photos = sorted((shop / "photos").glob("*.jpg"))
    with edgesearch.open(shop_edge, 1) as alone, edgesearch.open(shop_edge, 2) as beside:
        for photo in photos:
            one, two = (pipeline.observe(store._gallery(), photo, 5) for store in (alone, beside))
            for name in ("embedding", "plain", "evidence"):
                assert np.array_equal(getattr(one, name), getattr(two, name))
            assert all(map(np.array_equal, one.extract(), two.extract()))
            assert alone.search(photo).matches == beside.search(photo).matches
    assert any(name.startswith(NAME) for name in started)


def test_one_thread_starts_no_other(tiny_edge: Path, photo: Path, started: list[str]) -> None:
    with edgesearch.open(tiny_edge, 1) as store:
        started.clear()
        store.search(photo)
    assert not started


def test_a_fast_search_detects_nothing(tiny_edge: Path, photo: Path, started: list[str]) -> None:
    assert observe(tiny_edge, photo, 2, fast=True).extract is None
    assert not any(name.startswith(NAME) for name in started)


def test_a_sure_photo_detects_nothing(tiny_edge: Path, photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    detected = []
    monkeypatch.setattr(detection_ahead, "extract_query_features", lambda *given: detected.append(given))
    monkeypatch.setattr(scoring, "leads_clearly", lambda candidates: True)
    observe(tiny_edge, photo, 2)
    assert not detected


def test_an_error_of_the_second_thread_is_raised(tiny_edge: Path, photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*given: object) -> None:
        raise MemoryError("detection")

    monkeypatch.setattr(scoring, "leads_clearly", lambda candidates: False)
    monkeypatch.setattr(detection_ahead, "extract_query_features", fail)
    with pytest.raises(MemoryError, match="detection"):
        observe(tiny_edge, photo, 2)
