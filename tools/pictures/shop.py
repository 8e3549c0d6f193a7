"""Write a shop into a folder: catalogue pictures, phone photos and the two CSV files that name them."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from .photos import catalogue_picture, shelf_photo
from .products import Product, make_product

BAY = 12  # products that stand together on a shelf
FIRST_UNKNOWN = 120_000  # products from here on are never in a catalogue
TURNED_EVERY = 5  # of these products half the photos show another side
COLUMNS = (
    "sku", "name", "images", "price", "currency", "category", "brand", "description", "location", "stock",
    "barcode",
)  # fmt: skip


def write_catalogue(out: Path, products: int = 60, unknown: int = 12, photos: int = 4, seed: int = 0) -> None:
    """Write catalogue.csv, queries.csv, pictures/ and photos/ into a folder.

    Files of the same name are overwritten, no other is touched. Raises OSError where one cannot be written.
    """
    for folder in ("pictures", "photos"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    listed = [make_product(seed, index) for index in range(products)]
    strangers = [make_product(seed, FIRST_UNKNOWN + index) for index in range(unknown)]
    queries = []
    for product in listed:
        catalogue_picture(product).save(out / _picture(product), quality=92)
        queries += [(image, product.sku) for image in _write_photos(out, product, photos)]
    for product in strangers:
        queries += [(image, "") for image in _write_photos(out, product, photos)]
    _write_csv(out / "catalogue.csv", COLUMNS, map(_row, listed))
    _write_csv(out / "queries.csv", ("image", "sku"), queries)


def neighbours(product: Product) -> list[Product]:
    """The other products of its bay; they do not depend on how many products a catalogue lists."""
    first = product.index // BAY * BAY
    return [make_product(product.seed, index) for index in range(first, first + BAY) if index != product.index]


def _write_photos(out: Path, product: Product, photos: int) -> list[str]:
    """Photograph a product; returns the paths relative to `out`."""
    images = []
    for number in range(photos):
        rng = np.random.default_rng([product.seed, product.index, 100 + number])
        turned = product.index % TURNED_EVERY == 0 and number % 2 == 1
        image = f"photos/{product.sku}-{number + 1}.jpg"
        photo = shelf_photo(product, neighbours(product), rng, turned)
        photo.save(out / image, quality=int(rng.integers(60, 91)))
        images.append(image)
    return images


def _picture(product: Product) -> str:
    return f"pictures/{product.sku}.jpg"


def _row(product: Product) -> tuple[object, ...]:
    values = vars(product) | {"images": _picture(product), "price": f"{product.price:.2f}"}
    return tuple(values[column] for column in COLUMNS)


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
