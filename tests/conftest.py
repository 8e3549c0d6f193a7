"""Share a small drawn shop, and stores built of it, among tests."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from demo_shop import write_catalogue

import edgesearch
from edgesearch.commands import progress_display

ROOT = Path(__file__).parent.parent
TINY_MODEL = Path(__file__).parent / "data" / "tiny_model"
REAL_PHOTOS = ROOT.parent / "shared" / "data"
SLOW_FIXTURES = {"shop_edge", "real_photos", "playwright"}  # tests that use one of them are slow


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests as slow by the fixtures that they use."""
    for item in items:
        if SLOW_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)


def coarse_pattern(seed: int) -> np.ndarray:
    """Return a picture of large coloured tiles, (270, 270, 3) uint8, unlike those of other seeds."""
    return np.random.default_rng(seed).integers(0, 256, (9, 9, 3), np.uint8).repeat(30, 0).repeat(30, 1)


@pytest.fixture(autouse=True)
def no_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """Show no stages on stderr, however slow the machine is."""
    monkeypatch.setattr(progress_display, "SHOWN_AFTER_S", 1e9)


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with catalogue.csv (8 products), queries.csv (8 known photos, 2 unknown) and their pictures."""
    folder = tmp_path_factory.mktemp("shop")
    write_catalogue(folder, products=8, unknown=2, photos=1, seed=0)
    return folder


@pytest.fixture(scope="session")
def tiny_edge(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the shop with an untrained network of a few kilobytes."""
    path = tmp_path_factory.mktemp("tiny") / "shop.edge"
    edgesearch.build(shop / "catalogue.csv", path, TINY_MODEL, sequence=1)
    return path


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the key pairs shop, next and foreign."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("shop", "next", "foreign"):
        edgesearch.keygen(folder / name)
    return folder


@pytest.fixture(scope="session")
def shop_edge(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the shop with the shipped model."""
    path = tmp_path_factory.mktemp("shipped") / "shop.edge"
    edgesearch.build(shop / "catalogue.csv", path, sequence=2)
    return path


@pytest.fixture
def device(tiny_edge: Path, tmp_path: Path) -> Path:
    """Install the tiny shop into a device folder for one test."""
    edgesearch.install(tiny_edge, tmp_path / "device")
    return tmp_path / "device"


@pytest.fixture
def store(device: Path) -> Iterator[edgesearch.Store]:
    """Open that device."""
    with edgesearch.open(device) as opened:
        yield opened


@pytest.fixture
def photo(shop: Path) -> Path:
    """Return a photo of a product of the shop."""
    return shop / "photos" / "P000001-1.jpg"


@pytest.fixture(scope="session")
def real_photos() -> Path:
    """Return the folder of real photos; skip the test if it is absent."""
    if not (REAL_PHOTOS / "groceries").is_dir():
        pytest.skip("the folder of real photos (shared/data) is absent")
    return REAL_PHOTOS
