"""Check that photos that cannot show a product are recognized."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from edgesearch.images import quality
from edgesearch.images.crops import Crop, whole_crop
from edgesearch.images.image import read
from edgesearch.images.quality import ADVICE, find_flaw


def middle(picture: np.ndarray) -> Crop:
    return whole_crop(picture.shape[:2])


@pytest.fixture(scope="module")
def photos(shop: Path) -> list[np.ndarray]:
    return [read(path) for path in sorted((shop / "photos").glob("*.jpg"))]


def blurred(photo: np.ndarray) -> np.ndarray:
    side = min(photo.shape[:2])
    return np.asarray(Image.fromarray(photo).filter(ImageFilter.GaussianBlur(5 * side / quality.SIDE)))


def smeared(photo: np.ndarray) -> np.ndarray:
    """Return a photo, (H, W, 3) uint8, smeared as by a moving hand."""
    most = round(10 * min(photo.shape[:2]) / quality.SIDE)
    return np.mean([np.roll(photo, by, 1) for by in range(-most, most + 1)], 0).astype(np.uint8)


def test_sound_photos_have_no_flaw(photos: list[np.ndarray]) -> None:
    assert [find_flaw(photo, middle(photo)) for photo in photos] == [""] * len(photos)


@pytest.mark.slow
@pytest.mark.parametrize("worse", [blurred, smeared, lambda photo: np.swapaxes(smeared(photo), 0, 1)])
def test_blurred_photos_are_recognized(photos: list[np.ndarray], worse) -> None:  # type: ignore[no-untyped-def]
    found = [find_flaw(worse(photo), middle(worse(photo))) for photo in photos]
    assert found.count("blurred") >= 0.9 * len(photos)


def test_dark_photos_are_recognized(photos: list[np.ndarray]) -> None:
    dark = [(photo * 0.15).astype(np.uint8) for photo in photos]
    assert [find_flaw(photo, middle(photo)) for photo in dark] == ["dark"] * len(photos)


@pytest.mark.parametrize("shape", [(300, 200, 3), (1, 1, 3), (2, 900, 3)])
def test_a_plain_photo_is_empty(shape: tuple[int, ...]) -> None:
    plain = np.full(shape, 120, np.uint8)
    assert find_flaw(plain, middle(plain)) == "empty"


def test_a_small_object_is_far(photos: list[np.ndarray]) -> None:
    assert find_flaw(photos[0], Crop(0, 0, 0.3 * middle(photos[0]).side)) == "far"


def test_each_flaw_has_advice() -> None:
    assert all(words.endswith(".") for kind, words in ADVICE.items() if kind)
