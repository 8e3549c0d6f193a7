"""Compare the compiled features with their numpy twin, and both across changes that a camera makes."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from edgesearch.local_features import sift
from edgesearch.local_features.sift import DIM, SiftFeatures

compiled = pytest.importorskip("edgesearch.local_features._sift", reason="the features are not compiled here")


def draw_label(width: int = 200, height: int = 160, seed: int = 0) -> Image.Image:
    """Draw boxes and words on a soft background, which give keypoints."""
    rng = np.random.default_rng(seed)
    picture = Image.fromarray(rng.integers(90, 160, (6, 8), np.uint8)).resize((width, height), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(picture)
    for _ in range(12):
        x, y = (int(n) for n in rng.integers(0, (width, height)))
        draw.rectangle((x, y, x + int(rng.integers(5, 30)), y + int(rng.integers(5, 20))), int(rng.integers(0, 256)))
    for i, word in enumerate(("Oat Milk", "Blueberry 200 g", "No. 7", "Fresh & Cold")):
        draw.text((20 + 12 * i, 20 + 32 * i), word, int(255 * (i % 2)), font_size=22)
    return picture


def overlap(a: SiftFeatures, b: SiftFeatures, off_px: float) -> float:
    """Return the share of a's keypoints that b has too, with nearly the same descriptor."""
    near = np.abs(a.keypoints[:, None, :3] - b.keypoints[None, :, :3]).max(2) <= off_px
    alike = a.descriptors.astype(float) @ b.descriptors.T.astype(float) / sift.DESCRIPTOR_SCALE**2
    return float((near & (alike > 0.9)).any(1).mean())


@pytest.mark.parametrize("size", [(200, 160), (161, 57), (33, 300), (24, 24)])
def test_compiled_features_equal_the_twins(size: tuple[int, int]) -> None:
    grey = np.asarray(draw_label(*size, seed=sum(size)))
    given, twin = sift.detect(grey, 5000), sift.detect_by_numpy(grey, 5000)
    # float32 against float64: a keypoint at a threshold or a gradient between two bins may fall to either side.
    assert abs(len(given.keypoints) - len(twin.keypoints)) <= 0.02 * len(twin.keypoints)
    if len(twin.keypoints):
        assert overlap(given, twin, off_px=0.02) >= 0.98


def test_strongest_features_come_first() -> None:
    grey = np.asarray(draw_label())
    every, few = sift.detect(grey, 5000), sift.detect(grey, 20)
    assert len(few.keypoints) == 20 < len(every.keypoints)
    assert np.array_equal(few.keypoints, every.keypoints[:20])
    assert np.array_equal(few.descriptors, every.descriptors[:20])
    assert len(sift.detect(grey, 0).keypoints) == 0


def test_features_rotate_with_the_picture() -> None:
    picture = draw_label(300, 240)
    a, b = (sift.detect(np.asarray(p), 5000) for p in (picture, picture.rotate(-90, expand=True)))
    turned = a.keypoints.copy()  # clockwise, (x, y) comes to (H - 1 - y, x)
    turned[:, 0], turned[:, 1] = 239 - a.keypoints[:, 1], a.keypoints[:, 0]
    assert overlap(SiftFeatures(turned, a.descriptors), b, off_px=0.5) > 0.8
    near = np.abs(turned[:, None, :2] - b.keypoints[None, :, :2]).max(2) < 0.5
    off = (b.keypoints[None, :, 3] - turned[:, None, 3] - 0.25)[near]
    assert np.median(np.abs(off - np.rint(off))) < 0.01


def test_features_survive_a_smaller_and_darker_picture() -> None:
    picture = draw_label(300, 240)
    other = picture.resize((210, 168), Image.Resampling.LANCZOS).point(lambda v: 0.6 * v + 20)
    a, b = (sift.detect(np.asarray(p), 5000) for p in (picture, other))
    large = a.keypoints[:, 2] > 3
    smaller = SiftFeatures(a.keypoints[large] * np.float32([0.7, 0.7, 0.7, 1]), a.descriptors[large])
    assert large.sum() > 20
    assert overlap(smaller, b, off_px=1.0) > 0.4


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (15, 15), (16, 16), (640, 480)])
def test_plain_pictures_have_no_features(size: tuple[int, int]) -> None:
    found = sift.detect(np.full(size, 120, np.uint8), 500)
    assert found.keypoints.shape == (0, 4)
    assert found.descriptors.shape == (0, DIM)
    ramp = np.linspace(0, 255, size[0] * size[1]).reshape(size).astype(np.uint8)
    assert len(sift.detect(ramp, 500).keypoints) == 0


def test_noise_gives_as_many_features_as_the_limit() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (400, 500), np.uint8)[::4, ::4].repeat(4, 0).repeat(4, 1)
    found = sift.detect(noise, 300)
    assert len(found.keypoints) == 300
    assert np.isfinite(found.keypoints).all()
    assert ((found.keypoints[:, :2] >= 0) & (found.keypoints[:, :2] <= (500, 400))).all()
    assert ((found.keypoints[:, 3] >= 0) & (found.keypoints[:, 3] <= 1)).all()


def test_wrong_arrays_are_rejected() -> None:
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
    with pytest.raises(ValueError, match="pixels: items have the format"):
        compiled.detect(np.zeros((3, 4), np.int8), 4, 3, *out)
    with pytest.raises(ValueError, match="out_keypoints: items have the format"):
        compiled.detect(np.zeros((3, 4), np.uint8), 4, 3, np.empty((5, 4), np.int32), out[1])
    misaligned = np.zeros(5 * 16 + 1, np.uint8)[1:].view(np.float32)
    with pytest.raises(ValueError, match="out_keypoints: the array is not aligned"):
        compiled.detect(np.zeros((3, 4), np.uint8), 4, 3, misaligned, out[1])
