"""The colours that catalogues and people name, and those that a picture shows."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..catalog.product import Product
from ..images.colours import name_colours, colour_shares
from .terms import fold

COLUMN = "colour"
_SYNONYMS = {
    "black": "黑 黑色", "white": "白 白色", "grey": "gray 灰 灰色", "red": "红 红色", "orange": "橙 橙色 橘色",
    "yellow": "黄 黄色", "green": "绿 绿色", "blue": "蓝 蓝色", "purple": "violet 紫 紫色",
    "pink": "粉 粉色 粉红 粉红色", "brown": "棕 棕色 褐色 咖啡色",
}  # fmt: skip
TERM_OF_WORD = {fold(word): term for term, words in _SYNONYMS.items() for word in (term, *words.split())}  # in words people use
_COLUMN_NAMES = (COLUMN, "color", "颜色", "色", "farbe", "couleur", "colore")  # in which a shop itself says it


def add_colours(product: Product, measured: Sequence[np.ndarray]) -> Product:
    """The product with its colours as an attribute; measured: `shares` of its pictures.

    What a shop says of the colour itself stands.
    """
    if _has_colour_column(name for name, _ in product.attributes):
        return product
    return replace(product, attributes=(*product.attributes, (COLUMN, name_colours(measured))))


def add_colours_to_details(details: Mapping[str, Any], pictures: Sequence[np.ndarray]) -> dict[str, Any]:
    """Details of a product with the colours that are seen in its pictures, where they say none; as `seen`."""
    if _has_colour_column(details):
        return dict(details)
    return {**details, COLUMN: name_colours([colour_shares(picture) for picture in pictures])}


def is_colour_column(name: str) -> bool:
    """A catalogue's column of that name says colours."""
    return fold(name).strip() in _COLUMN_NAMES


def split_colours(cell: str) -> list[str]:
    """The colours that a cell says, as it says them."""
    return [part for part in map(str.strip, re.split("[,;/、]", cell)) if part]


def colour_terms(cell: str) -> list[str]:
    """The colours that a cell says, folded, each by its basic term where it has one."""
    return [TERM_OF_WORD.get(part, part) for part in split_colours(fold(cell))]


def _has_colour_column(columns: Iterable[str]) -> bool:
    return any(map(is_colour_column, columns))
