"""Check which pictures are trained on, and how they are packed."""

from pathlib import Path

import numpy as np
import pytest

from edgesearch import CatalogError
from export.training_pictures import drawn_sources, pack, training_sources

pytestmark = pytest.mark.slow


def test_drawn_products_are_training_products(shop: Path) -> None:
    sources = list(drawn_sources(shop))
    assert len({source.product for source in sources}) == 8
    assert len([source for source in sources if source.clean]) == 8
    assert len(sources) == 16


def test_packed_pictures_are_reused(
    shop: Path, tmp_path: Path, real_photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = list(training_sources(real_photos))[::400]
    monkeypatch.setattr("export.training_pictures.training_sources", lambda data: few)
    packed = pack(real_photos, shop, tmp_path)
    assert packed.pixels.shape == (len(few) + 16, 4, 224, 224)
    before = (tmp_path / "pixels.npy").stat().st_mtime_ns
    assert np.array_equal(pack(real_photos, shop, tmp_path).label, packed.label)
    assert (tmp_path / "pixels.npy").stat().st_mtime_ns == before


def test_excluded_pictures_are_never_training_pictures(real_photos: Path) -> None:
    sources = list(training_sources(real_photos))
    assert len(sources) > 10_000
    forbidden = {path.name for path in sorted((real_photos / "objects").iterdir())[2::3]}
    assert not forbidden & {source.product for source in sources}
    numbers = {int(s.product.split("-")[1]) for s in sources if s.group == "groceries"}
    assert numbers
    assert all(number % 2 for number in numbers)
    assert not [source for source in sources if "/groceries/test/" in source.path.as_posix()]


def test_every_third_matched_product_is_left_out(real_photos: Path) -> None:
    sources = [s for s in training_sources(real_photos) if s.product.startswith("abo-m")]
    matched = {int(s.product.removeprefix("abo-m")): s.held_out for s in sources}
    assert len(matched) > 90
    assert all(number % 3 != 2 and held_out == (number % 3 == 1) for number, held_out in matched.items())


def test_validation_queries_are_not_trained_on(real_photos: Path) -> None:
    sources = list(training_sources(real_photos))
    for group in ("groceries", "objects"):
        products = {s.product for s in sources if s.group == group and s.clean}
        seen = {s.product for s in sources if s.group == group and s.clean and not s.held_out}
        asked = {s.product for s in sources if s.group == group and s.held_out and not s.clean}
        assert products > seen
        assert products - seen < asked
        assert seen == {s.product for s in sources if s.group == group and not s.held_out}
    assert all(s.held_out for s in sources if "/groceries/val/" in s.path.as_posix())


def test_a_missing_data_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="no training pictures"):
        list(training_sources(tmp_path))
