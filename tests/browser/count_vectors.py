"""Make count_vectors.json: what Python makes of a count, step by step, to hold browsers to the same.

python -m tests.browser.count_vectors writes it again.
"""

import itertools
import json
import secrets
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from edgesearch.answer import Answer, Label, Match
from edgesearch.catalog.product import Product
from edgesearch.counting.photo_count import Count
from edgesearch.errors import CountError

PATH = Path(__file__).with_name("count_vectors.json")
PRODUCTS = {
    "P1": Product("P1", "Plum jam", location="A1", stock=3),
    "P2": Product("P2", '=Tea, "green"\n', location="-7"),
    "P3": Product("P3", "Damson jam"),
}
ANSWERS = {  # of each photo: decision, products, barcodes
    "one": ("match", ["P1", "P2"], []),
    "two": ("match", ["P2"], [("4006381333931", ["P2"])]),
    "three": ("ambiguous", ["P1", "P3"], []),
    "four": ("unknown", ["P2", "P1", "P3"], [("96385074", [])]),
}
STEPS: list[tuple[str, dict[str, Any]]] = [
    ("photo", {"photo": "one", "times": 1}),
    ("photo", {"photo": "one", "times": 4}),
    ("photo", {"photo": "two", "times": 2}),
    ("photo", {"photo": "three", "times": 1}),
    ("photo", {"photo": "four", "times": 3}),
    ("correct", {"photo": "three", "sku": "P3", "times": None}),
    ("correct", {"photo": "three", "sku": "P3", "times": 7}),
    ("correct", {"photo": "four", "sku": "-", "times": None}),
    ("correct", {"photo": "four", "sku": "P9", "times": None}),
    ("product", {"sku": "P1", "times": 5}),
    ("product", {"sku": "P9", "times": 5}),
    ("total", {"sku": "P1", "total": 2}),
    ("total", {"sku": "P1", "total": 2}),
    ("undo", {}),
    ("undo", {}),
    ("correct", {"photo": "two", "sku": "", "times": None}),
    ("undo", {}),
    ("undo", {}),
    ("undo", {}),
    ("undo", {}),
    ("undo", {}),
    ("undo", {}),
    ("undo", {}),
    ("correct", {"photo": "one", "sku": "P2", "times": 2}),
]


def make() -> list[dict[str, Any]]:
    """Return each step with its entry or error, and the count after it."""
    token_hex, numbers = secrets.token_hex, itertools.count(1)
    secrets.token_hex = lambda digits: f"{next(numbers):0{2 * digits}x}"
    try:
        with tempfile.TemporaryDirectory() as folder, Count(_store(), Path(folder) / "stock.csv") as count:  # type: ignore[arg-type]
            return [_take(count, what, given) for what, given in STEPS]
    finally:
        secrets.token_hex = token_hex


def _store() -> SimpleNamespace:
    def products(skus: Iterable[str]) -> dict[str, Product]:
        return {sku: PRODUCTS[sku] for sku in skus if sku in PRODUCTS}

    return SimpleNamespace(products=products, search=lambda photo, **_: answer(photo.decode()), overlay=None)


def answer(photo: str) -> Answer:
    """Return what a search finds in a photo."""
    decision, skus, barcodes = ANSWERS[photo]
    matches = tuple(Match(PRODUCTS[sku], 0.9, "", 0, "") for sku in skus)
    labels = tuple(Label(text, "EAN-13", tuple(named)) for text, named in barcodes)
    return Answer("", decision, matches, {}, 1.0, labels)  # type: ignore[arg-type]


def _take(count: Count, what: str, given: dict[str, Any]) -> dict[str, Any]:
    ids = {entry.photo: entry.id for entry in count._journal.entries.values()}
    actions: dict[str, Callable[..., Any]] = {
        "photo": lambda photo, times: count.add_photo(photo.encode(), photo, times)[0],
        "correct": lambda photo, sku, times: count.correct(ids[photo], sku, times),
        "product": count.add_product,
        "total": count.set_total,
        "undo": count.undo,
    }
    step: dict[str, Any] = {"what": what, "given": given}
    try:
        seen = actions[what](**given)
        step["seen"] = seen and seen.to_dict()
    except CountError as error:
        step["error"] = str(error).partition(": ")[2]
    names = count.names
    step["counts"] = [{"sku": sku, "name": names[sku], "count": n} for sku, n in count.counts.most_common()]
    step["waiting"] = [entry.to_dict() for entry in count.to_review]
    step["stock"] = count.stock_list().decode()
    return step


def write() -> dict[str, Any]:
    """Return the content of the file."""
    products = {
        sku: {"sku": sku, "name": one.name, "location": one.location, "stock": one.stock}
        for sku, one in PRODUCTS.items()
    }
    answers = {photo: answer(photo).to_dict() for photo in ANSWERS}
    kept = ("decision", "matches", "barcodes", "conflict")
    brief = {photo: {name: table[name] for name in kept} for photo, table in answers.items()}
    for table in brief.values():
        table["matches"] = [{name: match[name] for name in ("sku", "name")} for match in table["matches"]]
    return {"products": products, "answers": brief, "steps": make()}


if __name__ == "__main__":
    lines = [f"{json.dumps(name)}: {json.dumps(part)}" for name, part in write().items()]
    PATH.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
