"""Make up twins: families of products that differ only in what is printed on them."""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from .products import BRANDS, LabelDesign, Product, ean13, make_product
from .vocabulary import BRAND_ENDS, BRAND_STARTS, KINDS, NOUNS_ABROAD, SAYINGS_ABROAD, SMALL_PRINT, VARIANTS

DIFFERENCES = ("flavour", "size", "brand", "language")  # each family has one of them, in turn
LEAST, MOST = 3, 6  # products of a family
STEP = 60  # indexes from which a family chooses its package; among so many there is one for each difference
MOST_FAMILIES = 3000  # STEP times this stays below LIMIT; an even number, because two families meet in a photo
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
    """Return the property in which the products of a family differ."""
    return DIFFERENCES[family % len(DIFFERENCES)]


@lru_cache(maxsize=256)
def make_twins(seed: int, family: int) -> tuple[Product, ...]:
    """Make up family number `family` of the shop `seed`.

    Its products share seed and index, and with them everything that is drawn at random.

    Raises: ValueError: family is not in 0..MOST_FAMILIES-1.
    """
    if not 0 <= family < MOST_FAMILIES:
        raise ValueError(f"family {family}: expected a number from 0 to {MOST_FAMILIES - 1}.")
    rng = np.random.default_rng([seed, family, 30])
    package = _package(seed, family)
    package = replace(package, design=_design_label(package, difference(family), rng))
    changes = CHANGES[difference(family)](package, rng)[: int(rng.integers(LEAST, MOST + 1))]
    return tuple(_twin(package, family, member, fields) for member, fields in enumerate(changes))


def _package(seed: int, family: int) -> Product:
    """Return the first labelled product of the family's stretch of the shop; translated, if the family needs that."""
    stretch = (make_product(seed, index) for index in range(family * STEP, (family + 1) * STEP))
    abroad = difference(family) == "language"
    return next(p for p in stretch if p.shape in LAYOUTS and (not abroad or p.noun in NOUNS_ABROAD))


def _design_label(package: Product, differs_in: str, rng: np.random.Generator) -> LabelDesign:
    """Return the package's design with room for words, and without a motif that would show one of the flavours."""
    design = replace(package.design, layout=str(rng.choice(LAYOUTS[package.shape])), flash="")
    if differs_in == "flavour":
        design = replace(design, motif=str(rng.choice(MOTIFS)))
    if differs_in == "brand":
        design = replace(design, badge="none")  # it would make the name smaller
    return design


def _twin(package: Product, family: int, member: int, fields: Fields) -> Product:
    twin = replace(package, small_print=SMALL_PRINT[0], sku=f"T{family:04d}-{member + 1}")
    twin = replace(twin, **fields)  # type: ignore[arg-type]
    return replace(
        twin,
        name=f"{twin.brand} {twin.noun} {twin.variant} {twin.size}",
        description=f"{twin.noun}, {twin.variant.lower()}, {twin.size}, by {twin.brand}.",
        barcode=ean13(int(twin.barcode[:12]) + member),
        small_print=f"{twin.noun} {twin.variant}, {twin.size}. {twin.small_print} {twin.brand}.",
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
