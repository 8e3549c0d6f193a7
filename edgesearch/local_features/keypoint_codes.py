"""Store keypoints in a byte per value.

Shapes: P keypoints: x, y and sigma in shares of the picture's longer side, direction in turns.
"""

import numpy as np

MIN_SIGMA, SIGMA_STEPS = 1 / 512, 32  # of the first level; levels per octave


def quantize_keypoints(keypoints: np.ndarray) -> np.ndarray:
    """Round keypoints to a byte per value: (P, 4) float32 -> (P, 4) uint8."""
    octaves = np.log2(keypoints[:, 2] / MIN_SIGMA) * SIGMA_STEPS
    levels = np.column_stack([keypoints[:, :2] * 255, octaves, keypoints[:, 3] * 256 % 255.5])
    return np.rint(levels).clip(0, 255).astype(np.uint8)


def dequantize_keypoints(quantized: np.ndarray) -> np.ndarray:
    """Restore keypoints from bytes: (P, 4) uint8 -> (P, 4) float32."""
    return KEYPOINT_LEVELS[quantized, np.arange(4)]


def _list_keypoint_levels() -> np.ndarray:
    """Return what each byte stands for in each column of a quantized keypoint: (256, 4) float32."""
    level = np.arange(256, dtype=np.float32)
    return np.column_stack([level / 255, level / 255, MIN_SIGMA * 2 ** (level / SIGMA_STEPS), level / 256])


KEYPOINT_LEVELS = _list_keypoint_levels()
