"""Fixtures of a device that staff teach."""

import shutil
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
    output = tmp_path_factory.mktemp("built") / "shop.edge"  # one output, so that pictures are extracted once

    def build_shop(sequence: int = 1, catalogue: Path = shop / "catalogue.csv", **options: object) -> Path:
        path = tmp_path_factory.mktemp("bundle") / f"shop{sequence}.edge"
        edgesearch.build(catalogue, output, TINY_MODEL, sequence=sequence, resume=True, **options)  # type: ignore[arg-type]
        output.rename(path)
        return path

    return build_shop


@pytest.fixture(scope="session")
def first(build: Build) -> Path:
    return build()


@pytest.fixture(scope="session")
def ready_device(first: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the first bundle once; tests change copies of this folder."""
    folder = tmp_path_factory.mktemp("ready") / "device"
    edgesearch.install(first, folder)
    return folder


@pytest.fixture
def device(ready_device: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(ready_device, tmp_path / "device"))


@pytest.fixture
def store(device: Path) -> Store:
    return edgesearch.open(device)


@pytest.fixture(scope="session")
def strange(shop: Path) -> list[Path]:
    """Return photos of products that the shop lacks, one of each."""
    return sorted((shop / "photos").glob("P12*.jpg"))


def first_of(store: Store, photo: Path) -> str:
    return store.search(photo, k=1).matches[0].sku
