"""A wrong barcode that is scanned all day must not turn a product around."""

import csv
import datetime
from pathlib import Path

import pytest
from benchmarks.protocols import grocery_products, split

import edgesearch
from edgesearch import Store
from edgesearch.search import pipeline

DAYS, ASKED = 3, 8
Photos = dict[str, list[Path]]


@pytest.fixture(scope="module")
def groceries(real_photos: Path) -> tuple[Path, Photos]:
    folder = real_photos / "groceries"
    train = split(folder, "train.txt")
    products = [one for one in grocery_products(folder) if one.number % 2][:8]
    return folder, {one.sku: [one.catalogue_picture, *train[one.number]] for one in products}


@pytest.fixture
def grown(groceries: tuple[Path, Photos], tmp_path: Path) -> Store:
    """Return a store that was opened for three days, with two scans of each product a day."""
    _, photos = groceries
    with open(tmp_path / "catalogue.csv", "w", encoding="utf-8", newline="") as file:
        rows = [("sku", "name", "images"), *((sku, sku, paths[0].resolve()) for sku, paths in photos.items())]
        csv.writer(file).writerows(rows)
    edgesearch.build(tmp_path / "catalogue.csv", tmp_path / "store.edge", sequence=1)
    edgesearch.install(tmp_path / "store.edge", tmp_path / "device")
    store = edgesearch.open(tmp_path / "device")
    store.learner.switch(True)
    for day in range(DAYS):
        for sku, paths in photos.items():
            for path in paths[1 + 2 * day : 3 + 2 * day]:
                scan(store, path, sku, day)
    return store


def scan(store: Store, photo: Path, sku: str, day: int) -> str:
    learner = store.learner
    learner.clock = lambda: datetime.datetime(2026, 1, 1, 9, tzinfo=datetime.UTC) + datetime.timedelta(days=day)
    return learner.learn(pipeline.observe(store._gallery(), photo, 1), sku, "barcode", sku).state


def answers(store: Store, photos: list[Path]) -> list[str]:
    return [store.search(photo).matches[0].sku for photo in photos]


@pytest.mark.slow
@pytest.mark.parametrize(("coded", "boxed"), [(0, 1), (7, 3)])
def test_one_code_on_another_box_all_day(grown: Store, groceries: tuple[Path, Photos], coded: int, boxed: int) -> None:
    _, photos = groceries
    a, b = ([*photos][i] for i in (coded, boxed))
    asked = {sku: photos[sku][-ASKED:] for sku in (a, b)}
    before = {sku: answers(grown, asked[sku]).count(sku) for sku in (a, b)}
    said = [scan(grown, photo, a, 30) for photo in photos[b][1 + 2 * DAYS : -ASKED]]
    assert len(said) > 10
    assert said.count("used") < len(said) / 2
    for sku in (a, b):
        assert answers(grown, asked[sku]).count(sku) >= before[sku] - 1
    assert answers(grown, asked[b]).count(a) <= 1
    assert any(one.like == b for one in grown.learner.pictures() if one.state == "aside")  # for a person to settle
