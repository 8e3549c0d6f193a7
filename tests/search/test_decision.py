"""Decisions: match, ambiguous, unknown."""

import numpy as np
import pytest

from edgesearch.search.decision import ONE_PICTURE, SEVERAL_PICTURES, Calibration

NEAR, FAR, PRINTED = (0.9, 0.9, 0.0), (0.3, 0.3, 0.0), (0.5, 0.5, 0.9)
CROWDED = [(0.75, 0.75, 0.0)] * 20


@pytest.mark.parametrize("calibration", [ONE_PICTURE, SEVERAL_PICTURES])
@pytest.mark.parametrize(
    ("evidence", "decision"),
    [([], "unknown"), ([FAR, FAR], "unknown"), ([NEAR, FAR], "match"), ([NEAR, NEAR, FAR], "ambiguous")],
)
def test_decision_follows_evidence(calibration: Calibration, evidence: list[tuple[float, ...]], decision: str) -> None:
    probabilities = calibration.probabilities(np.array(evidence).reshape(-1, 3))
    assert calibration.decide(probabilities) == decision


def test_probabilities_leave_room_for_none_of_the_products() -> None:
    likely = ONE_PICTURE.probabilities(np.array([NEAR, FAR, FAR]))
    assert likely.shape == (3,)
    assert (likely > 0).all()
    assert likely[0] > 0.5 > likely.sum() - likely[0]
    assert likely.sum() < 1


def test_each_kind_of_evidence_raises_the_probability() -> None:
    base = SEVERAL_PICTURES.probabilities(np.array([(0.6, 0.6, 0.0), FAR]))[0]
    for better in [(0.7, 0.6, 0.0), (0.6, 0.7, 0.0), (0.6, 0.6, 0.3)]:
        assert SEVERAL_PICTURES.probabilities(np.array([better, FAR]))[0] > base


def test_agreeing_local_features_outweigh_a_low_cosine() -> None:
    likely = ONE_PICTURE.probabilities(np.array([PRINTED, *[FAR] * 5]))
    assert ONE_PICTURE.decide(likely) == "match"


def test_nearness_counts_less_in_a_crowd() -> None:
    alone = ONE_PICTURE.probabilities(np.array([(0.8, 0.8, 0.0), FAR, FAR]))
    among = ONE_PICTURE.probabilities(np.array([(0.8, 0.8, 0.0), *CROWDED]))
    assert ONE_PICTURE.decide(alone) == "match"
    assert among[0] < 0.5


def test_extreme_evidence_gives_finite_probabilities() -> None:
    for extreme in (1e6, -1e6):
        likely = ONE_PICTURE.probabilities(np.array([(extreme, extreme, 1.0)]))
        assert np.isfinite(likely).all()


def test_calibration_round_trips_through_json() -> None:
    assert Calibration.from_dict(ONE_PICTURE.to_dict()) == ONE_PICTURE
    assert Calibration.from_dict({**ONE_PICTURE.to_dict(), "questions": 400.0}).questions == 400
    for wrong in ({"lead": "wide"}, {"accept": float("nan")}, {"nearest": 10**400}, {"mean": None}):
        with pytest.raises((TypeError, ValueError, OverflowError)):
            Calibration.from_dict({**ONE_PICTURE.to_dict(), **wrong})
    with pytest.raises(KeyError):
        Calibration.from_dict({})


def test_calibration_of_the_first_format_is_read() -> None:
    first = {"threshold": 0.5, "margin": 0.01, "false_accept_rate": 0.1, "false_reject_rate": 0.1}
    assert Calibration.from_dict(first) == ONE_PICTURE


def test_single_product_can_match_or_be_unknown() -> None:
    assert ONE_PICTURE.decide(ONE_PICTURE.probabilities(np.array([NEAR]))) == "match"
    assert ONE_PICTURE.decide(ONE_PICTURE.probabilities(np.array([FAR]))) == "unknown"
