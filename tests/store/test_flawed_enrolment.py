"""Enrolments from photos that show nothing, or little."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from edgesearch.commands.cli import main
from edgesearch.errors import FlawedPhotoError
from edgesearch.store.store import Store


def save(path: Path, picture: Image.Image) -> Path:
    picture.save(path)
    return path


@pytest.mark.parametrize(
    ("level", "why"), [(8, "it is too dark"), (128, "it shows nothing")], ids=["covered lens", "blank wall"]
)
def test_a_photo_that_shows_nothing_cannot_be_taught(
    store: Store, photo: Path, tmp_path: Path, level: int, why: str
) -> None:
    noise = np.random.default_rng(0).integers(0, 4, (200, 200, 3)).astype(np.uint8)
    bad = save(tmp_path / "bad.png", Image.fromarray(noise + np.uint8(level)))
    with pytest.raises(FlawedPhotoError, match=f"bad.png: {why}"):
        store.enrol("P-9", [photo, bad], name="Blue mug")
    with pytest.raises(FlawedPhotoError, match=f"photo 2: {why}"):
        store.enrol("P-9", [photo, bad.read_bytes()], name="Blue mug")
    assert not store.products(["P-9"])


def test_a_blurred_photo_is_taught_with_a_warning(
    store: Store, device: Path, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Image.open(photo) as opened:
        blurred = save(tmp_path / "blurred.png", opened.filter(ImageFilter.GaussianBlur(max(opened.size) / 30)))
    assert store.enrol("P-9", [photo, blurred], name="Blue mug").flaws == ("", "blurred")
    assert main(["enrol", str(device), "--sku", "P-9", str(blurred)]) == 0
    assert "blurred.png: it is blurred" in capsys.readouterr().err
