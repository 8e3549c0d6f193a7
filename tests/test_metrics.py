"""Figures of merit, against values worked out by hand."""

import numpy as np
import pytest

from edgesearch import metrics


def test_recall_and_map_of_known_ranks() -> None:
    ranks = np.array([1, 2, 0, 6])
    assert metrics.recall_at(ranks, 1) == 0.25
    assert metrics.recall_at(ranks, 5) == 0.5
    assert metrics.mean_average_precision(ranks) == pytest.approx((1 + 1 / 2 + 0 + 1 / 6) / 4)


def test_open_set_counts() -> None:
    known = np.array([True, True, True, True, False, False])
    accepted = np.array([True, True, True, False, True, False])
    right = np.array([True, True, False, True, False, False])
    found = metrics.open_set(known, accepted, right)
    assert found["precision"] == pytest.approx(2 / 4)
    assert found["recall"] == pytest.approx(2 / 4)
    assert found["f1"] == pytest.approx(0.5)
    assert found["false_accept_rate"] == pytest.approx(1 / 2)
    assert found["false_reject_rate"] == pytest.approx(1 / 4)


def test_what_was_not_measured_is_none() -> None:
    found = metrics.open_set(np.array([True]), np.array([False]), np.array([True]))
    assert found["false_accept_rate"] is None
    assert found["precision"] is None
    assert found["f1"] == 0.0
    assert metrics.open_set(np.array([False]), np.array([False]), np.array([False]))["f1"] is None


def test_ann_recall_ignores_order_and_empty_places() -> None:
    exact = np.array([[1, 2, 3], [4, 5, 6]])
    assert metrics.ann_recall(np.array([[3, 1, 2], [4, -1, -1]]), exact) == pytest.approx(4 / 6)
