"""Building on a local Ray cluster of several processes, compared with building in this process."""

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from PIL import Image

import edgesearch
from edgesearch import BundleError, EdgeSearchError
from edgesearch.building import ray_engine
from edgesearch.building.extraction import Extract, Extraction, PictureResult

from ..conftest import TINY_MODEL

pytestmark = pytest.mark.slow

ray = pytest.importorskip("ray", reason="ray is not installed")
PICTURES = 12


@pytest.fixture(scope="module", autouse=True)
def running() -> Iterator[None]:
    """Start one cluster for all tests, as a user's own program may have one."""
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


@pytest.fixture
def drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    lines = ["sku,name,images"]
    for number in range(PICTURES):
        Image.new("RGB", (40, 30), (6 * number, 90, 200)).save(tmp_path / f"{number}.png")
        lines.append(f"S{number},Thing {number},{number}.png")
    (tmp_path / "c.csv").write_text("\n".join(lines))
    return tmp_path / "c.csv"


def build(catalogue: Path, folder: str, **options: object) -> bytes:
    output = catalogue.parent / folder / "x.edge"
    output.parent.mkdir(exist_ok=True)
    edgesearch.build(catalogue, output, TINY_MODEL, **options)  # type: ignore[arg-type]
    return output.read_bytes()


@pytest.mark.filterwarnings("ignore")  # of ray itself
@pytest.mark.parametrize("group_bytes", [1 << 28, 600])
def test_a_cluster_gives_the_same_bytes(drawn: Path, monkeypatch: pytest.MonkeyPatch, group_bytes: int) -> None:
    monkeypatch.setattr(ray_engine, "GROUP_BYTES", group_bytes)
    assert build(drawn, "many", engine="ray", workers=2) == build(drawn, "one")
    assert ray.is_initialized()  # the build did not start it


@pytest.mark.filterwarnings("ignore")  # of ray itself
def test_a_worker_that_dies_changes_no_byte(drawn: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = build(drawn, "one")
    died = drawn.parent / "died"
    monkeypatch.setattr("edgesearch.building.build.Extraction", _dying(died))
    assert build(drawn, "many", engine="ray", workers=2) == whole
    assert died.exists()


def _dying(died: Path) -> type[Extraction]:
    """Return a class that ray pickles by value, because the workers cannot import the tests."""

    class Once(Extraction):
        def extract(self, picture: bytes) -> Extract:
            try:
                os.close(os.open(died, os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                return super().extract(picture)
            os.kill(os.getpid(), signal.SIGKILL)
            raise AssertionError

    return Once


@pytest.mark.filterwarnings("ignore")  # of ray itself
def test_a_worker_with_other_versions_is_refused(drawn: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Older(Extraction):
        @classmethod
        def of(cls, *args: object) -> Extraction:
            made = super().of(*args)  # type: ignore[arg-type]
            object.__setattr__(made, "versions", "edgesearch 0.0.1")
            return made

    monkeypatch.setattr("edgesearch.building.build.Extraction", Older)
    with pytest.raises(BundleError, match="install the same versions on every machine"):
        build(drawn, "b", engine="ray", workers=2)
    assert not (drawn.parent / "b" / "x.edge").exists()


@pytest.mark.filterwarnings("ignore")  # of ray itself
def test_a_worker_with_other_kernels_is_refused(drawn: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_engine, "describe_kernels", lambda: "numpy in place of _sift")
    with pytest.raises(BundleError, match="a worker computes with compiled kernels, this process with numpy"):
        build(drawn, "b", engine="ray", workers=2)
    assert not (drawn.parent / "b" / "x.edge").exists()


@pytest.mark.filterwarnings("ignore")  # of ray itself
def test_an_error_of_a_worker_is_reported(drawn: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing(Extraction):
        def extract_batch(self, cached: frozenset[bytes], batch: Sequence[str]) -> list[PictureResult]:
            raise ValueError("this is why")

    monkeypatch.setattr("edgesearch.building.build.Extraction", Failing)
    with pytest.raises(BundleError, match=r"^--engine ray: a worker failed \(ValueError: this is why\)"):
        build(drawn, "b", engine="ray", workers=2)


@pytest.mark.filterwarnings("ignore")  # of ray itself
def test_bad_pictures_are_reported_from_a_cluster(drawn: Path) -> None:
    (drawn.parent / "3.png").write_text("no picture")
    with pytest.raises(edgesearch.CatalogError, match=r"S3: .*3\.png: no picture"):
        build(drawn, "b", engine="ray", workers=2)


def test_a_cluster_that_does_not_answer_is_reported(drawn: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    for address in ("127.0.0.1:1", "ray://[::1]:1"):
        monkeypatch.setenv("RAY_ADDRESS", address)
        with pytest.raises(EdgeSearchError, match="no cluster answers at"):
            build(drawn, "b", engine="ray")


def test_a_missing_ray_names_the_package_to_install(drawn: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(EdgeSearchError, match=r"pip install edgesearch\[ray\]"):
        build(drawn, "b", engine="ray")


def test_an_unknown_engine_is_refused(drawn: Path) -> None:
    with pytest.raises(ValueError, match="'spark'; expected one of local, ray"):
        build(drawn, "b", engine="spark")
