"""Thresholds, and what to expect of them."""

import numpy as np
import pytest

from edgesearch.search.outcomes import Outcomes, Targets, choose_thresholds, expect, risk_curve

Row = tuple[float, float, int, bool]


def draw_rows(count: int, seed: int = 0) -> list[Row]:
    """Return rows whose first products are right as often as stated, half of them of known products."""
    rng = np.random.default_rng(seed)
    rows: list[Row] = []
    for _ in range(count):
        known, share = rng.beta(6, 1), rng.beta(3, 1)
        rank = 1 if rng.random() < share else int(rng.integers(2, 9))
        rows.append((known * share, known, rank, True))
        rows.append((rng.beta(2, 3), rng.beta(3, 2), 0, False))
    return rows


@pytest.mark.parametrize("wrong_matches", [0.02, 0.05, 0.2])
@pytest.mark.parametrize("missed", [0.01, 0.03, 0.2])
def test_thresholds_keep_both_targets(wrong_matches: float, missed: float) -> None:
    outcomes, targets = Outcomes.of(draw_rows(2000), 0.1), Targets(wrong_matches, missed)
    found = expect(outcomes, *choose_thresholds(outcomes, targets))
    assert found["wrong_matches"] <= wrong_matches * 1.3
    assert found["unknown"] == pytest.approx(missed, abs=0.005)
    assert found["match"] + found["choice"] + found["unknown"] == pytest.approx(1)


def test_laxer_targets_answer_more() -> None:
    outcomes = Outcomes.of(draw_rows(2000), 0.1)
    answered = [
        expect(outcomes, *choose_thresholds(outcomes, Targets(wrong)))["match"] for wrong in (0.01, 0.05, 0.1, 0.3)
    ]
    assert answered == sorted(answered)
    assert answered[0] < answered[-1]


def test_a_target_that_cannot_be_met_answers_nothing() -> None:
    wrong = Outcomes.of([(0.9, 0.95, 2, True)] * 10 + [(0.8, 0.9, 0, False)] * 10, 0.1)
    match_from, _ = choose_thresholds(wrong, Targets())
    assert match_from == 1


def test_two_products_that_are_the_same_never_make_a_match() -> None:
    halves = Outcomes.of([(0.5, 1.0, 1, True)] * 50, 0.1)
    assert choose_thresholds(halves, Targets())[0] > 0.5


def test_unknown_products_count_as_their_share() -> None:
    rows: list[Row] = [(0.9, 0.95, 1, True)] * 30 + [(0.9, 0.95, 0, False)] * 70
    for share in (0.1, 0.4):
        _, risk, _ = risk_curve(Outcomes.of(rows, share))
        assert risk[-1] == pytest.approx(share)


def test_equal_probabilities_are_answered_together() -> None:
    coverage, risk, thresholds = risk_curve(Outcomes.of([(0.8, 0.9, 1, True), (0.8, 0.9, 2, True)], 0.1))
    assert coverage.tolist() == [1.0]
    assert risk.tolist() == [0.5]
    assert thresholds.tolist() == [0.8]


def test_coverage_is_the_largest_share_with_the_precision() -> None:
    rows: list[Row] = [(1 - i / 100, 1.0, 2 if i % 10 == 9 else 1, True) for i in range(40)]
    outcomes = Outcomes.of(rows, 0.1)
    assert outcomes.coverage_at(0.9) == pytest.approx(1)
    assert outcomes.coverage_at(0.95) == pytest.approx(9 / 40)
    assert outcomes._replace(ranks=np.zeros(40, int)).coverage_at() == 0


def test_shown_are_right_matches_and_choices_of_five() -> None:
    ranks = (1, 2, 5, 6, 1)
    firsts = (0.9, 0.9, 0.5, 0.5, 0.1)
    rows: list[Row] = [(first, first, rank, True) for first, rank in zip(firsts, ranks, strict=True)]
    found = expect(Outcomes.of(rows, 0.1), 0.8, 0.3)
    assert found["shown"] == pytest.approx(2 / 5)  # a wrong match, the sixth product and one sent away are not shown
    assert found["unknown"] == pytest.approx(1 / 5)
