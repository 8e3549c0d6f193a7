"""Make taught_vectors.json: how Python combines what a device was taught with a catalogue, and packs taught pictures.

python -m tests.browser.taught_vectors writes it again.
"""

import base64
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from edgesearch._util.hashing import hash_json
from edgesearch.catalog.product import Product, check_details
from edgesearch.device import changes
from edgesearch.device.changes import Change
from edgesearch.errors import CatalogError
from edgesearch.images import image
from edgesearch.images.augmented_views import warp_view
from edgesearch.learning import contradiction, diverse_memory
from edgesearch.learning.contradiction import Neighbour
from edgesearch.local_features.descriptors import (
    DEFAULT_FEATURES,
    VIEWS,
    LocalFeatures,
    extract_stable_features,
    read_default_codebook,
)
from edgesearch.search.open_bundle import Reference
from tests.browser.vectors import SIDE, draw

PATH = Path(__file__).with_name("taught_vectors.json")
JAM = Product("J1", "Plum jam", 2.5, "EUR", "Food", "Acme", None, "A1", 3, "4006381333931", (("colour", "red"),))
CHEAPER, WITHOUT = Product("J1", "Plum jam", 1.99, "EUR", "Food", "Acme"), None  # as later bundles have it
STEPS = [
    ("edit", {"price": 4.5}, 0),
    ("edit", {"price": "4.50", "stock": "12", "name": "Plum jam, large"}, 0),
    ("edit", {"price": 2.5, "location": None}, 0),
    ("edit", {"shelf life": "two years", "colour": "violet"}, 0),
    ("enrol", {}, 1),
    ("enrol", {"brand": "Acme & Sons"}, 2),
    ("edit", {"price": "a lot"}, 0),
    ("edit", {"stock": "2.5"}, 0),
    ("edit", {"name": ""}, 0),
    ("edit", {"sku": "J2"}, 0),
    ("edit", {" name": "x"}, 0),
    ("edit", {"name": "two\nlines"}, 0),
    ("edit", {"description": "x" * 10_001}, 0),
    ("remove", {}, 0),
    ("edit", {"price": 1}, 0),
    ("remove", {}, 0),
    ("enrol", {}, 1),
    ("remove", {}, 0),
    ("enrol", {"name": "Damson jam", "price": 3}, 0),
    ("edit", {"price": None, "colour": "blue"}, 0),
    ("remove", {}, 0),
]
REFERENCE_DIM, REFERENCE_FEATURES = 8, 40
LEARNING_CASES = 40


def make() -> dict[str, Any]:
    """Return all vectors."""
    return {
        "changes": [_teach(base) for base in (JAM, None)],
        "space": {"hashes": ["ab", "cd", "ef"], "space": hash_json([hash_json(["ab", "cd"]), "ef"])},
        "warped": [_warp(number) for number in range(len(VIEWS))],
        "stable": _extract(),
        "references": _pack(),
        "learning": [_judge(seed) for seed in range(LEARNING_CASES)],
    }


def _judge(seed: int) -> dict[str, Any]:
    """Return what the rules of learning say of a new picture among random ones."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal((2, 0, 0, 0), (0.4, 1, 1, 1), (12, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    products, groups = rng.integers(0, 3, 12).tolist(), [f"day {day}" for day in rng.integers(0, 3, 12)]
    new, known = vectors[0], vectors[1:]
    cosines = (known @ new).astype(float).tolist()
    near = [Neighbour(*one) for one in zip(products[1:], cosines, groups[1:], strict=True)]
    own, limit = products[0], 4
    return {
        "vectors": vectors.astype(float).round(7).tolist(),
        "products": products,
        "groups": groups,
        "rival": contradiction.find_rival(own, groups[0], near),
        "supported": contradiction.is_supported(own, groups[0], near),
        "other": contradiction.nearest_other(own, near),
        "usual": contradiction.is_usual(max(cosines), known),
        "nothing": diverse_memory.adds_nothing(new, known),
        "dropped": diverse_memory.choose_dropped(vectors[:8], vectors[8:], groups[:8], limit),
    }


def _teach(base: Product | None) -> dict[str, Any]:
    """Return what becomes of a product of a bundle, or of one that is not in it, step by step."""
    change: Change | None = None
    steps = []
    for number, (what, details, pictures) in enumerate(STEPS):
        before = change
        step: dict[str, Any] = {"what": what, "details": details, "pictures": [f"{number}{i}" for i in range(pictures)]}
        try:
            given = check_details("J1", details, "EUR")
            args = ("J1", before, base)
            after = changes.remove(*args) if what == "remove" else getattr(changes, what)(*args, given)
            added = dict.fromkeys(step["pictures"], number)
            change = Change.from_dict(after.to_dict() | {"pictures": {**after.pictures, **added}})
            step["change"] = change.to_dict()
            step["says"] = changes.describe(before, change)
            step["shown"] = [_to_dict(change.apply("J1", one)) for one in (base, CHEAPER, WITHOUT)]
            step["missing"] = change.missing_pictures(["shelf/50.jpg", "60.webp"])
        except CatalogError as error:
            step["error"] = str(error)
        steps.append(step)
    return {"base": _to_dict(base), "others": [_to_dict(CHEAPER), _to_dict(WITHOUT)], "steps": steps}


def _to_dict(product: Product | None) -> dict[str, Any] | None:
    return asdict(product) | {"attributes": dict(product.attributes)} if product else None


def _warp(number: int) -> dict[str, Any]:
    grey = image.to_grey(draw(333, 250), SIDE)
    warped, affine = warp_view(grey, VIEWS[number])
    view = VIEWS[number]
    return {"view": view, "shape": warped.shape, "pixels": _encode(warped.tobytes()), "affine": affine.ravel().tolist()}


def _extract() -> dict[str, Any]:
    found = extract_stable_features(draw(333, 250), DEFAULT_FEATURES)
    return {"size": (333, 250), "places": np.round(found.keypoints[:, :2].astype(np.float64), 3).tolist()}


def _pack() -> dict[str, Any]:
    """Return features and the reference that holds them, in base64."""
    rng = np.random.default_rng(0)
    levels = rng.integers(0, 90, (REFERENCE_FEATURES, 128), np.uint8)
    descriptors = levels.astype(np.float32) / 512
    keypoints = (rng.random((REFERENCE_FEATURES, 4)) * (1, 1, 0.1, 1) + (0, 0, 0.01, 0)).astype(np.float32)
    codebook = read_default_codebook()
    packed = codebook.encode(LocalFeatures(keypoints, descriptors))
    embedding = rng.random(REFERENCE_DIM).astype(np.float32)
    parts = {"keypoints": keypoints, "levels": levels, "embedding": embedding}
    texts = {name: _encode(part.tobytes()) for name, part in parts.items()}
    return texts | {"reference": _encode(Reference(embedding, packed).to_bytes())}


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


if __name__ == "__main__":
    lines = (f"{json.dumps(name)}: {json.dumps(part)}" for name, part in make().items())
    PATH.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
