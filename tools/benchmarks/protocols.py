"""The protocols on real and drawn photos: which pictures are in the gallery, and which are queries.

Each protocol is written as a catalogue and a list of queries, the files a user would bring, so that figures come from
the same `build` and `search` that users call. The README of the data folder defines the protocols on real photos.
"""

import csv
import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from demo_shop import write_twins
from PIL import Image

DRAWN = "twins"  # the protocol that needs no real photos
DRAWN_IN = Path("build/twins")  # drawing takes minutes, so the pictures are kept
MARGIN = 1.15  # side of the white square around a catalogue view / longer side of the object
PHOTOS_PER_PRODUCT = 5
AMONG_DISTRACTORS = "+7600"  # approximate number of pictures


@dataclass(frozen=True)
class Protocol:
    """Two CSV files in one folder."""

    name: str
    catalogue: Path
    queries: Path


@dataclass(frozen=True)
class _Product:
    sku: str
    name: str
    number: int
    catalogue_picture: Path


def write_all(data: Path, out: Path, names: list[str]) -> list[Protocol]:
    """Write the named protocols below `out`; data: the folder of real photos."""
    return [Protocol(name, *PROTOCOLS[name](data, out / name)) for name in names]


def _groceries(references: int, unseen: bool) -> Callable[[Path, Path], tuple[Path, Path]]:
    """Return the writer of the groceries, with one catalogue picture a product (references = 0) or that many photos."""

    def write(data: Path, out: Path) -> tuple[Path, Path]:
        folder = data / "groceries"
        products = [p for p in grocery_products(folder) if not unseen or p.number % 2 == 0]
        train, test = split(folder, "train.txt"), split(folder, "test.txt")
        gallery = []
        for product in products:
            photos = train[product.number]
            few = spread(photos, references) if references else [product.catalogue_picture]
            gallery += [(product.sku, product.name, path) for path in few]
        return _write(out, gallery, [(path, p.sku) for p in products for path in test[p.number]])

    return write


def _objects(
    unseen: bool, scale: tuple[float, float] = (0.45, 0.85), frame_side: int = 256
) -> Callable[[Path, Path], tuple[Path, Path]]:
    """Return the writer of the scanned objects: catalogue views on white, queries pasted onto backgrounds."""

    def write(data: Path, out: Path) -> tuple[Path, Path]:
        folders = sorted(p for p in (data / "objects").iterdir() if p.is_dir())
        backgrounds = sorted((data / "backgrounds").glob("*.jpg"))
        (out / "pictures").mkdir(parents=True, exist_ok=True)
        gallery, queries = [], []
        for folder in folders[2::3] if unseen else folders:
            for view in sorted(folder.glob("c*.webp")):
                path = out / "pictures" / f"{folder.name}-{view.stem}.png"
                on_white(view).save(path)
                gallery.append((folder.name, folder.name, path))
            for view in sorted(folder.glob("v*.webp"))[::2]:
                path = out / "pictures" / f"{folder.name}-{view.stem}.png"
                pasted(view, backgrounds, f"{folder.name}/{view.stem}", scale, frame_side).save(path)
                queries.append((path, folder.name))
        return _write(out, gallery, queries)

    return write


def _among_distractors(write: Callable[[Path, Path], tuple[Path, Path]]) -> Callable[[Path, Path], tuple[Path, Path]]:
    """Return a writer that adds every picture of clothing and packaging, each as a product without queries."""

    def write_all_of_it(data: Path, out: Path) -> tuple[Path, Path]:
        catalogue, queries = write(data, out)
        pictures = [p for folder in ("clothing", "packaging") for p in sorted((data / folder).rglob("*.jpg"))]
        with open(catalogue, "a", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows((f"X{i:04}", path.stem, path.resolve()) for i, path in enumerate(pictures))
        return catalogue, queries

    return write_all_of_it


def _products(data: Path, out: Path) -> tuple[Path, Path]:
    """Ask for products never trained on, by their other pictures, among all products with a single one."""
    folder, gallery, queries, seen = data / "products" / "abo", [], [], set()
    with open(folder / "index.csv", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            sku, path = row["product"], folder / row["file"]
            matched = re.fullmatch(r"m\d{3}", sku)
            if matched and int(sku[1:]) % 3 != 2:
                continue
            if sku in seen:
                queries.append((path, sku))
            else:
                gallery.append((sku, sku, path))
            if matched:
                seen.add(sku)
    return _write(out, gallery, queries)


def _twins(data: Path, out: Path, folder: Path = DRAWN_IN) -> tuple[Path, Path]:
    """Draw twins, unless they are drawn already: one catalogue picture each, difficult photos."""
    catalogue, queries = folder / "catalogue.csv", folder / "queries.csv"
    if not queries.exists():  # written last
        write_twins(folder)
    return catalogue, queries


PROTOCOLS: dict[str, Callable[[Path, Path], tuple[Path, Path]]] = {
    "groceries-catalogue": _groceries(references=0, unseen=False),
    "groceries-catalogue-unseen": _groceries(references=0, unseen=True),
    "groceries-5ref": _groceries(references=PHOTOS_PER_PRODUCT, unseen=False),
    "groceries-5ref-unseen": _groceries(references=PHOTOS_PER_PRODUCT, unseen=True),
    "objects": _objects(unseen=False),
    "objects-unseen": _objects(unseen=True),
    "objects-unseen-small": _objects(unseen=True, scale=(0.2, 0.45), frame_side=512),
    "groceries-catalogue-unseen" + AMONG_DISTRACTORS: _among_distractors(_groceries(references=0, unseen=True)),
    "groceries-5ref-unseen" + AMONG_DISTRACTORS: _among_distractors(
        _groceries(references=PHOTOS_PER_PRODUCT, unseen=True)
    ),
    "objects-unseen" + AMONG_DISTRACTORS: _among_distractors(_objects(unseen=True)),
    "products-unseen": _products,
    DRAWN: _twins,
}
LARGE = {"products-unseen", *(name for name in PROTOCOLS if name.endswith(AMONG_DISTRACTORS))}  # minutes to build


def grocery_products(folder: Path) -> list[_Product]:
    """Return the products of the groceries."""
    with open(folder / "classes.csv", encoding="utf-8", newline="") as file:
        return [
            _Product(
                sku=f"G{int(row['Class ID (int)']):02}",
                name=row["Class Name (str)"].replace("-", " "),
                number=int(row["Class ID (int)"]),
                catalogue_picture=folder / row["Iconic Image Path (str)"],
            )
            for row in csv.DictReader(file)
        ]


def spread(photos: Sequence[Path], count: int) -> list[Path]:
    """Return some photos, spread over all."""
    return [*photos][:: max(1, len(photos) // count)][:count] if count else []


def split(folder: Path, split: str) -> dict[int, list[Path]]:
    """Return the photos of one split by class id, in the file's order."""
    found: dict[int, list[Path]] = {}
    for line in (folder / split).read_text(encoding="utf-8").splitlines():
        path, number, _ = line.split(", ")
        found.setdefault(int(number), []).append(folder / path)
    return found


def on_white(view: Path) -> Image.Image:
    """Put the cut-out into the middle of a white square."""
    with Image.open(view) as image:
        cut = image.convert("RGBA")
    side = round(max(cut.size) * MARGIN)
    square = Image.new("RGB", (side, side), (255, 255, 255))
    square.paste(cut, ((side - cut.width) // 2, (side - cut.height) // 2), cut)
    return square


def pasted(view: Path, backgrounds: list[Path], seed: str, scale: tuple[float, float], frame_side: int) -> Image.Image:
    """Put the cut-out at a random scale and position on a random background, all derived from the seed."""
    rng = np.random.default_rng(list(hashlib.sha256(seed.encode()).digest()[:8]))
    with Image.open(backgrounds[rng.integers(len(backgrounds))]) as image:
        frame = image.convert("RGB").resize((frame_side, frame_side), Image.Resampling.BICUBIC)
    with Image.open(view) as image:
        cut = image.convert("RGBA")
    cut = cut.crop(cut.getchannel("A").getbbox())
    size = rng.uniform(*scale) * frame_side / max(cut.size)
    cut = cut.resize((max(1, round(cut.width * size)), max(1, round(cut.height * size))), Image.Resampling.BICUBIC)
    place = rng.integers(0, (frame_side - cut.width + 1, frame_side - cut.height + 1))
    frame.paste(cut, (int(place[0]), int(place[1])), cut)
    return frame


def _write(out: Path, gallery: list[tuple[str, str, Path]], queries: list[tuple[Path, str]]) -> tuple[Path, Path]:
    """Write a catalogue with a row for each picture, and the queries."""
    out.mkdir(parents=True, exist_ok=True)
    catalogue, asked = out / "catalogue.csv", out / "queries.csv"
    with open(catalogue, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("sku", "name", "images"), *((s, n, p.resolve()) for s, n, p in gallery)])
    with open(asked, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("image", "sku"), *((p.resolve(), s) for p, s in queries)])
    return catalogue, asked
