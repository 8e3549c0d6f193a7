"""How recognition grew: measured by leaving out what was learned, and shown as a page."""

import csv
import datetime
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from benchmarks.protocols import grocery_products, split

import edgesearch
from edgesearch import CatalogError, Store
from edgesearch.commands.cli import main
from edgesearch.evaluation import learned_page
from edgesearch.html import charts
from edgesearch.learning import contradiction, diverse_memory
from edgesearch.search import pipeline
from edgesearch.store import learning_progress

SKUS = ("P000003", "P000005")
FIRST_DAY = datetime.datetime(2026, 1, 5, 9, tzinfo=datetime.UTC)


@pytest.fixture(autouse=True)
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tell pictures apart that the untrained network embeds nearly alike, and trust its labels."""
    monkeypatch.setattr(diverse_memory, "NOTHING_NEW", 0.9999995)
    monkeypatch.setattr(contradiction, "UNSUPPORTED", 1.0)
    monkeypatch.setattr(contradiction, "NEARER", 1.0)


def photos(product: int, count: int) -> Iterator[np.ndarray]:
    """Yield photos of a made-up product that resemble each other, and no product of the shop."""
    base = np.random.default_rng(product).integers(0, 256, (9, 9, 3), np.uint8)
    for number in range(count):
        cells = base.copy()
        cells[number * 2] = np.random.default_rng([product, number]).integers(0, 256, (9, 3), np.uint8)
        yield cells.repeat(30, 0).repeat(30, 1)


def learn_weeks(store: Store, weeks: int = 3) -> None:
    """Learn a photo of each product a week."""
    learner = store.learner
    learner.switch(True)
    for number, sku in enumerate(SKUS):
        for week, photo in enumerate(photos(number, weeks)):
            learn(store, photo, sku, FIRST_DAY + datetime.timedelta(weeks=week))


def learn(store: Store, photo: np.ndarray, sku: str, day: datetime.datetime) -> None:
    learner = store.learner
    learner.clock = lambda: day
    assert learner.learn(pipeline.observe(store._gallery(), photo, 1), sku, "choice", "", "Ada").state == "used"


def test_the_same_questions_are_asked_of_every_week(store: Store) -> None:
    learn_weeks(store)
    progress = store.learner.progress()
    assert progress.asked == 6
    assert [week.pictures for week in progress.weeks] == [0, 2, 4, 6]
    assert progress.weeks[0].until == "2026-01-04"  # before anything was learned
    assert all(0 <= share <= 1 for week in progress.weeks for share in (week.first, week.coverage, week.matched))
    improved = {one.sku: one for one in progress.products}
    assert improved.keys() == {*SKUS}
    assert all(one.pictures == one.asked == 3 for one in improved.values())
    assert progress.needs


@pytest.mark.slow
def test_real_groceries_are_found_better_week_by_week(real_photos: Path, tmp_path: Path) -> None:
    folder = real_photos / "groceries"
    train = split(folder, "train.txt")
    products = [one for one in grocery_products(folder) if one.number % 2][:6]
    with open(tmp_path / "catalogue.csv", "w", encoding="utf-8", newline="") as file:
        rows = [("sku", "name", "images"), *((one.sku, one.sku, one.catalogue_picture.resolve()) for one in products)]
        csv.writer(file).writerows(rows)
    edgesearch.build(tmp_path / "catalogue.csv", tmp_path / "store.edge", sequence=1)
    edgesearch.install(tmp_path / "store.edge", tmp_path / "device")
    with edgesearch.open(tmp_path / "device") as store:
        store.learner.switch(True)
        for week in range(4):
            for one in products:
                day = FIRST_DAY + datetime.timedelta(weeks=week)
                learner = store.learner
                learner.clock = lambda day=day: day  # type: ignore[misc]
                photo = train[one.number][week * 5]
                learner.learn(pipeline.observe(store._gallery(), photo, 1), one.sku, "barcode", one.sku, "Ada")
        progress = store.learner.progress()
    assert progress.asked > 6
    assert progress.weeks[-1].first > progress.weeks[0].first
    assert any(one.now > one.before for one in progress.products)


def test_a_picture_and_its_day_are_left_out(store: Store) -> None:
    store.learner.switch(True)
    for photo in photos(0, 3):
        learn(store, photo, SKUS[0], FIRST_DAY)
    progress = store.learner.progress()
    assert [week.first for week in progress.weeks] == [progress.weeks[0].first] * 2  # one day teaches itself nothing


def test_all_pictures_of_the_day_are_left_out() -> None:
    """Other products' pictures of that day too: else each day would seem to spoil what it could not teach yet."""
    days = np.array(["", "2026-01-05", "2026-01-05", "2026-01-06"])
    asked = {one.row: np.flatnonzero(one.day).tolist() for one in learning_progress._choose_questions(days)}
    assert asked == {1: [1, 2], 2: [1, 2], 3: [3]}


def test_nothing_learned_is_said(store: Store) -> None:
    progress = store.learner.progress()
    assert (progress.asked, [*progress.weeks], [*progress.products]) == (0, [], [])
    assert "nothing to measure" in learned_page.page(progress, "device", store.learner.picture)


def test_a_disagreement_is_settled_for_the_product_that_it_shows(store: Store) -> None:
    learn_weeks(store, 1)
    store.learner.dismiss(1, may_teach=True)
    assert [one.number for one in store.learner.progress().disagreements] == [1]
    with pytest.raises(CatalogError, match="NOWHERE"):
        store.learner.accept([1], sku="NOWHERE")
    (settled,) = store.learner.accept([1], sku="P000002")
    assert (settled.sku, settled.state, settled.trust) == ("P000002", "used", 1.0)
    assert len(store._gallery().rows_of("P000002")) == 2
    assert not store.learner.progress().disagreements


def test_the_page_loads_nothing_and_escapes_names(store: Store, device: Path, tmp_path: Path) -> None:
    store.edit(SKUS[0], name="<script>alert(1)</script>")
    learn_weeks(store, 2)
    store.learner.dismiss(1, may_teach=True)
    assert main(["learned", str(device), "--report", str(tmp_path / "page.html")]) == 0
    page = (tmp_path / "page.html").read_text()
    assert "<script" not in page
    assert "alert(1)" in page
    assert re.findall(r"(?:src|href)=\"(?!data:|#)[^\"]*", page) == []
    assert "its match was dismissed" in page
    assert "Recognition over time" in page
    keys = re.findall(r'<text x="([^"]+)"[^>]* class="label [^>]*>([^<]+)', page)
    assert len(keys) == 2
    assert all(float(x) + charts.LETTER_PX * len(text) <= charts.WIDTH for x, text in keys)  # not cut off


def test_a_report_is_refused_before_anything_is_measured(device: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["learned", str(device), "--report", str(device / "report.txt")]) == 1
    assert "written as .html" in capsys.readouterr().err


def test_a_damaged_picture_leaves_the_page_readable(store: Store) -> None:
    learn_weeks(store, 1)
    store.learner.dismiss(1, may_teach=True)
    page = learned_page.page(store.learner.progress(), "device", lambda number: b"no picture")
    assert "cannot be shown" in page


def test_vectors_alone_are_measured_too(store: Store) -> None:
    store.learner.switch(True, vectors_only=True)
    learn_weeks(store, 2)
    assert store.learner.progress().asked == 4
