"""Calibration from a catalogue's own pictures, or from photos."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import edgesearch
from edgesearch import CatalogError, ImageError
from edgesearch.commands.cli import main
from edgesearch.search.calibration import NONE, Question, fit_weights, prior_calibration, set_thresholds
from edgesearch.search.decision import ONE_PICTURE, SEVERAL_PICTURES, Calibration, standardize, utilities

from ..conftest import TINY_MODEL

TRUE = Calibration(1.5, 0.8, 3.0, 2.0, 1.0, accept=0.7, lead=0.6)


def draw_questions(count: int, seed: int) -> list[Question]:
    """Return questions with random evidence, whose answers are drawn from the probabilities of `TRUE`."""
    rng, questions = np.random.default_rng(seed), []
    for _ in range(count):
        evidence = np.column_stack([rng.normal(0.6, 0.12, (20, 2)), rng.uniform(0, 1, 20) ** 4])
        products, none = utilities(evidence, TRUE.weights())
        shares = np.exp([*products, none])
        choice = int(rng.choice(21, p=shares / shares.sum()))
        questions.append(Question(evidence, NONE if choice == 20 else choice, choice != 20))
    return questions


@pytest.mark.slow
def test_fit_recovers_the_weights_behind_the_answers() -> None:
    found = fit_weights(draw_questions(4000, 0), ONE_PICTURE)
    assert found.weights()[:3] == pytest.approx(TRUE.weights()[:3], abs=0.2)


def test_few_questions_change_the_prior_little() -> None:
    few, many = (
        np.abs(fit_weights(draw_questions(count, 1), SEVERAL_PICTURES).weights() - SEVERAL_PICTURES.weights())
        for count in (1, 1000)
    )
    assert few.max() < 0.5 < many.max()


@pytest.mark.slow
def test_threshold_keeps_the_requested_false_accepts() -> None:
    for share in (0.02, 0.05, 0.3):
        found = set_thresholds(TRUE, draw_questions(2000, 2), share)
        assert found.false_accept_rate == pytest.approx(share, abs=0.01)
        asked = draw_questions(4000, 3)  # others
        strangers = [TRUE.probabilities(one.evidence).sum() >= found.accept for one in asked if one.right == NONE]
        assert np.mean(strangers) == pytest.approx(share, abs=0.03)


@pytest.mark.slow
def test_fewer_false_accepts_cost_more_false_rejects() -> None:
    strict, lax = (set_thresholds(TRUE, draw_questions(2000, 2), share) for share in (0.01, 0.2))
    assert strict.accept > lax.accept
    assert strict.false_reject_rate > lax.false_reject_rate


@pytest.mark.slow
def test_probabilities_are_calibrated() -> None:
    found, asked = fit_weights(draw_questions(2000, 4), ONE_PICTURE), draw_questions(4000, 5)
    likely = np.array([found.probabilities(one.evidence).sum() for one in asked])
    right = np.array([one.right != NONE for one in asked])
    for some in np.array_split(np.argsort(likely), 4):
        assert right[some].mean() == pytest.approx(likely[some].mean(), abs=0.04)


def test_one_question_sets_no_threshold() -> None:
    found = set_thresholds(replace(TRUE, accept=0.4), draw_questions(1, 0), 0.05)
    assert found.accept == 0.4


def test_missed_product_counts_as_rejected_and_teaches_nothing() -> None:
    asked, lost = draw_questions(400, 6), Question(np.full((20, 3), (0.3, 0.3, 0.0)), NONE, True)
    before, after = set_thresholds(TRUE, asked, 0.05), set_thresholds(TRUE, [*asked, *[lost] * 100], 0.05)
    assert after.accept == before.accept
    assert after.false_accept_rate == before.false_accept_rate
    assert after.false_reject_rate > before.false_reject_rate
    assert fit_weights([*asked, lost], TRUE) == fit_weights(asked, TRUE)


def test_photos_of_unknown_products_alone_keep_the_lead() -> None:
    strangers = [one for one in draw_questions(400, 7) if not one.known]
    found = set_thresholds(TRUE, strangers, 0.05)
    assert found.accept != TRUE.accept
    assert found.lead == TRUE.lead


def test_prior_threshold_follows_the_requested_share() -> None:
    assert prior_calibration(SEVERAL_PICTURES, 0.05) == SEVERAL_PICTURES
    strict, lax = (
        set_thresholds(prior_calibration(SEVERAL_PICTURES, share), draw_questions(5, 0), share) for share in (0.01, 0.2)
    )
    assert lax.accept < SEVERAL_PICTURES.accept < strict.accept < 1


def test_standardized_cosines_are_in_units_of_the_spread() -> None:
    assert standardize(np.array([[0.7, 0.5, 0.2]])) == pytest.approx(np.array([[1, -1, 0.2]]))


@pytest.mark.slow
def test_catalogue_with_several_pictures_learns_from_them(shop: Path, tmp_path: Path) -> None:
    rows = [
        f"P{number % 8},Name,{path}"
        for number, path in enumerate(
            [*sorted((shop / "pictures").glob("*.jpg")), *sorted((shop / "photos").glob("P00000*"))]
        )
    ]
    (tmp_path / "c.csv").write_text("\n".join(["sku,name,images", *rows]), encoding="utf-8")
    made = edgesearch.build(tmp_path / "c.csv", tmp_path / "c.edge", TINY_MODEL)
    found = Calibration.from_dict(dict(made.manifest.calibration))
    assert found.questions >= 20
    assert found.weights() != pytest.approx(SEVERAL_PICTURES.weights())


@pytest.mark.slow
def test_catalogue_with_one_picture_each_keeps_the_prior(shop: Path, tmp_path: Path) -> None:
    made = edgesearch.build(shop / "catalogue.csv", tmp_path / "c.edge", TINY_MODEL, false_accepts=0.2)
    found = Calibration.from_dict(dict(made.manifest.calibration))
    assert (found.weights() == ONE_PICTURE.weights()).all()
    assert found.accept == pytest.approx(0.57)
    assert found.questions == 16


@pytest.mark.slow
def test_build_calibrates_with_given_photos(shop: Path, tmp_path: Path) -> None:
    asked = {"queries": shop / "queries.csv"}
    made = edgesearch.build(shop / "catalogue.csv", tmp_path / "c.edge", TINY_MODEL, **asked)
    found = Calibration.from_dict(dict(made.manifest.calibration))
    assert any("10 photos are too few to calibrate with" in note for note in made.notes)
    assert found.questions == 18  # 8 known, each with and without its product, and 2 unknown ones


@pytest.mark.parametrize(
    ("line", "error", "message"),
    [("x.jpg,NONE", CatalogError, "1 SKU of the queries is not in"), ("x.jpg,", ImageError, "x.jpg")],
)
def test_unusable_photos_raise(shop: Path, tmp_path: Path, line: str, error: type[Exception], message: str) -> None:
    (tmp_path / "q.csv").write_text(f"image,sku\n{line}\n")
    with pytest.raises(error, match=message):
        edgesearch.build(shop / "catalogue.csv", tmp_path / "c.edge", TINY_MODEL, queries=tmp_path / "q.csv")
    assert not (tmp_path / "c.edge").exists()


@pytest.mark.parametrize("share", ["0", "1", "few", "nan", "-0.1"])
def test_invalid_share_is_a_usage_error(share: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["build", "c.csv", "-o", "c.edge", "--false-accepts", share])
    assert ended.value.code == 2
    assert "above 0 and below 1" in capsys.readouterr().err
