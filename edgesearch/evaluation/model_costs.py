"""Measure what a model costs on this device."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..embedding.embedder import Embedder
from ..embedding.run_settings import THREE_CROPS
from ..embedding.shipped_models import ACCURATE, MODELS, find_model
from ..errors import ModelError

RUNS = 9


@dataclass(frozen=True)
class ModelCost:
    """Hold what a model costs on this device.

    Attributes:
        name: `light` or `accurate`.
        network_bytes: Size of the int8 network.
        crop_ms: Median time of the network for one crop, on one thread.
    """

    name: str
    network_bytes: int
    crop_ms: float


def measure_installed() -> tuple[ModelCost, ...]:
    """Measure the models that are installed here."""
    found = []
    for name in MODELS:
        try:
            folder = find_model(name)
        except ModelError:  # `accurate` is a package of its own
            continue
        embedder = Embedder.open(folder)
        found.append(ModelCost(name, (folder / embedder.config.files["int8"][0]).stat().st_size, crop_ms(embedder)))
    return tuple(found)


def crop_ms(embedder: Embedder) -> float:
    """Return the median time of the network for one crop, in ms."""
    side = embedder.config.preprocessing.crop
    inputs = np.zeros((1, 3, side, side), np.float32)
    times = []
    for _ in range(RUNS + 1):
        began = time.perf_counter()
        embedder.run(inputs)
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times[1:])  # the first run allocates


def advise(costs: Sequence[ModelCost], own_ms: float, photo_ms: float, budget_ms: float) -> tuple[str, ...]:
    """Say what each model costs, and whether this device can afford the accurate one.

    Args:
        costs: As measured.
        own_ms: Time of a crop with the store's own model.
        photo_ms: Time of a photo with it.
        budget_ms: Longest time for a photo.
    """
    known = {cost.name: cost for cost in costs}
    lines = [
        f"model {cost.name}: {cost.crop_ms:.1f} ms a crop, network {cost.network_bytes / 1e6:.1f} MB." for cost in costs
    ]
    if ACCURATE in known:
        longer = photo_ms + THREE_CROPS * (known[ACCURATE].crop_ms - own_ms)
        advice = "`build --model accurate` suits it" if longer <= budget_ms else "the light one suits it"
        lines.append(f"with the accurate model a photo would take some {longer:.0f} ms of {budget_ms:.0f}: {advice}.")
    return tuple(lines)
