"""Match, ambiguous, unknown."""

import numpy as np
import pytest

from edgesearch.decision import LEAST_MARGIN, SURE_POINTS, Calibration, calibrate

CALIBRATION = Calibration(threshold=0.5, margin=0.1, false_accept_rate=0.05, false_reject_rate=0.1)


@pytest.mark.parametrize(
    ("scores", "decision"),
    [
        ([], "unknown"),
        ([0.49], "unknown"),
        ([0.5], "match"),
        ([0.9, 0.85], "ambiguous"),
        ([0.9, 0.7], "match"),
        ([0.4, 0.1], "unknown"),
    ],
)
def test_decide(scores: list[float], decision: str) -> None:
    assert CALIBRATION.decide(np.array(scores)) == decision


def test_the_threshold_balances_both_errors() -> None:
    rng = np.random.default_rng(0)
    own, other = rng.normal(0.8, 0.1, 2000), rng.normal(0.5, 0.1, 2000)
    found = calibrate(own, other)
    assert found.false_accept_rate == pytest.approx(found.false_reject_rate, abs=0.01)
    assert found.threshold == pytest.approx(0.65, abs=0.02)
    assert LEAST_MARGIN <= found.margin < 0.02  # nearly all first matches are right


def test_confusable_products_get_a_margin() -> None:
    rng = np.random.default_rng(0)
    own = rng.normal(0.8, 0.05, 2000)
    other = own + rng.normal(-0.02, 0.05, 2000)
    margin = calibrate(own, other).margin
    assert 0.005 < margin < 0.2
    sure = np.abs(own - other) >= margin
    assert (own > other)[sure].mean() >= 0.9


def test_a_tie_is_ambiguous() -> None:
    calibration = calibrate(np.array([0.7, 0.8]), np.array([0.1, 0.2]))
    assert calibration.decide(np.array([0.8, 0.8])) == "ambiguous"


def test_one_product_alone_can_be_calibrated() -> None:
    found = calibrate(np.array([0.7, 0.8]), np.array([-np.inf, -np.inf]))
    assert found.decide(np.array([0.75])) == "match"
    assert found.decide(np.array([0.6])) == "unknown"


def test_calibration_survives_json() -> None:
    assert Calibration.from_dict(CALIBRATION.to_dict()) == CALIBRATION
    for table in ({}, {**CALIBRATION.to_dict(), "margin": "wide"}):
        with pytest.raises((KeyError, ValueError)):
            Calibration.from_dict(table)


def test_print_that_agrees_makes_up_for_a_low_cosine_and_nothing_less_does() -> None:
    calibration = Calibration(threshold=0.6, margin=0.01, false_accept_rate=0.0, false_reject_rate=0.0)
    scores = np.array([0.9, 0.5])
    assert calibration.decide(scores, cosine=0.5, points=SURE_POINTS - 1) == "unknown"
    assert calibration.decide(scores, cosine=0.5, points=SURE_POINTS) == "match"
    assert calibration.decide(scores, cosine=0.6) == "match"
