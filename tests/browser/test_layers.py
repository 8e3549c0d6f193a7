"""The layers of a network in C, compiled for this machine, compute what numpy computes."""

import ctypes
import os
import shutil
import subprocess
from typing import Any

import numpy as np
import pytest

from tests.conftest import ROOT

SOURCES = [ROOT / "edgesearch" / "browser" / name for name in ("convolution.c", "quantized_layers.c")]
FLAGS = ("-std=c11", "-O1", "-ffp-contract=off", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-fPIC", "-shared")
SHAPES = (  # H, W, C, O, kernel, stride, pads before
    (7, 5, 3, 13, 3, 2, 0),
    (6, 6, 16, 8, 1, 1, 0),
    (5, 9, 24, 24, 5, 1, 2),
    (9, 3, 10, 17, 3, 1, 1),
    (1, 1, 40, 5, 1, 1, 0),
)
CASES = [  # shapes, and whether each filter has a channel of its own
    *((shape, False) for shape in SHAPES),
    *(((*shape[:3], shape[2], *shape[4:]), True) for shape in SHAPES),
]


class Convolution(ctypes.Structure):
    """`Convolution` of convolution.h."""

    _fields_ = [
        *((name, ctypes.c_int) for name in ("height", "width", "channels", "rows", "columns", "outputs")),
        *((name, ctypes.c_int) for name in ("kernel_rows", "kernel_columns", "stride", "top", "left")),
        ("low", ctypes.c_float),
        ("high", ctypes.c_float),
    ]


@pytest.fixture(scope="module")
def layers(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return the compiled layers; skip the test without a compiler."""
    compiler = os.environ.get("CC") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler is installed")
    path = tmp_path_factory.mktemp("layers") / "layers.so"
    subprocess.run([*compiler.split(), *FLAGS, *SOURCES, "-lm", "-o", path], check=True)
    return ctypes.CDLL(str(path))


def windows(x: np.ndarray, kernel: int, stride: int, before: int, size: tuple[int, int], fill: int) -> np.ndarray:
    """Return what the kernel covers for each result, (h, w, kernel, kernel, C); outside x, (H, W, C), `fill`."""
    padded = np.pad(x, ((before, kernel), (before, kernel), (0, 0)), constant_values=fill)
    found = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), (0, 1))[::stride, ::stride]
    return found[: size[0], : size[1]].transpose(0, 1, 3, 4, 2)


def address(array: np.ndarray) -> Any:
    """Return the address of an array's first number."""
    return array.ctypes.data_as(ctypes.c_void_p)


def round_up(number: int, step: int) -> int:
    """Return the next multiple of a step."""
    return -(-number // step) * step


def describe(shape: tuple[int, ...], low: float, high: float) -> tuple[Convolution, tuple[int, int]]:
    """Return the engine's description of a convolution, and the size of its result."""
    height, width, channels, outputs, kernel, stride, before = shape
    size = ((height + 2 * before - kernel) // stride + 1, (width + 2 * before - kernel) // stride + 1)
    return Convolution(height, width, channels, *size, outputs, kernel, kernel, stride, before, before, low, high), size


@pytest.mark.parametrize(("shape", "by_channel"), CASES)
def test_convolutions_of_levels_equal_whole_numbers(layers: Any, shape: tuple[int, ...], by_channel: bool) -> None:
    rng = np.random.default_rng(0)
    height, width, channels, outputs, kernel, stride, before = shape
    zero, zero_out = 77, 13
    description, size = describe(shape, -zero_out, 255 - zero_out)
    x = rng.integers(0, 256, (height, width, channels), np.uint8)
    weights = rng.integers(-128, 128, (outputs, 1 if by_channel else channels, kernel, kernel), np.int8)
    bias = rng.integers(-2000, 2001, outputs, np.int32)
    scales = rng.uniform(0.0005, 0.01, outputs).astype(np.float32)
    seen = windows(x, kernel, stride, before, size, zero).astype(np.int32) - zero
    terms = "hwabc,cab->hwc" if by_channel else "hwabc,ocab->hwo"
    sums = np.einsum(terms, seen, (weights[:, 0] if by_channel else weights).astype(np.int32)) + bias
    expected = np.clip(np.rint(sums.astype(np.float32) * scales) + zero_out, 0, 255)

    flat = weights.transpose(0, 2, 3, 1).reshape(outputs, -1)
    laid = np.zeros((round_up(outputs, 8), round_up(flat.shape[1], 2 if by_channel else 8)), np.int16)
    laid[:outputs, : flat.shape[1]] = flat
    packed = np.ascontiguousarray(laid.reshape(-1, 8, laid.shape[1] // 2, 2).swapaxes(1, 2))
    folded, factors = np.zeros(len(laid), np.int32), np.zeros(len(laid), np.float32)
    folded[:outputs], factors[:outputs] = bias - zero * flat.sum(1, dtype=np.int32), scales
    found = np.zeros((*size, outputs), np.uint8)
    behind = np.concatenate([x.ravel(), np.full(7, 255, np.uint8)])  # read and not used
    call = layers.convolve_levels_by_channel if by_channel else layers.convolve_levels
    arrays = (address(behind), zero, *map(address, (packed, folded, factors, found)))
    assert call(ctypes.byref(description), *arrays) == 1
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("shape", "by_channel"), CASES)
def test_convolutions_of_floats_are_close(layers: Any, shape: tuple[int, ...], by_channel: bool) -> None:
    rng = np.random.default_rng(0)
    height, width, channels, outputs, kernel, stride, before = shape
    description, size = describe(shape, -1, 1.5)
    x = rng.standard_normal((height, width, channels)).astype(np.float32)
    weights = rng.standard_normal((outputs, 1 if by_channel else channels, kernel, kernel)).astype(np.float32)
    bias = rng.standard_normal(outputs).astype(np.float32)
    seen = windows(x, kernel, stride, before, size, 0).astype(np.float64)
    terms = "hwabc,cab->hwc" if by_channel else "hwabc,ocab->hwo"
    expected = np.clip(np.einsum(terms, seen, weights[:, 0] if by_channel else weights) + bias, -1, 1.5)

    laid = np.zeros((round_up(outputs, 16), weights[0].size))
    laid[:outputs] = weights.reshape(outputs, -1)
    packed = np.ascontiguousarray(laid.reshape(-1, 16, laid.shape[1]).swapaxes(1, 2))
    padded = np.zeros(len(laid), np.float32)
    padded[:outputs] = bias
    found = np.zeros((*size, outputs), np.float32)
    behind = np.concatenate([x.ravel(), np.full(15, 1e9, np.float32)])  # read and not used
    call = layers.convolve_by_channel if by_channel else layers.convolve
    call(ctypes.byref(description), *map(address, (behind, packed, padded, found)))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_products_and_sums_are_rounded_once(layers: Any) -> None:
    assert layers.fuses() == 1


def test_a_kernel_that_is_too_large_is_refused(layers: Any) -> None:
    description, _ = describe((40, 40, 1, 1, 33, 1, 0), 0, 255)
    for call in (layers.convolve_levels, layers.convolve_levels_by_channel):
        assert call(ctypes.byref(description), None, 0, None, None, None, None) == 0
