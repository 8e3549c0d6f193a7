"""Show photos to the page as a camera in a trembling hand does, by a clock that stops while the server works."""

import base64
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .chromium import PORTRAIT, compose
from .visitor import Visitor

SCRIPT = Path(__file__).with_suffix(".js")
MARGIN = 16  # px around the camera's picture, so that tremor shows no edge
EXPOSURE_MS = 1000 / 30
EXPOSURES = 5  # moments of an exposure whose mean is a blurred frame
STEPS_PER_MS = 0.06  # of tremor
SMOOTH_MS = 40  # standard deviation: a hand trembles up to about 8 times a second
CHANGE_MS = 400  # while one product replaces another
LEAD_MS = 2000  # of the first scene, before the measured ones
LOAD_MS = 300_000  # long, because the machine may be busy


@dataclass(frozen=True)
class Hand:
    """How the camera is held: the largest displacement, in px of its picture, and whether exposures are long."""

    px: float
    is_blurred: bool = False

    def path(self, ms: float, seed: int) -> np.ndarray:
        """Return smooth random displacements: (S, 2) float64 in px, one for each step of `ms`."""
        steps, spread = int(ms * STEPS_PER_MS) + 1, SMOOTH_MS * STEPS_PER_MS
        reach = int(4 * spread)
        window = np.exp(-0.5 * (np.arange(-reach, reach + 1) / spread) ** 2)
        noise = np.random.default_rng(seed).normal(size=(2, steps + 2 * reach))
        path = np.stack([np.convolve(axis, window, "valid") for axis in noise], axis=1)
        return np.asarray(self.px * path / np.abs(path).max())


@dataclass(frozen=True)
class Shown:
    """A picture in front of the camera, in ms of the page's clock; it is held still from `still_ms` on."""

    name: str
    from_ms: float
    still_ms: float
    until_ms: float


def plan(names: Sequence[str], hold_ms: float) -> list[Shown]:
    """Return when each picture is shown, one after the other; the first one is there already."""
    starts = [LEAD_MS + index * (CHANGE_MS + hold_ms) for index in range(len(names))]
    return [
        Shown(name, start, start + CHANGE_MS, start + CHANGE_MS + hold_ms)
        for name, start in zip(names, starts, strict=True)
    ]


def open_recorded(
    visitor: Visitor,
    pictures: dict[str, Image.Image],
    shown: Sequence[Shown],
    hand: Hand,
    delays: dict[str, float],
    seed: int,
) -> None:
    """Open the page in front of a recorded camera; its clock stands still until `play`.

    Args:
        visitor:  has not opened the page yet.
        pictures: what the camera shows, by name, as `compose_with_margin` and `fill` return it; "" is there first.
        shown:    when.
        delays:   milliseconds until the server answers, by the beginning of the path.
    """
    end_ms = shown[-1].until_ms
    scenes = [{"picture": "", "from": 0}, *({"picture": one.name, "from": one.from_ms} for one in shown)]
    given = {
        "size": PORTRAIT,
        "scenes": scenes,
        "tremor": hand.path(end_ms, seed).round(3).tolist(),
        "perMs": STEPS_PER_MS,
        "exposures": EXPOSURES if hand.is_blurred else 1,
        "exposureMs": EXPOSURE_MS,
        "changeMs": CHANGE_MS,
        "delays": delays,
    }
    visitor.page.add_init_script(f"({SCRIPT.read_text(encoding='utf-8')})({json.dumps(given)})")
    visitor.page.set_default_navigation_timeout(LOAD_MS)
    visitor.open()
    for name, picture in pictures.items():
        visitor.page.evaluate("([name, data]) => recorded.load(name, data)", [name, _address(picture)])
    visitor.wait_until("document.querySelector('#video').videoWidth > 0")


def play(visitor: Visitor, ms: float) -> list[dict[str, Any]]:
    """Let milliseconds of the page's clock pass; return what has happened so far.

    Returns:
        Events, in order: `at` in ms, `kind` ("searched", "shown", "faded"), and of a search its start and its answer.
    """
    events: list[dict[str, Any]] = visitor.page.evaluate("(ms) => recorded.play(ms)", ms)
    return events


def compose_with_margin(photo: Path) -> Image.Image:
    """Return the camera's picture of a photo, with a margin around it."""
    return compose(photo, (PORTRAIT[0] + 2 * MARGIN, PORTRAIT[1] + 2 * MARGIN))


def fill(photo: Path) -> Image.Image:
    """Return a surface without a product, as large as `compose_with_margin`."""
    with Image.open(photo) as opened:
        return opened.convert("RGB").resize(
            (PORTRAIT[0] + 2 * MARGIN, PORTRAIT[1] + 2 * MARGIN), Image.Resampling.BICUBIC
        )


def _address(picture: Image.Image) -> str:
    coded = io.BytesIO()
    picture.save(coded, "JPEG", quality=92)
    return f"data:image/jpeg;base64,{base64.b64encode(coded.getvalue()).decode()}"
