"""Convert pictures of other colour spaces to sRGB by their ICC profiles, with LittleCMS in Pillow.

Phones store Display P3 and cameras Adobe RGB. Read as sRGB, their colours are pale, and photos of one product by two
phones differ.
"""

import functools
import io
from typing import Any

import numpy as np
from PIL import Image, features

MAX_PROFILE_BYTES = 4_000_000
_SAME = 6  # of 255; profiles of sRGB itself differ by up to 3 from each other
_RGB_MODES = ("RGB", "RGBA", "RGBa", "RGBX", "P", "PA")


def profile_of(image: Image.Image) -> bytes:
    """Return the ICC profile of a picture in RGB; b"" if it has none."""
    profile = image.info.get("icc_profile")
    return profile if isinstance(profile, bytes) and image.mode in _RGB_MODES else b""


def to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Convert a picture in mode RGB to sRGB; return it unchanged if its profile is that of sRGB, or damaged."""
    transform = _transform(profile) if 0 < len(profile) <= MAX_PROFILE_BYTES else None
    if transform is None:
        return image
    converted = transform.apply(image)
    converted.info.pop("icc_profile", None)
    return converted


@functools.lru_cache(maxsize=16)
def _transform(profile: bytes) -> Any:
    """Return the transformation from a profile to sRGB; None if it would change no colour visibly."""
    if not features.check("littlecms2"):
        return None
    from PIL import ImageCms

    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source.profile.xcolor_space.strip() != "RGB":
            return None
        transform = ImageCms.buildTransform(
            source, ImageCms.createProfile("sRGB"), "RGB", "RGB", ImageCms.Intent.RELATIVE_COLORIMETRIC
        )
        steps = np.linspace(0, 255, 6).astype(np.uint8)
        cube = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(-1, 6, 3)
        changed = np.asarray(transform.apply(Image.fromarray(cube)))
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError, AttributeError):  # a damaged profile
        return None
    return transform if np.abs(changed.astype(int) - cube).max() > _SAME else None
