"""Compare squares that the compiled code cuts out and resizes with Pillow's."""

import dataclasses
from collections.abc import Iterator

import numpy as np
import PIL
import pytest

from edgesearch.images import crops, network_input
from edgesearch.images.crops import Crop

compiled = pytest.importorskip("edgesearch.images._resampling", reason="resampling is not compiled here")

SCALE, OFFSET = 1 / 58.0, -2.0
# Earlier versions never resize columns first; rounding in the other order changes some values of tall pictures by 1.
LEVELS_OFF = 0 if int(PIL.__version__.split(".")[0]) >= 13 else 1


@pytest.fixture(params=["", "plain"])
def version(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run a test with the processor's fastest version, then with the plain one."""
    compiled.use(request.param)
    yield
    compiled.use("")


def make_picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * width).integers(0, 256, (height, width, 3)).astype(np.uint8)


def list_squares(height: int, width: int) -> list[Crop]:
    """Return squares within, around and partly or wholly beside a picture, with and without whole numbers."""
    least = min(height, width)
    return [
        crops.whole_crop((height, width)),
        crops.centre_crop((height, width), crops.NEAR_SHARE),
        Crop(0, 0, least),
        Crop(1, 2, least - 2),
        Crop(0.3, least / 3, least / 2.7),
        Crop(least / 2, least / 2, 0.6),
        Crop(-0.4 * width, 0.6 * height, 0.7 * least),
        Crop(2.0 * width, -3.0 * height, 1.5 * least),
    ]


@pytest.mark.parametrize("side", [7, 32, 49, 224])
@pytest.mark.parametrize("size", [(8, 8), (60, 47), (61, 160), (320, 427), (427, 320), (500, 90), (224, 224)])
def test_compiled_squares_equal_pillows(version: None, size: tuple[int, int], side: int) -> None:
    squares = [square for square in list_squares(*size) if square.side <= network_input.MAX_SHRINKING * side]
    picture = make_picture(*size)
    given = network_input.crop_squares(picture, squares, side, SCALE, OFFSET)
    twin = network_input.crop_squares_by_pillow(picture, squares, side, SCALE, OFFSET)
    assert given.shape == (len(squares), 3, side, side)
    assert given.dtype == np.float32
    assert np.abs(given - twin).max() <= LEVELS_OFF * 1.001 * SCALE


def test_a_square_outside_has_the_median_colour_of_the_border(version: None) -> None:
    picture = np.full((40, 60, 3), (10, 20, 30), np.uint8)
    picture[1:-1, 1:-1] = 255
    (values,) = network_input.crop_squares(picture, [Crop(-90, 0, 50)], 32, 1.0, 0.0)
    assert values.reshape(3, -1).min(1).tolist() == values.reshape(3, -1).max(1).tolist() == [10, 20, 30]


def test_very_large_squares_are_left_to_pillow() -> None:
    picture = make_picture(100, 700)
    squares = [Crop(0, -300, 700), Crop(0, 0, 100)]
    given = network_input.crop_squares(picture, squares, 32, SCALE, OFFSET)
    assert np.array_equal(given, network_input.crop_squares_by_pillow(picture, squares, 32, SCALE, OFFSET))


def test_pictures_may_be_views_of_others() -> None:
    picture = make_picture(90, 120)[10:, ::-1]
    given = network_input.crop_squares(picture, [Crop(3, 4, 50)], 32, SCALE, OFFSET)
    assert np.array_equal(given, network_input.crop_squares(picture.copy(), [Crop(3, 4, 50)], 32, SCALE, OFFSET))


@dataclasses.dataclass
class Call:
    """The arguments of the compiled function, for one square in a picture of 20 x 30 px."""

    pixels: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros((20, 30, 3), np.uint8))
    width: int = 30
    height: int = 20
    box: tuple[float, ...] = (0, 0, 16, 16)
    place: tuple[int, ...] = (0, 0, 30, 20)
    side: int = 8
    values: int = 3 * 8 * 8

    def __call__(self) -> None:
        """Call it."""
        boxes, places = np.array([self.box], np.float32), np.array([self.place], np.int32)
        out = np.zeros(self.values, np.float32)
        compiled.crop(self.pixels, self.width, self.height, boxes, places, out, self.side, 1.0, 0.0)


@pytest.mark.parametrize(
    "changed",
    [
        {"width": 31},
        {"height": 0},
        {"width": -30, "height": -20},
        {"side": 0},
        {"side": 2**31 - 1},
        {"values": 3 * 8 * 7},
        {"box": (-1, 0, 16, 16)},
        {"box": (0, 0, 31, 16)},
        {"box": (16, 0, 16, 16)},
        {"box": (0, float("nan"), 16, 16)},
        {"box": (0, 0, float("inf"), 16)},
        {"side": 3, "values": 27},
        {"place": (0, 0, 40, 20)},
        {"place": (1, 0, 30, 20)},
        {"place": (-(2**31), 0, 40, 40)},
        {"place": (0, 0, 2**31 - 1, 2**31 - 1)},
        {"box": (0, 0, 16)},
    ],
)
def test_arguments_that_do_not_fit_are_rejected(changed: dict[str, object]) -> None:
    Call()()
    with pytest.raises(ValueError, match="fit together"):
        dataclasses.replace(Call(), **changed)()


def test_other_formats_are_rejected() -> None:
    with pytest.raises(ValueError, match="pixels: items have the format"):
        Call(np.zeros((20, 30, 3), np.int8))()
    with pytest.raises(ValueError, match="no version"):
        compiled.use("fast")
