"""Quality figures, compared with values calculated by hand."""

import numpy as np
import pytest

from edgesearch.evaluation import metrics


def test_recall_and_map_of_known_ranks() -> None:
    ranks = np.array([1, 2, 0, 6])
    assert metrics.recall_at(ranks, 1) == 0.25
    assert metrics.recall_at(ranks, 5) == 0.5
    assert metrics.mean_average_precision(ranks) == pytest.approx((1 + 1 / 2 + 0 + 1 / 6) / 4)


def test_open_set_counts() -> None:
    known = np.array([True, True, True, True, False, False])
    matched = np.array([True, True, True, False, True, False])
    right = np.array([True, True, False, True, False, False])
    rejected = np.array([False, False, False, True, False, False])
    found = metrics.open_set(known, matched, right, rejected)
    assert found["precision"] == pytest.approx(2 / 4)
    assert found["recall"] == pytest.approx(2 / 4)
    assert found["f1"] == pytest.approx(0.5)
    assert found["false_accept_rate"] == pytest.approx(1 / 2)
    assert found["false_reject_rate"] == pytest.approx(1 / 4)


def test_figures_without_data_are_none() -> None:
    found = metrics.open_set(*np.array([[True], [False], [True], [True]]))
    assert found["false_accept_rate"] is None
    assert found["precision"] is None
    assert found["f1"] == 0.0
    assert metrics.open_set(*np.zeros((4, 1), bool))["f1"] is None


def test_three_answers_are_counted() -> None:
    known = np.array([True] * 6 + [False] * 2)
    matched = np.array([True, True, False, False, False, False, True, False])
    rejected = np.array([False, False, False, False, True, True, False, True])
    answers = metrics.Answers(known, matched, rejected, np.array([1, 2, 5, 6, 1, 0, 0, 0]), np.linspace(0.9, 0.2, 8))
    found = answers.figures()
    assert (found["match"], found["choice"], found["unknown"]) == pytest.approx((1 / 3, 1 / 3, 1 / 3))
    assert found["shown"] == pytest.approx(2 / 6)  # a right match, and the fifth of five choices
    assert found["wrong_matches"] == pytest.approx(2 / 3)
    assert found["coverage_at_95"] == pytest.approx(1 / 6)
    assert answers.of(~known).figures()["shown"] is None


def test_ann_recall_ignores_order_and_missing_rows() -> None:
    exact = np.array([[1, 2, 3], [4, 5, 6]])
    assert metrics.ann_recall(np.array([[3, 1, 2], [4, -1, -1]]), exact) == pytest.approx(4 / 6)


def test_error_rates_of_each_threshold() -> None:
    known = np.array([True, True, True, False, False])
    curve = metrics.error_curve(known, np.array([0.9, 0.8, 0.4, 0.7, 0.4]))
    assert curve is not None
    assert curve.thresholds.tolist() == [0.4, 0.7, 0.8, 0.9, np.inf]
    assert curve.false_accept_rate.tolist() == pytest.approx([1, 1 / 2, 0, 0, 0])
    assert curve.false_reject_rate.tolist() == pytest.approx([0, 1 / 3, 1 / 3, 2 / 3, 1])
    assert curve.auroc == pytest.approx(4.5 / 6)  # of six pairs four in order, one a tie
    assert [curve.reject_rate_at(rate) for rate in (0.0, 0.05, 0.5, 1.0)] == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0])


@pytest.mark.parametrize(("scores", "auroc"), [([3, 4, 1, 2], 1), ([1, 2, 3, 4], 0), ([5, 5, 5, 5], 0.5)])
def test_auroc_of_perfect_reversed_and_tied_scores(scores: list[float], auroc: float) -> None:
    curve = metrics.error_curve(np.array([True, True, False, False]), np.array(scores, float))
    assert curve is not None
    assert curve.auroc == pytest.approx(auroc)


def test_auroc_is_the_share_of_correctly_ordered_pairs() -> None:
    rng = np.random.default_rng(0)
    known, scores = rng.random(300) < 0.6, rng.integers(0, 50, 300) / 50
    scores[known] = np.minimum(1, scores[known] + 0.1)
    lead = scores[known][:, None] - scores[~known][None]
    curve = metrics.error_curve(known, scores)
    assert curve is not None
    assert curve.auroc == pytest.approx(((lead > 0) + 0.5 * (lead == 0)).mean())


@pytest.mark.parametrize("known", [True, False])
def test_without_known_and_unknown_products_there_is_no_curve(known: bool) -> None:
    assert metrics.error_curve(np.array([known, known]), np.array([0.1, 0.2])) is None


def test_reliability_of_calculated_answers() -> None:
    said = np.array([0.05, 0.62, 0.66, 0.68, 1.0])
    found = metrics.reliability(said, np.array([False, True, False, True, True]))
    assert found.counts.tolist() == [1, 0, 0, 0, 0, 0, 3, 0, 0, 1]
    assert found.probability[[0, 6, 9]].tolist() == pytest.approx([0.05, 1.96 / 3, 1.0])
    assert found.right[[0, 6, 9]].tolist() == pytest.approx([0, 2 / 3, 1])
    assert found.ece == pytest.approx((0.05 + 3 * abs(2 / 3 - 1.96 / 3) + 0) / 5)


def test_true_probabilities_have_a_small_calibration_error() -> None:
    rng = np.random.default_rng(0)
    said = rng.random(20_000)
    right = rng.random(20_000) < said
    assert metrics.reliability(said, right).ece < 0.02
    assert metrics.reliability(said, rng.random(20_000) < said**3).ece > 0.2


def test_categories_are_counted_separately() -> None:
    categories, ranks = ["Tea", "Milk", "Tea", "Tea"], np.array([1, 1, 2, 0])
    matched = np.array([True, False, True, False])
    answers = metrics.Answers(np.ones(4, bool), matched, ~matched, ranks, np.array([0.9, 0.2, 0.8, 0.3]))
    found = metrics.by_category(categories, answers)
    assert list(found) == ["Tea", "Milk"]
    tea, milk = found["Tea"], found["Milk"]
    assert (tea["queries"], tea["recall@1"], tea["recall@5"]) == pytest.approx((3, 1 / 3, 2 / 3))
    assert (tea["map"], tea["precision"], tea["recall"]) == pytest.approx((0.5, 0.5, 1 / 3))
    assert (milk["recall@1"], milk["precision"], milk["false_reject_rate"]) == (1, None, 1)


def test_an_interval_contains_its_share_and_narrows() -> None:
    low, high = metrics.interval(np.array([0.0, 0.5, 1.0]), np.array([10, 10, 1000]))
    assert low.tolist() == pytest.approx([0.0, 0.2366, 0.9962], abs=1e-4)
    assert high.tolist() == pytest.approx([0.2775, 0.7634, 1.0], abs=1e-4)
