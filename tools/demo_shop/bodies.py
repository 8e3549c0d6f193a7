"""Outlines and materials of turned bodies: cans, bottles, jars, mugs, handles."""

from typing import NamedTuple

from .products import Colour, Product, mix

STEEL, BLACK, WHITE = (188, 192, 198), (24, 24, 28), (255, 255, 255)
BRISTLE, ASH = (206, 178, 132), (196, 150, 96)


class Band(NamedTuple):
    """A stretch of one material; `bottom` is its lower edge as a share of the height, from the top."""

    bottom: float
    colour: Colour
    metal: bool = False


class Body(NamedTuple):
    """A body of revolution."""

    outline: tuple[tuple[float, float], ...]  # (height from the top, radius), both 0..1
    bands: tuple[Band, ...]  # from the top down to 1.0
    label: tuple[float, float]  # top and bottom of the wrapped label
    lid: str  # "flat", "metal", "open" or "none"
    strip: bool  # narrow: written along the body instead of a whole label


OUTLINES = {
    "can": ((0, 0.95), (0.02, 1), (0.05, 1), (0.06, 0.97), (0.94, 0.97), (0.95, 1), (0.98, 1),
            (1, 0.95)),
    "soda": ((0, 0.8), (0.015, 0.84), (0.03, 0.8), (0.1, 1), (0.92, 1), (0.97, 0.84), (1, 0.8)),
    "tin": ((0, 1), (0.05, 1), (0.06, 0.96), (0.94, 0.96), (0.95, 1), (1, 0.98)),
    "bottle": ((0, 0.34), (0.085, 0.36), (0.09, 0.29), (0.2, 0.31), (0.38, 0.97), (0.42, 1), (0.95, 1),
               (0.985, 0.95), (1, 0.85)),
    "flask": ((0, 0.6), (0.02, 0.66), (0.17, 0.7), (0.18, 0.64), (0.22, 0.66), (0.3, 1), (0.97, 1),
              (1, 0.95)),
    "jar": ((0, 0.88), (0.015, 0.92), (0.15, 0.92), (0.16, 0.83), (0.19, 0.84), (0.26, 1), (0.94, 1),
            (0.98, 0.95), (1, 0.86)),
    "cup": ((0, 1), (0.03, 1), (0.04, 0.94), (0.97, 0.74), (1, 0.7)),
    "squeeze": ((0, 0.34), (0.01, 0.4), (0.12, 0.42), (0.125, 0.5), (0.15, 0.56), (0.24, 0.9), (0.32, 1),
                (0.9, 0.96), (0.98, 0.88), (1, 0.78)),
    "tube": ((0, 1), (0.05, 1), (0.5, 0.95), (0.84, 0.76), (0.865, 0.6), (0.87, 0.66), (0.99, 0.6),
             (1, 0.57)),
    "mug": ((0, 1), (0.9, 1), (0.97, 0.95), (1, 0.84)),
    "screwdriver": ((0, 0.6), (0.03, 0.9), (0.1, 1), (0.3, 0.95), (0.36, 0.6), (0.4, 0.62), (0.43, 0.66),
                    (0.44, 0.22), (0.95, 0.22), (0.965, 0.3), (1, 0.16)),
    "brush": ((0, 0.2), (0.04, 0.34), (0.2, 0.38), (0.34, 0.3), (0.44, 0.7), (0.5, 0.96), (0.51, 1),
              (0.62, 1), (0.64, 0.96), (1, 1)),
    "hammer": ((0, 0.7), (0.5, 0.62), (0.55, 0.9), (0.62, 1), (0.9, 0.86), (0.97, 1), (1, 0.8)),
}  # fmt: skip
HAMMER_HEAD = (  # (across, down) as shares of the whole hammer: face left, claw right
    (0.0, 0.04), (0.14, 0.04), (0.16, 0.055), (0.3, 0.055), (0.36, 0.03), (0.64, 0.03), (0.8, 0.05),
    (1.0, 0.13), (0.97, 0.15), (0.8, 0.115), (0.66, 0.15), (0.36, 0.15), (0.3, 0.125), (0.16, 0.125),
    (0.14, 0.14), (0.0, 0.14),
)  # fmt: skip
LABELS = {
    "can": (0.06, 0.94), "soda": (0.05, 0.95), "tin": (0.07, 0.94), "bottle": (0.45, 0.88),
    "flask": (0.3, 0.94), "jar": (0.33, 0.87), "cup": (0.045, 0.98), "squeeze": (0.3, 0.93),
    "tube": (0.06, 0.84), "mug": (0.06, 0.92), "screwdriver": (0.06, 0.33), "brush": (0.06, 0.32),
    "hammer": (0.56, 0.96),
}  # fmt: skip
LIDS = {"can": "metal", "soda": "metal", "tin": "metal", "mug": "open", "tube": "none"}
STRIPPED = ("screwdriver", "brush", "hammer")


def body_of(product: Product) -> Body:
    """Return the body of a product with a turned shape; for a hammer, that of its handle."""
    shape = product.shape
    lid = "none" if shape in STRIPPED else LIDS.get(shape, "flat")
    return Body(OUTLINES[shape], _bands(product), LABELS[shape], lid, shape in STRIPPED)


def _bands(product: Product) -> tuple[Band, ...]:
    design = product.design
    main, trim, tint, glass = design.main, design.trim, design.tint, mix(design.tint, BLACK, 0.15)
    steel = Band(1, STEEL, True)
    return {
        "can": (Band(0.06, STEEL, True), Band(0.94, main), steel),
        "soda": (Band(0.05, STEEL, True), Band(0.95, main, True), steel),
        "tin": (Band(0.07, STEEL, True), Band(0.94, main), steel),
        "bottle": (Band(0.088, trim), Band(0.17, mix(glass, WHITE, 0.55)), Band(1, glass)),
        "flask": (Band(0.18, trim), Band(0.24, STEEL, True), Band(0.95, main), steel),
        "jar": (Band(0.155, trim, sum(trim) > 300), Band(0.2, mix(glass, WHITE, 0.5)), Band(1, glass)),
        "cup": (Band(0.04, WHITE), Band(1, main)),
        "squeeze": (Band(0.122, trim), Band(1, mix(main, WHITE, 0.15))),
        "tube": (Band(0.05, mix(main, BLACK, 0.15)), Band(0.868, main), Band(1, trim)),
        "mug": (Band(1, main),),
        "screwdriver": (Band(0.04, BLACK), Band(0.34, tint), Band(0.44, BLACK), steel),
        "brush": (Band(0.5, tint), Band(0.63, STEEL, True), Band(1, BRISTLE)),
        "hammer": (Band(0.52, ASH), Band(1, tint)),
    }[product.shape]
