"""The colours that catalogues and people name, and those that a picture shows."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..catalog.product import Product
from ..images.colours import names, shares
from .terms import folded

COLUMN = "colour"
_WORDS = {
    "black": "黑 黑色", "white": "白 白色", "grey": "gray 灰 灰色", "red": "红 红色", "orange": "橙 橙色 橘色",
    "yellow": "黄 黄色", "green": "绿 绿色", "blue": "蓝 蓝色", "purple": "violet 紫 紫色",
    "pink": "粉 粉色 粉红 粉红色", "brown": "棕 棕色 褐色 咖啡色",
}  # fmt: skip
NAMES = {folded(word): term for term, words in _WORDS.items() for word in (term, *words.split())}  # in words people use
_COLUMNS = (COLUMN, "color", "颜色", "色", "farbe", "couleur", "colore")  # in which a shop itself says it


def seen(product: Product, measured: Sequence[np.ndarray]) -> Product:
    """The product with its colours as an attribute; measured: `shares` of its pictures.

    What a shop says of the colour itself stands.
    """
    if _is_said(name for name, _ in product.attributes):
        return product
    return replace(product, attributes=(*product.attributes, (COLUMN, names(measured))))


def described(details: Mapping[str, Any], pictures: Sequence[np.ndarray]) -> dict[str, Any]:
    """Details of a product with the colours that are seen in its pictures, where they say none; as `seen`."""
    if _is_said(details):
        return dict(details)
    return {**details, COLUMN: names([shares(picture) for picture in pictures])}


def is_column(name: str) -> bool:
    """A catalogue's column of that name says colours."""
    return folded(name).strip() in _COLUMNS


def parts(cell: str) -> list[str]:
    """The colours that a cell says, as it says them."""
    return [part for part in map(str.strip, re.split("[,;/、]", cell)) if part]


def said(cell: str) -> list[str]:
    """The colours that a cell says, folded, each by its basic term where it has one."""
    return [NAMES.get(part, part) for part in parts(folded(cell))]


def _is_said(columns: Iterable[str]) -> bool:
    return any(map(is_column, columns))
