"""Collect the training pictures and pack them into one array.

Every picture becomes a square of premultiplied RGBA, squeezed to S x S, with alpha 0 where a clean background was cut
away; its aspect ratio is stored separately. Pictures of one product share a label; a picture of no known product is a
product of its own. This module alone excludes what must never be trained on: groceries with an even class id, every
third object, every third product with matched pictures, and every `test.txt`.

H height, W width in px; N pictures; S side of a packed picture in px.
"""

import csv
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from edgesearch.errors import CatalogError
from edgesearch.images.augmented_views import product_mask

SIDE = 224


@dataclass(frozen=True)
class Source:
    """One picture before packing.

    Attributes:
        path: its file.
        group: its origin: "groceries", "objects", "products", "scenes", "phone cases", "drawn", "clothing",
            "packaging", "catalogue" or "background".
        product: pictures of the same product are positives of each other.
        clean: whether it is a catalogue view, whose plain background is cut away.
        held_out: whether it is kept for validation: of a product never trained on, or one more photo of another.
        look_alikes: name of a group of products that may be one: they are never negatives of each other.
    """

    path: Path
    group: str
    product: str
    clean: bool = False
    held_out: bool = False
    look_alikes: str = ""

    @property
    def unit(self) -> str:
        """Name of what may come once in a step: its look-alikes, or the product alone."""
        return self.look_alikes or self.product


@dataclass(frozen=True)
class Pictures:
    """The packed set of N pictures.

    Attributes:
        pixels: (N, 4, S, S) uint8, colour premultiplied by alpha.
        aspect: (N,) float32, width / height before squeezing.
        label: (N,) int64, number of the product.
        group: (N,) str, as in `Source`.
        clean: (N,) bool, as in `Source`.
        held_out: (N,) bool, as in `Source`.
        unit: (N,) int64, number of `Source.unit`.
    """

    pixels: np.ndarray
    aspect: np.ndarray
    label: np.ndarray
    group: np.ndarray
    clean: np.ndarray
    held_out: np.ndarray
    unit: np.ndarray

    @cached_property
    def cut_out(self) -> np.ndarray:
        """(N,) bool: whether the picture has transparent surroundings."""
        return (self.pixels[:, 3] < 128).mean((1, 2)) > 0.01

    @cached_property
    def unseen(self) -> np.ndarray:
        """(N,) bool: whether no picture of its product is trained on."""
        return ~np.isin(self.label, self.label[~self.held_out])


def pack(data: Path, drawn: Path | None, out: Path) -> Pictures:
    """Pack the training pictures under `out`, or reuse what is packed there.

    Args:
        data: folder of training pictures.
        drawn: folder made by `demo_shop.make_pictures`; None for no drawn products.
        out: folder of the packed arrays.
    Raises:
        CatalogError: `data` holds no training pictures.
    """
    sources = list(training_sources(data)) + (list(drawn_sources(drawn)) if drawn else [])
    listing = [[str(s.path), s.product, s.held_out, s.unit] for s in sources]
    if (out / "sources.json").exists() and json.loads((out / "sources.json").read_text()) == listing:
        return load(out)
    out.mkdir(parents=True, exist_ok=True)
    pixels = np.lib.format.open_memmap(out / "pixels.npy", "w+", np.uint8, (len(sources), 4, SIDE, SIDE))
    aspect = np.empty(len(sources), np.float32)
    for i, source in enumerate(tqdm(sources, desc="pack", unit="picture", disable=None)):
        picture = rgba(source)
        aspect[i] = picture.width / picture.height
        pixels[i] = planes(picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC, reducing_gap=2.0))
    products, units = _numbers(s.product for s in sources), _numbers(s.unit for s in sources)
    np.savez(
        out / "labels.npz",
        aspect=aspect,
        label=np.array([products[s.product] for s in sources]),
        group=np.array([s.group for s in sources]),
        clean=np.array([s.clean for s in sources]),
        held_out=np.array([s.held_out for s in sources]),
        unit=np.array([units[s.unit] for s in sources]),
    )
    pixels.flush()
    (out / "sources.json").write_text(json.dumps(listing))
    return load(out)


def _numbers(names: Iterable[str]) -> dict[str, int]:
    return {name: i for i, name in enumerate(dict.fromkeys(names))}


def load(out: Path) -> Pictures:
    """Open a packed set."""
    with np.load(out / "labels.npz") as labels:
        return Pictures(pixels=np.load(out / "pixels.npy", mmap_mode="r"), **{key: labels[key] for key in labels.files})


def training_sources(data: Path) -> Iterator[Source]:
    """Yield all training pictures of a data folder in a fixed order; raise CatalogError if there are none."""
    if not (data / "groceries").is_dir():
        raise CatalogError(f"{data}: no training pictures (groceries/ is missing); give the folder with --data.")
    yield from _groceries(data / "groceries")
    yield from _objects(data / "objects")
    for folder, group in (
        ("clothing/images", "clothing"),
        ("packaging", "packaging"),
        ("backgrounds", "background"),
    ):
        for path in _images(data / folder):
            yield Source(path, group, str(path.relative_to(data)))
    for path in _images(data / "catalogue-pictures"):
        yield Source(path, "catalogue", path.stem, clean=True)
    for listing in sorted((data / "products").glob("*/index.csv")):
        yield from _products(listing)


def _groceries(folder: Path) -> Iterator[Source]:
    """Yield products with an odd class id; hold out every third of them, and all of val.txt, for validation."""
    with open(folder / "classes.csv", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            number = int(row["Class ID (int)"])
            if number % 2:
                path = folder / row["Iconic Image Path (str)"]
                yield Source(path, "groceries", f"groceries-{number}", clean=True, held_out=number % 6 == 5)
    for split in ("train.txt", "val.txt"):
        for line in (folder / split).read_text(encoding="utf-8").splitlines():
            name, class_id, _ = line.split(", ")
            if int(class_id) % 2:
                held_out = int(class_id) % 6 == 5 or split == "val.txt"
                yield Source(folder / name, "groceries", f"groceries-{class_id}", held_out=held_out)


def _objects(folder: Path) -> Iterator[Source]:
    """Yield two of every three objects; hold out every fourth of these, and some photos of the others."""
    names = [p.name for i, p in enumerate(sorted(folder.iterdir())) if p.is_dir() and i % 3 != 2]
    for i, name in enumerate(names):
        for number, path in enumerate(_images(folder / name)):
            clean = path.stem.startswith("c")
            held_out = i % 4 == 3 or (not clean and number % 6 == 0)
            yield Source(path, "objects", name, clean=clean, held_out=held_out)


def _products(listing: Path) -> Iterator[Source]:
    """Yield the products of one index.

    Of those with several matched pictures, `mNNN`, every third is left out, and every third is held out.
    """
    with open(listing, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            kind = row.get("kind", "")
            third = int(row["product"][1:]) % 3 if re.fullmatch(r"m\d{3}", row["product"]) else 0
            if third == 2 or kind == "text" or listing.parent.name == "abo-artwork":
                continue
            scanned = listing.parent.name == "prl-scans"
            group = "objects" if scanned else {"phone-case?": "phone cases", "scene": "scenes"}.get(kind, "products")
            yield Source(
                listing.parent / row["file"],
                group,
                f"{listing.parent.name}-{row['product']}",
                clean=row["view"].startswith("c") if scanned else kind != "scene",
                held_out=third == 1,
                look_alikes=f"near-{row['near_group']}" if row.get("near_group") else "",
            )


def drawn_sources(folder: Path) -> Iterator[Source]:
    """Yield catalogue pictures and photos of the products that `demo_shop.make_pictures` drew."""
    with open(folder / "catalogue.csv", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            for name in row["images"].split(";"):
                yield Source(folder / name, "drawn", row["sku"], clean=True)
    with open(folder / "queries.csv", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["sku"]:
                yield Source(folder / row["image"], "drawn", row["sku"])


def rgba(source: Source) -> Image.Image:
    """Open a picture as RGBA; of a catalogue view or object keep only the product opaque, tightly cropped."""
    with Image.open(source.path) as image:
        picture = image.convert("RGBA")
    cut_out = source.clean or source.group == "objects"
    if not cut_out:
        return picture
    if np.asarray(picture.getchannel("A")).min() == 255:
        picture.putalpha(Image.fromarray(product_mask(np.asarray(picture.convert("RGB")))))
    return picture.crop(picture.getchannel("A").getbbox())


def planes(picture: Image.Image) -> np.ndarray:
    """Convert an RGBA picture to (4, H, W) uint8, colour premultiplied by alpha."""
    pixels = np.asarray(picture).astype(np.uint16)
    pixels[..., :3] = pixels[..., :3] * pixels[..., 3:] // 255
    return pixels.astype(np.uint8).transpose(2, 0, 1)


def _images(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in {".jpg", ".jpeg", ".png", ".webp"})
