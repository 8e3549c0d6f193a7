"""Decisions: match, ambiguous, unknown."""

from dataclasses import replace

import numpy as np
import pytest

from edgesearch.search.decision import PLAIN, Calibration, explain

NEAR, FAR, PRINTED = (0.9, 0.9, 0.0, 1), (0.2, 0.2, 0.0, 1), (0.5, 0.5, 0.9, 1)
CROWDED = [(0.75, 0.75, 0.0, 1)] * 20
DEFAULT = Calibration()


def judge(*evidence: tuple[float, ...]) -> np.ndarray:
    return DEFAULT.probabilities(np.array(evidence).reshape(-1, 4))


@pytest.mark.parametrize(
    ("evidence", "decision"),
    [
        ([], "unknown"),
        ([FAR, FAR], "unknown"),
        ([NEAR], "match"),
        ([FAR], "unknown"),
        ([NEAR, FAR], "match"),
        ([NEAR, NEAR, FAR], "ambiguous"),
        ([PRINTED, FAR, FAR], "match"),
    ],
)
def test_decision_follows_evidence(evidence: list[tuple[float, ...]], decision: str) -> None:
    assert DEFAULT.decide(judge(*evidence)) == decision


def test_each_threshold_has_its_own_decision() -> None:
    likely = np.array([0.5, 0.3])
    decisions = [
        replace(DEFAULT, match_from=match_from, known_from=known_from).decide(likely)
        for match_from, known_from in ((0.5, 0.8), (0.6, 0.8), (0.5, 0.9), (0.6, 0.9))
    ]
    assert decisions == ["match", "ambiguous", "unknown", "unknown"]


def test_probabilities_leave_room_for_none_of_the_products() -> None:
    likely = judge(NEAR, FAR, FAR)
    assert likely.shape == (3,)
    assert (likely > 0).all()
    assert likely[0] > 0.5 > likely.sum() - likely[0]
    assert likely.sum() < 1


def test_each_kind_of_evidence_raises_the_probability() -> None:
    base = judge((0.6, 0.6, 0.0, 2), FAR)[0]
    for better in [(0.7, 0.6, 0.0, 2), (0.6, 0.7, 0.0, 2), (0.6, 0.6, 0.3, 2), (0.6, 0.6, 0.0, 1)]:
        assert judge(better, FAR)[0] > base


def test_nearness_counts_less_in_a_crowd() -> None:
    few = judge((0.8, 0.8, 0.0, 1), FAR, FAR)
    many = judge((0.8, 0.8, 0.0, 1), *CROWDED)
    assert few[0] > many[0]
    assert few.sum() > many.sum()


def test_a_product_with_many_pictures_must_be_nearer_than_one_with_few() -> None:
    many, one = judge((0.62, 0.62, 0.0, 10), (0.6, 0.6, 0.0, 1))
    assert one > many
    many, one = judge((0.72, 0.72, 0.0, 10), (0.6, 0.6, 0.0, 1))
    assert many > one


def test_more_pictures_make_the_choice_sharper() -> None:
    def first_share(pictures: int) -> float:
        likely = judge((0.7, 0.7, 0.0, pictures), (0.6, 0.6, 0.0, pictures))
        return float(likely[0] / likely.sum())

    assert first_share(1) < first_share(5) < first_share(12)


def test_scores_of_identical_evidence_are_equal() -> None:
    assert len(set(explain(np.array([NEAR, NEAR, NEAR]), PLAIN).scores.tolist())) == 1


def test_extreme_evidence_gives_finite_probabilities() -> None:
    for extreme in (1e6, -1e6):
        assert np.isfinite(judge((extreme, extreme, 1.0, 0))).all()


def test_calibration_round_trips_through_json() -> None:
    some = Calibration(replace(PLAIN, mean=0.5), 0.8, 0.4, {"match": 0.5}, "photos", 40, (("A", "B", 0.5),))
    assert Calibration.from_dict(some.to_dict()) == some
    assert Calibration.from_dict({**some.to_dict(), "questions": 400.0}).questions == 400
    for wrong in (
        {"weights": {}},
        {"match_from": float("nan")},
        {"known_from": 10**400},
        {"expected": {"match": None}},
        {"confused": [["A"]]},
    ):
        with pytest.raises((KeyError, TypeError, ValueError, OverflowError)):
            Calibration.from_dict({**some.to_dict(), **wrong})
    with pytest.raises(KeyError):
        Calibration.from_dict({})


@pytest.mark.parametrize(
    "earlier",
    [
        {"threshold": 0.5, "margin": 0.01, "false_accept_rate": 0.1, "false_reject_rate": 0.1},
        {"nearest": 1.0, "mean": 1.0, "printed": 3.0, "unknown": 1.4, "crowd": 1.3, "accept": 0.7, "lead": 0.5},
    ],
)
def test_calibrations_of_earlier_formats_are_read(earlier: dict[str, float]) -> None:
    assert Calibration.from_dict(earlier) == DEFAULT
