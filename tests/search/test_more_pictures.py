"""More pictures of each product never lower the share of photos that are answered at once, and rightly."""

import csv
import itertools
from pathlib import Path

from benchmarks.protocols import grocery_products, split

import edgesearch

PICTURES = (1, 2, 5, 12)  # of a product
PRODUCTS = 10
BY_CHANCE = 2  # photos, by which fewer may be right


def test_more_pictures_answer_more_photos_rightly(real_photos: Path, tmp_path: Path) -> None:
    groceries = real_photos / "groceries"
    train, val = split(groceries, "train.txt"), split(groceries, "val.txt")
    products = [one for one in grocery_products(groceries) if one.number % 2 and len(val.get(one.number, [])) > 4]
    chosen = products[:: max(1, len(products) // PRODUCTS)][:PRODUCTS]
    right, away = [], []
    for count in PICTURES:
        path = tmp_path / f"{count}.csv"
        with open(path, "w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(("sku", "name", "images"))
            for one in chosen:
                photos = train[one.number]
                pictures = [one.catalogue_picture, *photos[:: len(photos) // PICTURES[-1]]][:count]
                rows.writerows((one.sku, one.name, picture.resolve()) for picture in pictures)
        edgesearch.build(path, path.with_suffix(".edge"), local_features=0)
        with edgesearch.open(path.with_suffix(".edge")) as store:
            answers = [(store.search(photo), one.sku) for one in chosen for photo in val[one.number]]
        right.append(sum(answer.decision == "match" and answer.matches[0].sku == sku for answer, sku in answers))
        away.append(sum(answer.decision == "unknown" for answer, _ in answers))
    assert all(after >= before - BY_CHANCE for before, after in itertools.pairwise(right)), right
    assert right[-1] > right[0]
    assert all(photos <= 0.1 * len(answers) for photos in away), away
