"""Check the crops of a picture."""

import numpy as np
import pytest

from edgesearch.images import crops
from edgesearch.images.crops import Crop


def test_centre_and_whole_crops_are_centred() -> None:
    assert crops.centre_crop((100, 300), 0.8) == Crop(110, 10, 80)
    assert crops.whole_crop((100, 200)) == Crop(0, -50, 200)


def test_the_whole_crop_of_a_long_strip_is_its_middle() -> None:
    assert crops.whole_crop((8, 100_000)).side == 20


def test_the_object_crop_surrounds_the_response() -> None:
    response = np.full((7, 7), 1.0, np.float32)
    response[4:6, 1:3] = 5
    found = crops.object_crop(Crop(100, 200, 70), response)
    assert found.side == pytest.approx(24)  # two cells of 10 px and the margins
    assert (found.left + found.side / 2, found.top + found.side / 2) == pytest.approx((120, 250))


def test_a_second_object_does_not_widen_the_crop() -> None:
    response = np.zeros((7, 7), np.float32)
    response[3, 3], response[0, 6] = 5, 4
    found = crops.object_crop(Crop(0, 0, 70), response)
    assert found.side == pytest.approx(70 * crops.OBJECT_MIN_SHARE)
    assert found.left + found.side / 2 == pytest.approx(35)


@pytest.mark.parametrize("response", [np.zeros((7, 7), np.float32), np.eye(7, dtype=np.float32)])
def test_the_object_crop_lies_inside_its_crop(response: np.ndarray) -> None:
    found = crops.object_crop(Crop(-10, 5, 70), response)
    assert -10 <= found.left <= 60 - found.side
    assert 5 <= found.top <= 75 - found.side


def test_an_object_crop_at_the_border_is_shifted_inside() -> None:
    response = np.zeros((7, 7), np.float32)
    response[0, 6] = 1
    found = crops.object_crop(Crop(0, 0, 70), response)
    assert (found.left + found.side, found.top) == pytest.approx((70, 0))
