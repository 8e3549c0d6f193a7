"""Check the augmented views of catalogue pictures."""

import numpy as np
import pytest

from edgesearch.images import augmented_views, crops

RED = (200, 30, 40)


def on_white(product: tuple[int, int, int] = RED) -> np.ndarray:
    pixels = np.full((60, 80, 3), 250, np.uint8)
    pixels[20:40, 20:50] = product
    return pixels


def redness(view: np.ndarray) -> float:
    """Return the share of clearly red pixels in a view, (S, S, 3) uint8."""
    red, green, blue = np.moveaxis(view.astype(int), 2, 0)
    return float((red > 2 * np.maximum(green, blue)).mean())


def test_the_mask_covers_the_product_on_white() -> None:
    mask = augmented_views.product_mask(on_white())
    assert mask[30, 30] == 255
    assert mask[5, 5] == 0
    for plain in (250, 0):
        assert (augmented_views.product_mask(np.full((60, 60, 3), plain, np.uint8)) == 255).all()


def test_filling_a_region_equals_a_plain_flood_fill() -> None:
    rng = np.random.default_rng(0)
    for share in (0.4, 0.6, 0.8, 1.0) * 20:
        area = rng.random(rng.integers(2, 30, 2)) < share
        area[0, -1] = True
        expected, pending = np.zeros_like(area), [(0, area.shape[1] - 1)]
        while pending:
            y, x = pending.pop()
            if 0 <= y < area.shape[0] and 0 <= x < area.shape[1] and area[y, x] and not expected[y, x]:
                expected[y, x] = True
                pending += [(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)]
        np.testing.assert_array_equal(crops.connected_part(area, (0, -1)), expected)


def test_a_cut_out_contains_only_the_product() -> None:
    product = augmented_views.cut_out(on_white())
    assert abs(product.width - 30) <= 2
    assert abs(product.height - 20) <= 2


def test_a_heap_shows_more_of_the_product_than_a_shelf() -> None:
    product = augmented_views.cut_out(on_white())
    drawn = {
        draw: np.mean([redness(draw(product, 64, np.random.default_rng(seed))) for seed in range(8)])
        for draw in (augmented_views.draw_shelf_view, augmented_views.draw_heap_view)
    }
    assert 0.1 < drawn[augmented_views.draw_shelf_view] < 0.6 < drawn[augmented_views.draw_heap_view]


def test_views_are_seeded() -> None:
    first, again, other = (
        augmented_views.draw_views(on_white(), 64, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert [view.shape for view in first] == [(64, 64, 3)] * 2 * augmented_views.VIEWS_PER_KIND
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_picture_without_a_plain_background_has_no_views() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (60, 80, 3)).astype(np.uint8)
    assert augmented_views.draw_views(pixels, 64, np.random.default_rng(0)) == []


@pytest.mark.parametrize("shape", [(20, 400), (400, 20)])
def test_long_thin_products_are_drawn(shape: tuple[int, int]) -> None:
    pixels = np.full((*shape, 3), 255, np.uint8)
    pixels[5:-5, 5:-5] = RED
    views = augmented_views.draw_views(pixels, 64, np.random.default_rng(0))
    assert len(views) == 2 * augmented_views.VIEWS_PER_KIND
    assert max(map(redness, views)) > 0.01
