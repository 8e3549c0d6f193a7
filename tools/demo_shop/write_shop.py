"""Write a shop into a folder: catalogue pictures, phone photos, and the two CSV files that list them."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from .photos import catalogue_picture, shelf_photo
from .products import FAMILY, Product, make_product
from .twin_photos import DIFFICULTIES, LONG_PX, PICTURE_PX, Surroundings, twin_photo
from .twins import difference, make_twins

BAY = 12  # products that stand together on a shelf
FIRST_UNKNOWN = 120_000  # products from this index on are never in a catalogue
TURNED_EVERY = 5  # half the photos of every fifth product show another side
COLUMNS = (
    "sku", "name", "images", "price", "currency", "category", "brand", "description", "location", "stock",
    "barcode",
)  # fmt: skip


def write_catalogue(out: Path, products: int = 60, unknown: int = 12, photos: int = 4, seed: int = 0) -> None:
    """Write catalogue.csv, queries.csv, pictures/ and photos/ into a folder.

    Files of the same name are overwritten; others are left alone.

    Raises: OSError: a file cannot be written.
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


def write_twins(out: Path, families: int = 28, photos: int = 6, seed: int = 0) -> None:
    """Write families of twins, in the same files as `write_catalogue`; every photo shows a listed product.

    Two more columns of the catalogue name a product's family and the property in which it differs; one of the queries
    names a photo's difficulty.

    Raises: OSError: a file cannot be written.
    """
    for folder in ("pictures", "photos"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    listed, queries = [], []
    for family in range(families):
        for product in make_twins(seed, family):
            listed.append((*_row(product), family, difference(family)))
            catalogue_picture(product, PICTURE_PX, LONG_PX).save(out / _picture(product), quality=92)
            queries += _write_twin_photos(out, product, family, photos)
    _write_csv(out / "catalogue.csv", (*COLUMNS, "family", "differs_in"), listed)
    _write_csv(out / "queries.csv", ("image", "sku", "difficulty"), queries)


def neighbours(product: Product) -> list[Product]:
    """Return the other products of its bay; these do not depend on the size of the catalogue."""
    first = product.index // BAY * BAY
    return [make_product(product.seed, index) for index in range(first, first + BAY) if index != product.index]


def _write_photos(out: Path, product: Product, photos: int) -> list[str]:
    """Photograph a product; return the paths relative to `out`."""
    images = []
    for number in range(photos):
        rng = np.random.default_rng([product.seed, product.index, 100 + number])
        turned = product.index % TURNED_EVERY == 0 and number % 2 == 1
        image = f"photos/{product.sku}-{number + 1}.jpg"
        photo = shelf_photo(product, neighbours(product), rng, turned)
        photo.save(out / image, quality=int(rng.integers(60, 91)))
        images.append(image)
    return images


def _write_twin_photos(out: Path, product: Product, family: int, photos: int) -> list[tuple[str, str, str]]:
    """Photograph a twin; return image, SKU and difficulty of each photo."""
    twins, strangers = make_twins(product.seed, family), make_twins(product.seed, family ^ 1)
    member, queries = twins.index(product), []
    others = [one for one in neighbours(product) if one.index // FAMILY != product.index // FAMILY]  # of other brands
    surroundings = Surroundings(twins[member - 1], strangers[member % len(strangers)], others)
    for number in range(photos):
        rng = np.random.default_rng([product.seed, family, member, 200 + number])
        difficulty = DIFFICULTIES[(number + member) % len(DIFFICULTIES)]
        image = f"photos/{product.sku}-{number + 1}.jpg"
        twin_photo(product, difficulty, surroundings, rng).save(out / image, quality=int(rng.integers(60, 91)))
        queries.append((image, product.sku, difficulty))
    return queries


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
