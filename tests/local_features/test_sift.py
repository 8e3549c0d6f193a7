"""Local features: the compiled ones against their numpy twin, and both against what a camera does to a picture."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from edgesearch.local_features import sift
from edgesearch.local_features.sift import DIM, Features

compiled = pytest.importorskip("edgesearch.local_features._sift", reason="the features are not compiled here")


def printed(width: int = 200, height: int = 160, seed: int = 0) -> Image.Image:
    """Boxes and words on a soft ground: something to hold on to."""
    rng = np.random.default_rng(seed)
    picture = Image.fromarray(rng.integers(90, 160, (6, 8), np.uint8)).resize((width, height), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(picture)
    for _ in range(12):
        x, y = (int(n) for n in rng.integers(0, (width, height)))
        draw.rectangle((x, y, x + int(rng.integers(5, 30)), y + int(rng.integers(5, 20))), int(rng.integers(0, 256)))
    for i, word in enumerate(("Oat Milk", "Blueberry 200 g", "No. 7", "Fresh & Cold")):
        draw.text((20 + 12 * i, 20 + 32 * i), word, int(255 * (i % 2)), font_size=22)
    return picture


def shared(a: Features, b: Features, off_px: float) -> float:
    """Share of the keypoints of a that b has too, with nearly the same descriptor."""
    near = np.abs(a.keypoints[:, None, :3] - b.keypoints[None, :, :3]).max(2) <= off_px
    alike = a.descriptors.astype(float) @ b.descriptors.T.astype(float) / sift.DESCRIPTOR_SCALE**2
    return float((near & (alike > 0.9)).any(1).mean())


@pytest.mark.parametrize("size", [(200, 160), (161, 57), (33, 300), (24, 24)])
def test_the_compiled_features_are_those_of_the_twin(size: tuple[int, int]) -> None:
    grey = np.asarray(printed(*size, seed=sum(size)))
    given, twin = sift.detect(grey, 5000), sift.detect_by_numpy(grey, 5000)
    # float32 against float64: a keypoint at a threshold, or a gradient between two bins, may fall to the other side.
    assert abs(len(given.keypoints) - len(twin.keypoints)) <= 0.02 * len(twin.keypoints)
    if len(twin.keypoints):
        assert shared(given, twin, off_px=0.02) >= 0.98


def test_the_strongest_come_first() -> None:
    grey = np.asarray(printed())
    every, few = sift.detect(grey, 5000), sift.detect(grey, 20)
    assert len(few.keypoints) == 20 < len(every.keypoints)
    assert np.array_equal(few.keypoints, every.keypoints[:20])
    assert np.array_equal(few.descriptors, every.descriptors[:20])
    assert len(sift.detect(grey, 0).keypoints) == 0


def test_a_quarter_turn_turns_the_features() -> None:
    picture = printed(300, 240)
    a, b = (sift.detect(np.asarray(p), 5000) for p in (picture, picture.rotate(-90, expand=True)))
    turned = a.keypoints.copy()  # clockwise, (x, y) comes to (H - 1 - y, x)
    turned[:, 0], turned[:, 1] = 239 - a.keypoints[:, 1], a.keypoints[:, 0]
    assert shared(Features(turned, a.descriptors), b, off_px=0.5) > 0.8
    near = np.abs(turned[:, None, :2] - b.keypoints[None, :, :2]).max(2) < 0.5
    off = (b.keypoints[None, :, 3] - turned[:, None, 3] - 0.25)[near]
    assert np.median(np.abs(off - np.rint(off))) < 0.01


def test_features_are_found_again_in_a_smaller_and_darker_picture() -> None:
    picture = printed(300, 240)
    other = picture.resize((210, 168), Image.Resampling.LANCZOS).point(lambda v: 0.6 * v + 20)
    a, b = (sift.detect(np.asarray(p), 5000) for p in (picture, other))
    large = a.keypoints[:, 2] > 3
    smaller = Features(a.keypoints[large] * np.float32([0.7, 0.7, 0.7, 1]), a.descriptors[large])
    assert large.sum() > 20
    assert shared(smaller, b, off_px=1.0) > 0.4


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (15, 15), (16, 16), (640, 480)])
def test_where_nothing_is_printed_nothing_is_found(size: tuple[int, int]) -> None:
    found = sift.detect(np.full(size, 120, np.uint8), 500)
    assert found.keypoints.shape == (0, 4)
    assert found.descriptors.shape == (0, DIM)
    ramp = np.linspace(0, 255, size[0] * size[1]).reshape(size).astype(np.uint8)
    assert len(sift.detect(ramp, 500).keypoints) == 0


def test_noise_ends_in_as_many_features_as_were_asked_for() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (400, 500), np.uint8)[::4, ::4].repeat(4, 0).repeat(4, 1)
    found = sift.detect(noise, 300)
    assert len(found.keypoints) == 300
    assert np.isfinite(found.keypoints).all()
    assert ((found.keypoints[:, :2] >= 0) & (found.keypoints[:, :2] <= (500, 400))).all()
    assert ((found.keypoints[:, 3] >= 0) & (found.keypoints[:, 3] <= 1)).all()


def test_other_arrays_are_refused() -> None:
    for wrong in (np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4)), np.zeros((0, 4), np.uint8)):
        with pytest.raises(ValueError, match="expected"):
            sift.detect(wrong, 5)
    with pytest.raises(ValueError, match="at most"):
        sift.detect(np.zeros((2048, 1025), np.uint8), 5)
    out = np.empty((5, 4), np.float32), np.empty((5, DIM), np.uint8)
    for width, height in ((3, 3), (-1, -9), (2**31 - 1, 2**31 - 1)):
        with pytest.raises(ValueError, match="fit together"):
            compiled.detect(np.zeros((3, 4), np.uint8), width, height, *out)
    with pytest.raises(ValueError, match="fit together"):
        compiled.detect(np.zeros((3, 4), np.uint8), 4, 3, out[0][:4], out[1])
