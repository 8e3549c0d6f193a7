"""Match the colours that catalogues and people name with those that a picture shows."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..catalog.product import Product
from ..images.colours import colour_shares, name_colours
from .terms import fold

COLUMN = "colour"
_SYNONYMS = {
    "black": "黑 黑色", "white": "白 白色", "grey": "gray 灰 灰色", "red": "红 红色", "orange": "橙 橙色 橘色",
    "yellow": "黄 黄色", "green": "绿 绿色", "blue": "蓝 蓝色", "purple": "violet 紫 紫色",
    "pink": "粉 粉色 粉红 粉红色", "brown": "棕 棕色 褐色 咖啡色",
}  # fmt: skip
TERM_OF_WORD = {fold(word): term for term, words in _SYNONYMS.items() for word in (term, *words.split())}
_COLUMN_NAMES = (COLUMN, "color", "颜色", "色", "farbe", "couleur", "colore")  # of columns that shops fill themselves


def add_colours(product: Product, measured: Sequence[np.ndarray]) -> Product:
    """Return a product with its colours as an attribute, unless its catalogue names colours or it has no picture.

    Args:    measured: `colour_shares` of each of its pictures, (T,) float64.
    """
    if not measured or _has_colour_column(name for name, _ in product.attributes):
        return product
    return replace(product, attributes=(*product.attributes, (COLUMN, name_colours(measured))))


def add_colours_to_details(details: Mapping[str, Any], pictures: Sequence[np.ndarray]) -> dict[str, Any]:
    """Return a product's details with the colours of its pictures, unless the details name colours.

    Args:    pictures: (H, W, 3) uint8 each.
    """
    if _has_colour_column(details):
        return dict(details)
    return {**details, COLUMN: name_colours([colour_shares(picture) for picture in pictures])}


def is_colour_column(name: str) -> bool:
    """Return whether a column of this name holds colours."""
    return fold(name).strip() in _COLUMN_NAMES


def split_colours(cell: str) -> list[str]:
    """Split a cell into its colours, as written."""
    return [part for part in map(str.strip, re.split("[,;/、]", cell)) if part]


def colour_terms(cell: str) -> list[str]:
    """Return the colours of a cell, folded; replace each by its basic term if it has one."""
    return [TERM_OF_WORD.get(part, part) for part in split_colours(fold(cell))]


def _has_colour_column(columns: Iterable[str]) -> bool:
    return any(map(is_colour_column, columns))
