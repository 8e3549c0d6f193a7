"""Calibration from a catalogue's own pictures, or from photos."""

from dataclasses import astuple, replace
from pathlib import Path

import numpy as np
import pytest

import edgesearch
from edgesearch import CatalogError, ImageError
from edgesearch.commands.cli import main
from edgesearch.search.calibration import (
    NONE,
    CalibrationPhoto,
    Question,
    ask,
    fit_weights,
    judge,
    shift_unknown_share,
)
from edgesearch.search.decision import PLAIN, Calibration, Weights
from edgesearch.search.decision_prior import UNKNOWN_SHARE

from ..conftest import TINY_MODEL

TRUE = replace(PLAIN, sharpness=30.0, known=-1.5, height=9.0)


def draw_questions(count: int, seed: int) -> list[Question]:
    """Return questions with random evidence, whose answers are drawn from the probabilities of `TRUE`."""
    rng, questions, model = np.random.default_rng(seed), [], Calibration(TRUE)
    for _ in range(count):
        pictures = np.full(20, rng.integers(1, 6))
        evidence = np.column_stack([rng.normal(0.5, 0.1, (20, 2)), rng.uniform(0, 1, 20) ** 4, pictures])
        likely = model.probabilities(evidence)
        choice = int(rng.choice(21, p=[*likely, 1 - likely.sum()]))
        questions.append(Question(evidence, NONE if choice == 20 else choice, choice != 20))
    return questions


def distance(found: Weights) -> float:
    """Return how far the fitted weights are from the true ones."""
    return float(np.abs(np.array(astuple(found)) - astuple(TRUE)).sum())


@pytest.mark.slow
def test_fit_comes_nearer_to_the_weights_behind_the_answers() -> None:
    found = fit_weights(draw_questions(2000, 0), PLAIN)
    assert found.sharpness == pytest.approx(TRUE.sharpness, rel=0.1)
    assert distance(found) < distance(PLAIN) / 2


def test_few_questions_change_the_prior_little() -> None:
    few, many = (fit_weights(draw_questions(count, 1), PLAIN) for count in (2, 400))
    assert abs(few.sharpness - PLAIN.sharpness) < 4
    assert abs(few.known - PLAIN.known) < 0.5
    assert distance(many) < distance(few)


def test_no_questions_keep_the_prior() -> None:
    assert fit_weights([], PLAIN) == PLAIN


def test_a_product_that_was_not_found_teaches_nothing() -> None:
    asked, lost = draw_questions(60, 6), Question(np.full((20, 4), (0.3, 0.3, 0.0, 1)), NONE, True)
    assert fit_weights([*asked, lost], PLAIN) == fit_weights(asked, PLAIN)
    ((_, _, rank, known),) = judge([lost], PLAIN)
    assert (rank, known) == (0, True)


def test_more_unknown_products_make_every_match_less_likely() -> None:
    evidence = np.array([(0.6, 0.6, 0.0, 1), (0.4, 0.4, 0.0, 1)])
    likely = [Calibration(shift_unknown_share(PLAIN, share)).probabilities(evidence)[0] for share in (0.01, 0.1, 0.5)]
    assert likely == sorted(likely, reverse=True)
    assert shift_unknown_share(PLAIN, UNKNOWN_SHARE) == PLAIN


@pytest.fixture(scope="module")
def several(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a catalogue whose products have four pictures each."""
    folder = tmp_path_factory.mktemp("several")
    pictures = sorted((shop / "pictures").glob("*.jpg"))
    rows = [f"P{number % 8},Name,{pictures[(number + number // 8) % 8]}" for number in range(32)]
    (folder / "c.csv").write_text("\n".join(["sku,name,images", *rows]), encoding="utf-8")
    edgesearch.build(folder / "c.csv", folder / "c.edge", TINY_MODEL)
    return folder / "c.edge"


def test_pictures_taken_together_are_left_out_together(several: Path) -> None:
    with edgesearch.open(several) as store:
        base = store.base
        rows = base.catalog.rows_of([2]).tolist()
        pixels = base.embedder.read(base.picture(rows[1]))
        known, unknown = ask(base, CalibrationPhoto(lambda: pixels, 2, rows[1]))
        place = known.products.index(2)
        assert known.evidence[place, 3] == 2  # of four, it and the one of the others that is most like it are left out
        assert (known.right, known.known, unknown.known) == (place, True, False)
        assert 2 not in unknown.products


def test_catalogue_with_several_pictures_learns_from_them(several: Path) -> None:
    with edgesearch.open(several) as store:
        found = store.base.calibration
    assert (found.source, found.questions) == ("pictures", 32)
    assert found.weights != PLAIN
    assert found.expected["match"] + found.expected["choice"] + found.expected["unknown"] == pytest.approx(1)


def test_catalogue_with_one_picture_each_keeps_the_prior(tiny_edge: Path) -> None:
    with edgesearch.open(tiny_edge) as store:
        assert replace(store.base.calibration, confused=()) == Calibration()


def test_one_picture_each_takes_what_the_model_knows(shop_edge: Path) -> None:
    with edgesearch.open(shop_edge) as store:
        found = store.base.calibration
    assert (found.source, found.questions) == ("model", 0)
    assert found.expected["wrong_matches"] <= 0.05


@pytest.mark.slow
def test_build_calibrates_with_given_photos(shop: Path, tmp_path: Path) -> None:
    asked = {"queries": shop / "queries.csv"}
    made = edgesearch.build(shop / "catalogue.csv", tmp_path / "c.edge", TINY_MODEL, **asked)
    assert any("10 photos are too few to calibrate with" in note for note in made.notes)
    rows = (shop / "queries.csv").read_text(encoding="utf-8").splitlines()
    (shop / "many.csv").write_text("\n".join([rows[0], *rows[1:] * 3]), encoding="utf-8")
    made = edgesearch.build(shop / "catalogue.csv", tmp_path / "c.edge", TINY_MODEL, queries=shop / "many.csv")
    found = Calibration.from_dict(dict(made.manifest.calibration))
    assert (found.source, found.questions) == ("photos", 24)


@pytest.mark.parametrize(
    ("line", "error", "message"),
    [("x.jpg,NONE", CatalogError, "1 SKU of the queries is not in"), ("x.jpg,", ImageError, "x.jpg")],
)
def test_unusable_photos_raise(shop: Path, tmp_path: Path, line: str, error: type[Exception], message: str) -> None:
    (tmp_path / "q.csv").write_text(f"image,sku\n{line}\n")
    with pytest.raises(error, match=message):
        edgesearch.build(shop / "catalogue.csv", tmp_path / "c.edge", TINY_MODEL, queries=tmp_path / "q.csv")
    assert not (tmp_path / "c.edge").exists()


@pytest.mark.parametrize("option", ["--wrong-matches", "--missed", "--unknown-share"])
@pytest.mark.parametrize("share", ["0", "1", "few", "nan", "-0.1"])
def test_invalid_share_is_a_usage_error(option: str, share: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["build", "c.csv", "-o", "c.edge", option, share])
    assert ended.value.code == 2
    assert "above 0 and below 1" in capsys.readouterr().err
