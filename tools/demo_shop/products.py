"""Make up products; the same seed and index always give the same product."""

import colorsys
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .vocabulary import BRAND_ENDS, BRAND_STARTS, FLASHES, KINDS, VARIANTS, Kind, Variant

Colour = tuple[int, int, int]

FAMILY = 4  # products of one brand in a row; the third is the second in another variant
KINDS_IN_FAMILY = (0, 1, 1, 2)
BRANDS = len(BRAND_STARTS) * len(BRAND_ENDS)
BRAND_STEP = 1237  # a prime that does not divide BRANDS, so that neighbours get unlike names
LIMIT = FAMILY * BRANDS * (len(KINDS) // 3)  # beyond it a brand would sell the same kind twice

LAYOUTS = ("classic", "band", "medal", "split", "poster", "column")
PATTERNS = ("plain", "fade", "stripes", "diagonal", "dots", "checks", "waves", "rays", "hills", "confetti")
BADGES = ("none", "oval", "ribbon", "bar", "shield", "frame", "rule")


@dataclass(frozen=True)
class LabelDesign:
    """The design of a label; colours are RGB."""

    main: Colour
    accent: Colour
    paper: Colour
    trim: Colour  # caps, lids, handles
    tint: Colour  # the colour of the variant: contents, motif
    motif: str
    motifs: int  # 1 large, 3 in a row, or 5 scattered
    layout: str
    pattern: str
    badge: str
    weight: float  # stroke of the lettering / its height
    slant: float  # shear of the brand's lettering
    stretch: float  # width of the lettering, 1 as drawn
    upper: bool
    flash: str  # word of a round sticker, "" for none
    girth: float  # width of the package against its kind's usual one


@dataclass(frozen=True)
class Product:
    """A product of the made-up shop, with everything needed to draw it."""

    seed: int
    index: int
    sku: str
    name: str
    brand: str
    noun: str
    variant: str
    size: str
    category: str
    price: float
    currency: str
    description: str
    location: str
    stock: int
    barcode: str
    shape: str
    aspect: float  # width / height
    design: LabelDesign
    small_print: str = ""  # a paragraph on the front and the back

    def rng(self, salt: int) -> np.random.Generator:
        """Return a generator that belongs to this product and salt."""
        return np.random.default_rng([self.seed, self.index, salt])


@lru_cache(maxsize=4096)
def make_product(seed: int, index: int) -> Product:
    """Make up product number `index` of the shop `seed`.

    Names are unique within a shop.

    Raises: ValueError: index is not in 0..LIMIT-1.
    """
    if not 0 <= index < LIMIT:
        raise ValueError(f"product {index}: expected an index from 0 to {LIMIT - 1}.")
    rng = np.random.default_rng([seed, index])
    family, member = divmod(index, FAMILY)
    brand, kind = _brand_and_kind(seed, family, member)
    design_rng = np.random.default_rng([seed, family, KINDS_IN_FAMILY[member], 1])
    variant, size = _variant_and_size(kind, design_rng, other=member == 2)
    design = _design_label(variant, _hue(seed, family), design_rng, rng)
    return Product(
        seed=seed,
        index=index,
        sku=f"P{index:06d}",
        name=f"{brand} {kind.noun} {variant.word} {size}",
        brand=brand,
        noun=kind.noun,
        variant=variant.word,
        size=size,
        category=kind.category,
        price=round(round(rng.uniform(*kind.price), 1) + 0.09, 2),
        currency="EUR",
        description=f"{kind.noun}, {variant.word.lower()}, {size}, by {brand}.",
        location=f"Aisle {1 + KINDS.index(kind) // 4}, shelf {'ABCDE'[rng.integers(5)]}{rng.integers(1, 9)}",
        stock=int(rng.integers(0, 60)),
        barcode=ean13(2 * 10**11 + (index * 387_420_489 + seed) % 10**11),
        shape=kind.shape,
        aspect=kind.aspect * design.girth,
        design=design,
    )


def ean13(first_twelve: int) -> str:
    """Append the EAN-13 check digit to twelve digits."""
    digits = f"{first_twelve:012d}"
    weighted = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(digits))
    return f"{digits}{-weighted % 10}"


def rgb(hue: float, saturation: float, value: float) -> Colour:
    """Return the colour of a hue, saturation and value, each 0..1."""
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """Mix two colours: `share` (0..1) of `other`, the rest of `one`."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def _brand_and_kind(seed: int, family: int, member: int) -> tuple[str, Kind]:
    """Deal out the kinds of product like cards, three to a family; in each turn a brand gets the next three."""
    turn, place = divmod(family, BRANDS)
    start, end = divmod((place * BRAND_STEP + seed * 7919) % BRANDS, len(BRAND_ENDS))
    order = np.random.default_rng([seed, 2]).permutation(len(KINDS))
    card = (3 * (place + turn) + KINDS_IN_FAMILY[member]) % len(KINDS)
    return BRAND_STARTS[start] + BRAND_ENDS[end], KINDS[order[card]]


def _hue(seed: int, family: int) -> float:
    return float(np.random.default_rng([seed, family % BRANDS, 3]).random())


def _variant_and_size(kind: Kind, design_rng: np.random.Generator, other: bool) -> tuple[Variant, str]:
    choices = VARIANTS[kind.range]
    first, step = design_rng.integers(len(choices)), design_rng.integers(1, len(choices))
    size = kind.sizes[design_rng.integers(len(kind.sizes))]
    return choices[(first + step * other) % len(choices)], size


def _design_label(
    variant: Variant, hue: float, design_rng: np.random.Generator, rng: np.random.Generator
) -> LabelDesign:
    """Design a brand's label in the colours of a variant; only `rng` differs between variants of one design."""
    tint: Colour = tuple(bytes.fromhex(variant.colour[1:]))  # type: ignore[assignment]
    house = rgb(hue, design_rng.uniform(0.55, 0.95), design_rng.uniform(0.35, 0.9))
    by_variant, swap = design_rng.random() < 0.6, design_rng.random() < 0.5
    main, accent = (tint, house) if by_variant else (house, tint)
    paper = rgb(design_rng.random(), design_rng.uniform(0.0, 0.12), design_rng.uniform(0.93, 1.0))
    trims = (house, (245, 245, 242), (40, 42, 46), (196, 160, 70), mix(tint, (0, 0, 0), 0.25))
    return LabelDesign(
        main=mix(main, (255, 255, 255), 0.75 if swap and by_variant else 0.0),
        accent=accent,
        paper=paper,
        trim=trims[design_rng.integers(len(trims))],
        tint=tint,
        motif=variant.motif,
        motifs=int(design_rng.choice([1, 1, 1, 3, 5])),
        layout=str(design_rng.choice(LAYOUTS)),
        pattern=str(design_rng.choice(PATTERNS)),
        badge=str(design_rng.choice(BADGES)),
        weight=float(design_rng.uniform(0.0, 0.035)),
        slant=float(design_rng.choice([0.0, 0.0, 0.2, 0.3])),
        stretch=float(design_rng.uniform(0.8, 1.25)),
        upper=bool(design_rng.random() < 0.5),
        flash=str(rng.choice(FLASHES)) if rng.random() < 0.25 else "",
        girth=float(design_rng.uniform(0.9, 1.12)),
    )
