"""The weights of decisions are fitted to questions with known answers."""

from dataclasses import astuple, replace

import numpy as np
import pytest
from benchmarks.decision_learning import _Batch, fit, thin

from edgesearch.search.calibration import NONE, Question
from edgesearch.search.decision import PLAIN

pytest.importorskip("scipy", reason="learning decisions needs the extra `export`")


def questions(noise: float) -> list[Question]:
    """Ask about three products: the right one is nearest, and all are far where it is missing."""
    rng = np.random.default_rng(0)
    asked = []
    for number in range(200):
        known = number % 2 == 0
        evidence = np.zeros((3, 4))
        evidence[:, 0] = evidence[:, 1] = rng.normal([0.8 if known else 0.5, 0.5, 0.5], noise)
        evidence[:, 3] = 1
        order = np.argsort(-evidence[:, 0])
        asked.append(Question(evidence[order], int(np.flatnonzero(order == 0)[0]) if known else NONE, known))
    return asked


def test_the_fitted_weights_judge_better_and_stay_within_their_bounds() -> None:
    batch = _Batch.of(questions(0.05))
    start = replace(PLAIN, growth=0.0, pictures=0.0)
    fitted = fit([batch], start)
    assert batch.loss(fitted) < 0.8 * batch.loss(start)
    assert 0 <= fitted.mean <= 1 and fitted.printed >= 0 and fitted.pictures >= 0
    assert np.isfinite(astuple(fitted)).all()


def test_noisy_questions_make_less_sharp_weights() -> None:
    clear, noisy = (fit([_Batch.of(questions(noise))], PLAIN) for noise in (0.03, 0.3))
    assert noisy.sharpness < clear.sharpness


def test_thinned_rows_keep_the_extremes() -> None:
    rows = [(p, 1.0, 1, True) for p in np.linspace(0, 1, 50).tolist()]
    kept = thin(rows, 5)
    assert [row[0] for row in kept] == pytest.approx([0, 12 / 49, 24 / 49, 36 / 49, 1], abs=0.02)
    assert thin(rows[:3], 5) == sorted(thin(rows[:3], 5)) and len(thin(rows[:3], 5)) == 3
