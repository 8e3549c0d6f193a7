"""A shelf of products for the tests of text."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgesearch.catalog.product import Product
from edgesearch.catalog.sqlite_catalog import Catalog, Picture, write
from edgesearch.text.full_text import WordIndex, WordSearch
from edgesearch.text.product_table import ProductTable

SHELF = (
    Product("A1", "Red Mug 350 ml", 4.5, "EUR", "Kitchen", "Adidas", stock=3, attributes=(("colour", "red, white"),)),
    Product("A2", "Mug Orchard 350 ml", 60.0, "EUR", "Kitchen", "Nord", stock=0, attributes=(("colour", "red"),)),
    Product("A3", "Orange Juice 1 l", 2.5, "EUR", "Drinks", "Nord", stock=9, attributes=(("colour", "white"),)),
    Product("A4", "Apple Juice 1 l", 1.5, "EUR", "Drinks", "Orange", attributes=(("colour", "green"), ("size", "1"))),
    Product("A5", "纯牛奶 250ml", 12.0, "CNY", "牛奶", "伊利", stock=7, attributes=(("colour", "blue, white"),)),
    Product("A6", "巧克力牛奶", 35.0, "CNY", "牛奶", "蒙牛", stock=1, attributes=(("colour", "brown"), ("size", "2"))),
    Product("A7", "红茶", 8.0, "CNY", "茶", "Nord", stock=2, attributes=(("colour", "yellow"),)),
    Product(
        "A8", "Crème Brûlée", 3.9, "EUR", "Coffee and tea", "Nord", attributes=(("colour", "yellow"), ("size", "10"))
    ),
    Product("A9", "コーヒー 豆", 9.0, "EUR", "Coffee and tea", "伊利", "หอม", attributes=(("colour", "brown"),)),
)
NUMBERS = {product.sku: number for number, product in enumerate(SHELF)}


def shelf(folder: Path, products: Sequence[Product] = SHELF) -> tuple[ProductTable, WordSearch]:
    """Return the columns and the words of products."""
    write(folder / "catalog.sqlite", [(one, [Picture(n, "x.jpg", 0, 1)]) for n, one in enumerate(products)])
    catalog = Catalog(folder / "catalog.sqlite")
    return ProductTable(catalog, {}, ()), WordSearch(WordIndex(None, catalog.products), {}, len(products))


def skus(mask: np.ndarray) -> str:
    """Return the SKUs of a mask, (P,) bool, separated by spaces."""
    return " ".join(SHELF[number].sku for number in np.flatnonzero(mask))


def find_skus(words: WordSearch, text: str) -> str:
    """Return the SKUs that a text finds, best first, separated by spaces."""
    return " ".join(SHELF[number].sku for number in words.rank(text).order(np.ones(len(SHELF), bool)))


def join_skus(numbers: np.ndarray) -> str:
    """Return the SKUs of products by number, (R,) int64, separated by spaces."""
    return " ".join(SHELF[number].sku for number in numbers)
