"""Make vectors.json: what Python answers, so that the engine of the browser is held to the same.

python -m tests.browser.vectors writes it again. Pictures are not stored: `draw` and its twin in the tests in JavaScript
draw them.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from edgesearch._util.hashing import sha256
from edgesearch.images import crops, image, network_input
from edgesearch.images.crops import Crop
from edgesearch.search.decision import PLAIN, Calibration

PATH = Path(__file__).with_name("vectors.json")
SIZES = ((96, 64), (61, 83), (40, 200), (333, 250))  # H, W px
RESPONSES = (7, 7)
SIDE = 72  # px of squares and of grey pictures


def draw(height: int, width: int) -> np.ndarray:
    """Return a picture of soft and hard edges, (H, W, 3) uint8."""
    y, x, c = np.ogrid[:height, :width, :3]
    return ((x * 3 + y * 5 + c * 70 + (x // 9 * (y // 7) * 37) % 101) % 256).astype(np.uint8)


def make() -> dict[str, Any]:
    """Return all vectors."""
    rng = np.random.default_rng(0)
    return {
        "decisions": [_decide(rng, products) for products in (0, 1, 2, 5, 20)],
        "crops": [_choose_crops(rng, *size) for size in SIZES],
        "squares": [_cut_squares(*size) for size in SIZES],
        "grey": [_convert_to_grey(*size) for size in SIZES],
        "averages": [
            {"size": size, "factor": factor, "sha256": _hash(_average(draw(*size), factor))}
            for size in SIZES
            for factor in (2, 3)
        ],
    }


def _decide(rng: np.random.Generator, products: int) -> dict[str, Any]:
    evidence = np.round(rng.random((products, 4)) * (1, 1, 0.8, 6), 4)
    calibration = Calibration(PLAIN, match_from=0.6, known_from=0.3)
    probabilities = calibration.probabilities(evidence)
    return {
        "calibration": {"weights": asdict(PLAIN), "match_from": 0.6, "known_from": 0.3},
        "evidence": evidence.tolist(),
        "probabilities": probabilities.tolist(),
        "decision": calibration.decide(probabilities),
    }


def _choose_crops(rng: np.random.Generator, height: int, width: int) -> dict[str, Any]:
    size = height, width
    response = np.round(rng.random(RESPONSES), 3).astype(np.float32)
    whole = crops.whole_crop(size)
    found = crops.object_crop(whole, response)
    return {
        "size": size,
        "response": np.round(response.astype(np.float64), 3).ravel().tolist(),
        "whole": whole,
        "near": crops.centre_crop(size, crops.NEAR_SHARE),
        "object": found,
        "clipped": found.clip(size, 0.2),
    }


def _cut_squares(height: int, width: int) -> dict[str, Any]:
    squares = [crops.whole_crop((height, width)), Crop(1.5, 2.25, 30.5), Crop(-3.5, 4, 38)]
    cut = network_input.crop_squares(draw(height, width), squares, SIDE, 1 / 128, -1)
    return {"size": (height, width), "side": SIDE, "squares": squares, "sha256": sha256(cut.astype("<f4").tobytes())}


def _convert_to_grey(height: int, width: int) -> dict[str, Any]:
    grey = image.to_grey(draw(height, width), SIDE)
    return {"size": (height, width), "side": SIDE, "shape": grey.shape, "sha256": _hash(grey)}


def _average(picture: np.ndarray, factor: int) -> np.ndarray:
    return image.read(image.Image.fromarray(picture), min(picture.shape[:2]) // factor)


def _hash(pixels: np.ndarray) -> str:
    return sha256(np.ascontiguousarray(pixels).tobytes())


if __name__ == "__main__":
    lines = (f"{json.dumps(name)}: {json.dumps(part)}" for name, part in make().items())
    PATH.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
