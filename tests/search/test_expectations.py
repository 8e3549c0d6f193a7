"""What a build says about the answers to come."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import edgesearch
from edgesearch.commands.cli import main
from edgesearch.search.calibration import NONE, Question
from edgesearch.search.confusions import Confusion, find_confusions, measure_fewer_pictures
from edgesearch.search.decision import PLAIN, Calibration
from edgesearch.search.expectations import describe

from ..conftest import TINY_MODEL

MEASURED = {"match": 0.523, "choice": 0.447, "unknown": 0.03}
MEASURED |= {"shown": 0.93, "wrong_matches": 0.05, "coverage_at_95": 0.7}
SOME = Calibration(expected=MEASURED, source="pictures", questions=200)


def test_shares_become_counts_of_100_photos() -> None:
    basis, answers, wrong, coverage = describe(SOME)
    assert "its own pictures, 200 of them left out in turn" in basis
    assert "about 52 are answered at once, 45 with a choice of 5 and 3 with unknown; 93 show the right" in answers
    assert "about 5 are wrong" in wrong
    assert coverage.startswith("70 of 100")


def test_nothing_measured_says_nothing() -> None:
    assert list(describe(Calibration())) == []


def test_confused_products_have_their_names_and_few_are_listed() -> None:
    confused = tuple(Confusion(f"A{n}", f"B{n}", 0.5) for n in range(7))
    (*_, sentence) = describe(replace(SOME, confused=confused), lambda sku: f"{sku} tea")
    assert sentence.startswith("most easily confused: A0 tea / B0 tea; A1 tea")
    assert "and 2 more" in sentence


@pytest.mark.parametrize(("half", "advice"), [(0.4, "will help"), (0.59, "will hardly help")])
def test_more_pictures_are_recommended_where_fewer_were_worse(half: float, advice: str) -> None:
    expected = MEASURED | {"first": 0.6, "first_with_half_the_pictures": half}
    (*_, sentence) = describe(replace(SOME, expected=expected))
    assert f"{100 * half:.0f} found them first with half of their pictures, and 60 with all" in sentence
    assert sentence.endswith(advice)


def ask(right: int, first: int, half_first: int, product: int) -> Question:
    """Return a question about three products, with the first product and the one with half of the pictures."""

    def search(best: int) -> Question:
        evidence = np.array([(0.8 if i == best else 0.4, 0.4, 0.0, 4) for i in range(3)])
        return Question(evidence, right, True, (0, 1, 2), product)

    return replace(search(first), half=search(half_first))


def test_pictures_that_help_are_measured_by_leaving_them_out() -> None:
    questions = [ask(0, 0, n % 2, 0) for n in range(40)] + [ask(1, 1, 1, 1)] * 40
    found = measure_fewer_pictures(questions, PLAIN)
    assert found == {"first": 1.0, "first_with_half_the_pictures": 0.75}
    assert measure_fewer_pictures(questions, PLAIN, {0}) == {"first": 1.0, "first_with_half_the_pictures": 0.5}
    assert measure_fewer_pictures(questions[:5], PLAIN) == {}
    lost = replace(ask(NONE, 2, 2, 0), half=None)
    assert measure_fewer_pictures([lost] * 40, PLAIN) == {}


def test_photos_tell_which_products_are_confused(tiny_edge: Path) -> None:
    with edgesearch.open(tiny_edge) as store:
        questions = [ask(0, 1, 1, 0)] * 3 + [ask(2, 2, 2, 2)] * 3
        worst, *_ = find_confusions(store.base, questions, PLAIN)
    assert (worst.sku, worst.other) == ("P000000", "P000001")
    assert worst.share > 0.5


def test_pictures_tell_it_without_photos(tiny_edge: Path) -> None:
    with edgesearch.open(tiny_edge) as store:
        found = find_confusions(store.base, [], PLAIN)
    assert found  # an untrained network finds all products alike
    assert all(pair.sku < pair.other for pair in found)
    assert [pair.share for pair in found] == sorted((pair.share for pair in found), reverse=True)


@pytest.mark.slow
def test_build_and_inspect_say_what_to_expect(shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"{n % 8},Name {n % 8},{shop}/pictures/P00000{(n + n // 8) % 8}.jpg" for n in range(32)]
    (tmp_path / "c.csv").write_text("\n".join(["sku,name,images", *rows]), encoding="utf-8")
    assert main(["build", str(tmp_path / "c.csv"), "-o", str(tmp_path / "c.edge"), "--model", str(TINY_MODEL)]) == 0
    out = capsys.readouterr().out
    assert "what to expect of this catalogue, judged by its own pictures, 32 of them left out in turn" in out
    assert "most easily confused: " in out
    assert main(["inspect", str(tmp_path / "c.edge")]) == 0
    assert "\nexpected wrong_matches" in capsys.readouterr().out
    assert main(["inspect", str(tmp_path / "c.edge"), "--json"]) == 0
    assert '"decision confused"' in capsys.readouterr().out
