"""Read pictures whose files lack only their end, and say so."""

from pathlib import Path

import pytest

import edgesearch
from edgesearch.audit import checks
from edgesearch.catalog import loader
from edgesearch.commands.cli import main

from ..conftest import TINY_MODEL


@pytest.fixture
def catalogue(shop: Path, tmp_path: Path) -> Path:
    for number in range(3):
        data = (shop / "pictures" / f"P00000{number}.jpg").read_bytes()
        (tmp_path / f"{number}.jpg").write_bytes(data if number else data[:-2])
    (tmp_path / "c.csv").write_text("sku,name,images\nA,Cup,0.jpg;1.jpg\nB,Jug,2.jpg\n")
    return tmp_path / "c.csv"


def test_build_uses_and_names_them_also_from_its_cache(catalogue: Path) -> None:
    for _ in range(2):
        built = edgesearch.build(catalogue, catalogue.with_suffix(".edge"), TINY_MODEL, resume=True)
        assert built.manifest.counts["pictures"] == 3
        assert [note for note in built.notes if "without its end marker" in note] == [
            "a JPEG without its end marker, perhaps cut off; all its pixels are there, and it is read (1): A: 0.jpg"
        ]


def test_check_and_search_name_them(catalogue: Path, tiny_edge: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (finding,) = checks.check(loader.read(catalogue), model=TINY_MODEL).findings_of("cut")
    assert finding.skus == ("A",)
    assert finding.says.startswith("Cup (A): 0.jpg: a JPEG without its end marker")
    photos = [str(catalogue.with_name(name)) for name in ("0.jpg", "1.jpg")]
    assert main(["search", str(tiny_edge), *photos, "--together"]) == 0
    err = capsys.readouterr().err
    assert f"{photos[0]}: a JPEG without its end marker" in err
    assert photos[1] not in err
