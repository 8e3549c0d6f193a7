"""Simulate a phone's camera: tilt, light, blur, noise."""

from math import cos, pi, radians, sin

import numpy as np
from PIL import Image, ImageFilter

from .cutouts import perspective_coefficients
from .surfaces import Size

MARGIN = 1.3  # a scene is this much larger than the frame, so that a tilted frame stays inside it


def photograph(scene: Image.Image, size: Size, rng: np.random.Generator) -> Image.Image:
    """Photograph the middle of a scene; return RGB of the given size."""
    frame = _blur(_tilt(scene, size, rng), rng)
    curve = 255 * (np.arange(256) / 255) ** rng.uniform(0.85, 1.25)
    pixels = np.asarray(frame.point(np.rint(curve).astype(int).tolist() * 3), np.float32) * _light(size, rng)
    pixels += _grain(size, rng) * (float(rng.uniform(0.07, 0.45)) * np.sqrt(np.maximum(pixels[..., 1:2], 8)))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _grain(size: Size, rng: np.random.Generator) -> np.ndarray:
    """Draw sensor noise of about unit spread, fine in brightness and coarse in colour: (height, width, 3) float32.

    Uniform random numbers give the same appearance as normal ones for a sixth of the time.
    """
    w, h = size
    colour = rng.random((h // 2, w // 2, 3), dtype=np.float32).repeat(2, axis=0).repeat(2, axis=1)
    return 1.7 * (colour - 0.5) + 3 * (rng.random((h, w, 1), dtype=np.float32) - 0.5)


def _tilt(scene: Image.Image, size: Size, rng: np.random.Generator) -> Image.Image:
    """Roll the camera and lean it, so that upright lines converge."""
    (w, h), roll = size, radians(float(np.clip(rng.normal(0, 5), -12, 12)))
    lean, turn = rng.uniform(-0.08, 0.08, 2)
    corners = []
    for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
        u, v = x * w / 2 * (1 + lean * y), y * h / 2 * (1 + turn * x)
        corners.append(
            (
                scene.width / 2 + u * cos(roll) - v * sin(roll),
                scene.height / 2 + u * sin(roll) + v * cos(roll),
            )
        )
    numbers = perspective_coefficients([(0, 0), (w, 0), (w, h), (0, h)], corners)
    return scene.transform(size, Image.Transform.PERSPECTIVE, numbers, Image.Resampling.BILINEAR)


def _blur(frame: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Defocus most pictures; add the blur of a shaking hand to some."""
    if rng.random() < 0.6:
        frame = frame.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.3, 1.5))))
    if rng.random() < 0.25:
        angle, reach = rng.uniform(0, pi), rng.uniform(0.8, 2.2)
        for k, direction in ((2, -1), (3, 1)):
            shift = (1, 0, direction * reach * cos(angle), 0, 1, direction * reach * sin(angle))
            moved = frame.transform(frame.size, Image.Transform.AFFINE, shift, Image.Resampling.BILINEAR)
            frame = Image.blend(frame, moved, 1 / k)
    return frame


def _light(size: Size, rng: np.random.Generator) -> np.ndarray:
    """Draw the light: exposure, colour cast, a gradient and at times a soft shadow; (height, width, 3) float32."""
    w, h = size
    warm = rng.normal(0, 0.06)
    cast = np.array([1 + warm, 1 + rng.normal(0, 0.02), 1 - warm], np.float32) * rng.uniform(0.72, 1.18)
    angle, slope = rng.uniform(0, 2 * pi), rng.uniform(0, 0.3)
    x, y = np.linspace(-1, 1, w, dtype=np.float32)[None], np.linspace(-1, 1, h, dtype=np.float32)[:, None]
    level = 1 + slope * (cos(angle) * x + sin(angle) * y)
    if rng.random() < 0.35:
        edge = cos(angle + 1) * x + sin(angle + 1) * y - rng.uniform(-0.3, 0.6)
        level = level * (1 - rng.uniform(0.08, 0.22) * (1 + np.tanh(edge / rng.uniform(0.04, 0.3))))
    return (level[..., None] * cast).astype(np.float32)
