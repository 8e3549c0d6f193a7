"""Compare grey pictures that the compiled code resizes with Pillow's."""

from collections.abc import Iterator

import numpy as np
import PIL
import pytest
from PIL import Image

from edgesearch.images import grey_resizing
from edgesearch.images.grey_resizing import BICUBIC, LANCZOS

compiled = pytest.importorskip("edgesearch.images._resampling", reason="resampling is not compiled here")

# Earlier versions never resize columns first; rounding in the other order changes some values of tall pictures.
COLUMNS_FIRST = int(PIL.__version__.split(".")[0]) >= 13


@pytest.fixture(params=["", "plain"])
def version(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run a test with the processor's fastest version, then with the plain one."""
    compiled.use(request.param)
    yield
    compiled.use("")


@pytest.mark.parametrize("resampling", [BICUBIC, LANCZOS])
@pytest.mark.parametrize("to", [(1, 1), (7, 33), (64, 64), (97, 50), (224, 190), (300, 700)])
@pytest.mark.parametrize("size", [(1, 1), (5, 3), (61, 160), (320, 240), (240, 320), (500, 90), (64, 64)])
def test_compiled_resizing_equals_pillows(
    version: None, size: tuple[int, int], to: tuple[int, int], resampling: Image.Resampling
) -> None:
    edges = np.random.default_rng(size[0]).integers(0, 2, size).astype(np.uint8) * 255  # overshoot at either end
    given = grey_resizing.resize(edges, to, resampling)
    twin = grey_resizing.resize_by_pillow(edges, to, resampling)
    assert given.shape == to[::-1]
    assert given.dtype == np.uint8
    if COLUMNS_FIRST or size[0] <= to[1]:
        assert np.array_equal(given, twin)


def test_rows_that_do_not_follow_one_another_are_resized_too(version: None) -> None:
    grey = np.random.default_rng(0).integers(0, 256, (80, 90)).astype(np.uint8)[::2, ::3]
    assert np.array_equal(
        grey_resizing.resize(grey, (64, 64), BICUBIC), grey_resizing.resize(grey.copy(), (64, 64), BICUBIC)
    )


@pytest.mark.parametrize(
    ("width", "height", "filter_number", "to_width", "to_height"),
    [(9, 4, 1, 4, 4), (8, 5, 1, 4, 3), (8, 5, 3, 4, 4), (0, 5, 1, 4, 4), (-8, -5, 1, 4, 4), (8, 5, 0, 4, 4)],
)
def test_impossible_numbers_are_refused(
    width: int, height: int, filter_number: int, to_width: int, to_height: int
) -> None:
    pixels, result = np.zeros((5, 8), np.uint8), np.zeros((4, 4), np.uint8)
    with pytest.raises(ValueError, match="do not fit together"):
        compiled.resize_grey(pixels, width, height, filter_number, result, to_width, to_height)
    with pytest.raises(ValueError, match="do not fit together"):
        compiled.resize_grey(np.zeros((30, 1), np.uint8), 1, 30, 1, np.zeros(5, np.uint8), 1, 5)  # shrinks too much
