"""Fixtures of a device that staff teach."""

from collections.abc import Callable
from pathlib import Path

import pytest

import edgesearch
from edgesearch import Store

from ..conftest import TINY_MODEL

Build = Callable[..., Path]


@pytest.fixture(scope="session")
def build(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Return a function that builds a bundle of the shop, or of another catalogue, with an untrained network."""

    def build_shop(sequence: int = 1, catalogue: Path = shop / "catalogue.csv", **options: object) -> Path:
        path = tmp_path_factory.mktemp("bundle") / f"shop{sequence}.edge"
        edgesearch.build(catalogue, path, TINY_MODEL, sequence=sequence, **options)  # type: ignore[arg-type]
        return path

    return build_shop


@pytest.fixture(scope="session")
def first(build: Build) -> Path:
    return build()


@pytest.fixture
def device(first: Path, tmp_path: Path) -> Path:
    edgesearch.install(first, tmp_path / "device")
    return tmp_path / "device"


@pytest.fixture
def store(device: Path) -> Store:
    return edgesearch.open(device)


@pytest.fixture(scope="session")
def strange(shop: Path) -> list[Path]:
    """Return photos of products that the shop lacks, one of each."""
    return sorted((shop / "photos").glob("P12*.jpg"))


def first_of(store: Store, photo: Path) -> str:
    return store.search(photo, k=1).matches[0].sku
