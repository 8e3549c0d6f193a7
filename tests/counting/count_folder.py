"""A folder of photos with text instead of pictures, and the count of it."""

import csv
from collections.abc import Collection
from pathlib import Path
from typing import Any

from edgesearch import Answer, ImageError, Match
from edgesearch.answer import Decision
from edgesearch.catalog.product import Product
from edgesearch.counting.photo_count import Count, Progress

A, B = Product("A", "Cup", location="Aisle 1", stock=3), Product("B", "Jug, blue")
DECISIONS: dict[str, Decision] = {"?": "unknown", "!": "ambiguous"}


class FakeStore:
    """Answers a photo by the text in it: a SKU, "?" unknown, "!" ambiguous; anything else is a damaged photo."""

    asked, overlay = 0, None

    def search(self, content: bytes, k: int, fast: bool | None, barcodes: bool | None) -> Answer:
        self.asked += 1
        first = content.decode()[0]
        if first not in "AB?!":
            raise ImageError(f"picture of {len(content)} bytes: damaged; take it again.")
        products = [B, A] if first == "B" else [A, B]
        matches = tuple(Match(product, 0.9, "", 0) for product in products)
        return Answer("photo", DECISIONS.get(first, "match"), matches, {})

    def products(self, skus: Collection[str] | None = None) -> dict[str, Product]:
        return {product.sku: product for product in (A, B) if skus is None or product.sku in skus}


class CountFolder:
    """A folder of photos, and the count of it."""

    def __init__(self, folder: Path):
        self.photos, self.output = folder / "photos", folder / "stock.csv"
        self.review, self.session = folder / "stock.review.csv", folder / "stock.session"
        self.photos.mkdir()
        self.store = FakeStore()

    def take(self, **contents: str) -> None:
        for name, content in contents.items():
            (self.photos / f"{name}.jpg").write_text(content)

    def count(self, **options: Any) -> Count:
        return Count(self.store, self.output, **options)  # type: ignore[arg-type]

    def run(self, **options: Any) -> list[Progress]:
        reported: list[Progress] = []
        with self.count(**options) as count:
            count.add_photos([self.photos], reported.append)
        self.notes = count.notes
        return reported

    def rows(self) -> list[list[str]]:
        with self.output.open(encoding="utf-8-sig", newline="") as file:
            return list(csv.reader(file))[1:]

    def counted(self) -> dict[str, int]:
        return {row[0]: int(row[2]) for row in self.rows()}

    def reviewed(self) -> list[dict[str, str]]:
        with self.review.open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file))

    def to_review(self) -> dict[str, str]:
        return {row["photo"]: row["why"] for row in self.reviewed()}

    def fill(self, **skus: str) -> None:
        """Fill SKUs into the review list, as a person would."""
        table = self.reviewed()
        for row in table:
            row["sku"] = skus.get(row["photo"].removesuffix(".jpg"), row["sku"])
        with self.review.open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.DictWriter(file, table[0], delimiter=";")
            writer.writeheader()
            writer.writerows(table)
