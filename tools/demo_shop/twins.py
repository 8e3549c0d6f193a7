"""Make up twins: families of products that differ in what is printed on them, and in nothing else."""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from .products import BRANDS, LabelDesign, Product, ean13, make_product
from .vocabulary import BRAND_ENDS, BRAND_STARTS, KINDS, NOUNS_ABROAD, SAYINGS_ABROAD, SMALL_PRINT, VARIANTS

DIFFERENCES = ("flavour", "size", "brand", "language")  # one of them a family, in turn
LEAST, MOST = 3, 6  # products of a family
STEP = 60  # indexes that a family may choose its package from; among so many there is one for each difference
MOST_FAMILIES = 3000  # STEP times this stays below LIMIT; even, as two families meet in a photo
FLAT, ROUND = ("stack", "belt", "letter"), ("wrap", "ring")  # layouts with large words and small print
LAYOUTS = dict.fromkeys(("box", "carton", "pouch"), FLAT) | dict.fromkeys(
    ("can", "soda", "tin", "bottle", "jar", "cup", "squeeze", "tube"), ROUND
)
MOTIFS = ("sun", "star", "leaf", "flower", "wave", "mountain", "tree", "drop")  # of no flavour
CONTENTS = {"g": "g", "kg": "g", "ml": "ml", "l": "ml"}
AMOUNTS, COUNTS = (80, 125, 200, 250, 330, 400, 500, 750), (10, 20, 25, 40, 50, 80, 100)
RANGES = {kind.noun: kind.range for kind in KINDS}
Fields = dict[str, str]  # fields of a Product


def difference(family: int) -> str:
    """In what the products of a family differ."""
    return DIFFERENCES[family % len(DIFFERENCES)]


@lru_cache(maxsize=256)
def make_twins(seed: int, family: int) -> tuple[Product, ...]:
    """Make up family number `family` of the shop `seed`; its products share seed and index, so all drawing by chance.

    Raises ValueError where family is not in 0..MOST_FAMILIES-1.
    """
    if not 0 <= family < MOST_FAMILIES:
        raise ValueError(f"family {family}: expected a number from 0 to {MOST_FAMILIES - 1}.")
    rng = np.random.default_rng([seed, family, 30])
    package = _package(seed, family)
    package = replace(package, design=_design_label(package, difference(family), rng))
    changes = CHANGES[difference(family)](package, rng)[: int(rng.integers(LEAST, MOST + 1))]
    return tuple(_twin(package, family, member, one) for member, one in enumerate(changes))


def _package(seed: int, family: int) -> Product:
    """The first product with a label in the family's stretch of the shop whose words are known abroad, if need be."""
    stretch = (make_product(seed, index) for index in range(family * STEP, (family + 1) * STEP))
    abroad = difference(family) == "language"
    return next(p for p in stretch if p.shape in LAYOUTS and (not abroad or p.noun in NOUNS_ABROAD))


def _design_label(package: Product, differs_in: str, rng: np.random.Generator) -> LabelDesign:
    """The package's own look with room for words, and without what would name one of several flavours."""
    design = replace(package.design, layout=str(rng.choice(LAYOUTS[package.shape])), flash="")
    if differs_in == "flavour":
        design = replace(design, motif=str(rng.choice(MOTIFS)))
    if differs_in == "brand":
        design = replace(design, badge="none")  # it would make the name smaller
    return design


def _twin(package: Product, family: int, member: int, changes: Fields) -> Product:
    one = replace(package, small_print=SMALL_PRINT[0], sku=f"T{family:04d}-{member + 1}")
    one = replace(one, **changes)  # type: ignore[arg-type]
    return replace(
        one,
        name=f"{one.brand} {one.noun} {one.variant} {one.size}",
        description=f"{one.noun}, {one.variant.lower()}, {one.size}, by {one.brand}.",
        barcode=ean13(int(one.barcode[:12]) + member),
        small_print=f"{one.noun} {one.variant}, {one.size}. {one.small_print} {one.brand}.",
    )


def _flavours(package: Product, rng: np.random.Generator) -> Sequence[Fields]:
    choices = VARIANTS[RANGES[package.noun]]
    return [{"variant": choices[i].word} for i in rng.permutation(len(choices))[:MOST]]


def _sizes(package: Product, rng: np.random.Generator) -> Sequence[Fields]:
    unit = package.size.split()[-1]
    amounts = rng.permutation(AMOUNTS if unit in CONTENTS else COUNTS)[:MOST]
    return [{"size": f"{amount} {CONTENTS.get(unit, unit)}"} for amount in amounts]


def _brands(package: Product, rng: np.random.Generator) -> Sequence[Fields]:
    names = (divmod(int(number), len(BRAND_ENDS)) for number in rng.choice(BRANDS, MOST, replace=False))
    return [{"brand": BRAND_STARTS[start] + BRAND_ENDS[end]} for start, end in names]


def _languages(package: Product, rng: np.random.Generator) -> Sequence[Fields]:
    nouns, sayings = NOUNS_ABROAD[package.noun], SAYINGS_ABROAD[rng.integers(len(SAYINGS_ABROAD))]
    tongues = rng.permutation(len(SMALL_PRINT))[:MOST]
    return [{"noun": nouns[i], "variant": sayings[i], "small_print": SMALL_PRINT[i]} for i in tongues]


CHANGES = {"flavour": _flavours, "size": _sizes, "brand": _brands, "language": _languages}
