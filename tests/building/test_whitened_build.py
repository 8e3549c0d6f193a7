"""Bundles with a whitening: photos, taught pictures, updates, budgets and calibration use it alike."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import edgesearch
from edgesearch import BundleError, EdgeSearchError
from edgesearch._util.hashing import sha256
from edgesearch.building import fit_whitening
from edgesearch.building.build_options import BuildKeywords
from edgesearch.bundle import bundle_file
from edgesearch.bundle.bundle_file import Bundle
from edgesearch.embedding.embedder import CONFIG_FILE
from edgesearch.embedding.whitening import FILE, Whitening
from edgesearch.search.open_bundle import OpenBundle

from ..conftest import TINY_MODEL

pytestmark = pytest.mark.slow

PRODUCTS, PICTURES, DIM = 12, 3, 16
Build = Callable[..., Path]


@pytest.fixture(autouse=True)
def fixed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fix the clock, and accept any map: these pictures are too easy for one to help."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    monkeypatch.setattr(fit_whitening, "MIN_GAIN", -1000.0)


def write_catalogue(folder: Path, products: int) -> Path:
    """Draw three pictures of each product: noise of its own colour."""
    folder.mkdir()
    lines = ["sku,name,images"]
    for number in range(products):
        rng = np.random.default_rng(number)
        for picture in range(PICTURES):
            pixels = rng.integers(0, 120, (48, 64, 3)) + np.random.default_rng(1000 + number).integers(0, 130, 3)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number}-{picture}.png")
        names = ";".join(f"{number}-{picture}.png" for picture in range(PICTURES))
        lines.append(f"S{number},Thing {number},{names}")
    (folder / "c.csv").write_text("\n".join(lines))
    return folder / "c.csv"


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """Return a function that builds the drawn catalogue under a name."""

    def build(name: str = "x.edge", products: int = PRODUCTS, **options: BuildKeywords) -> Path:
        folder = tmp_path / f"pictures{products}"
        catalogue = folder / "c.csv" if folder.exists() else write_catalogue(folder, products)
        given = {"model": TINY_MODEL, "local_features": 32, "sequence": 1} | options
        edgesearch.build(catalogue, tmp_path / name, **given)  # type: ignore[arg-type]
        return tmp_path / name

    return build


def test_the_rows_of_the_index_are_whitened(build: Build, tmp_path: Path) -> None:
    bundle = OpenBundle(Bundle(build()))
    whitening = bundle.embedder.whitening
    assert whitening is not None and bundle.bundle.manifest.hashes["whitening"] == whitening.digest
    pictures = [tmp_path / f"pictures{PRODUCTS}" / f"{number}-1.png" for number in range(PRODUCTS)]
    rows = bundle.index.read_vectors(np.arange(PRODUCTS) * PICTURES + 1)
    expected = bundle.embedder.embed_references([bundle.embedder.read(path) for path in pictures])[0]
    assert (rows * expected).sum(1).min() > 0.999
    plain = bundle.embedder.plain.embed_references([bundle.embedder.read(path) for path in pictures])[0]
    assert (rows * plain).sum(1).min() < 0.997
    with edgesearch.open(tmp_path / "x.edge") as store:
        assert [store.search(path).matches[0].sku for path in pictures] == [f"S{number}" for number in range(PRODUCTS)]
        assert store.similar("S3")


def test_workers_and_resuming_change_no_byte(build: Build) -> None:
    first = build("a.edge", workers=1, resume=True)
    again = build("a2.edge", workers=2)
    expected = {name: entry.sha256 for name, entry in Bundle(first).manifest.files.items()}
    assert {name: entry.sha256 for name, entry in Bundle(again).manifest.files.items()} == expected
    content = first.read_bytes()
    assert build("a.edge", workers=2, resume=True).read_bytes() == content


def test_one_picture_a_product_needs_no_whitening(shop: Path, tmp_path: Path) -> None:
    edgesearch.build(shop / "catalogue.csv", tmp_path / "x.edge", TINY_MODEL, local_features=0)
    bundle = Bundle(tmp_path / "x.edge")
    assert FILE not in bundle and "whitening" not in bundle.manifest.hashes


def test_like_keeps_the_whitening(build: Build) -> None:
    old = Bundle(build("old.edge"))
    new = Bundle(build("new.edge", PRODUCTS + 1, like=old.path, sequence=2))
    assert bytes(new.member(FILE)) == bytes(old.member(FILE))
    assert new.manifest.hashes["index"] == old.manifest.hashes["index"]


def test_like_a_bundle_without_whitening_makes_none(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit_whitening, "MIN_GAIN", 1000.0)
    old = build("old.edge")
    monkeypatch.setattr(fit_whitening, "MIN_GAIN", -1000.0)
    assert FILE not in Bundle(build("new.edge", like=old))


def test_taught_pictures_survive_an_update_to_another_whitening(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edgesearch.install(build("old.edge"), tmp_path / "device")
    photo = tmp_path / "new.png"
    Image.fromarray(np.random.default_rng(99).integers(0, 256, (48, 64, 3), np.uint8)).save(photo)
    with edgesearch.open(tmp_path / "device") as store:
        store.enrol("NEW", [photo], name="New thing")
        assert store.search(photo).matches[0].sku == "NEW"
    edgesearch.install(build("new.edge", PRODUCTS + 2, sequence=2), tmp_path / "device")
    made = []
    make_reference = OpenBundle.make_reference
    monkeypatch.setattr(
        OpenBundle, "make_reference", lambda self, picture: made.append(1) or make_reference(self, picture)
    )
    with edgesearch.open(tmp_path / "device") as store:
        best = store.search(photo).matches[0]
        assert best.sku == "NEW" and best.score > 0.99
    assert not made, "the taught picture was embedded again, though the network is the same"


def test_the_map_of_the_catalogue_follows_that_of_the_model(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "model"
    shutil.copytree(TINY_MODEL, model)
    shipped = Whitening.of(np.diag(np.linspace(0.5, 2, DIM)))
    shipped.write(model / FILE)
    table = json.loads((model / CONFIG_FILE).read_text())
    table["whitening"] = sha256((model / FILE).read_bytes())
    (model / CONFIG_FILE).write_text(json.dumps(table))
    both = Bundle(build("both.edge", model=model))
    limit = both.path.stat().st_size / 1e6 - 0.004
    OpenBundle(Bundle(build("fitted.edge", model=model, budget_mb=limit))).self_test()
    monkeypatch.setattr(fit_whitening, "MIN_GAIN", 1000.0)
    alone = Bundle(build("alone.edge", model=model))
    assert alone.manifest.hashes["whitening"] == shipped.digest != both.manifest.hashes["whitening"]
    like = Bundle(build("like.edge", PRODUCTS + 1, model=model, like=both.path, sequence=2))
    assert bytes(like.member(FILE)) == bytes(both.member(FILE))


def test_a_bundle_without_its_whitening_is_refused(build: Build, tmp_path: Path) -> None:
    path = build()
    for replaced in (None, Whitening(np.eye(DIM, dtype=np.float32))):
        stage = unpack(path, tmp_path / "stage")
        (stage / FILE).unlink()
        if replaced:
            replaced.write(stage / FILE)
        table = json.loads(bytes(Bundle(path).manifest.to_bytes()))
        fields = {key: table[key] for key in table if key not in ("format", "files")}
        bundle_file.write(tmp_path / "y.edge", stage, fields)
        with pytest.raises(BundleError, match="build the bundle again"):
            OpenBundle(Bundle(tmp_path / "y.edge"))


def unpack(path: Path, folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    bundle = Bundle(path)
    for name in bundle.manifest.files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(bytes(bundle.member(name)))
    return folder


def test_a_damaged_whitening_is_found_before_it_is_used(build: Build) -> None:
    path = build()
    content = bytearray(path.read_bytes())
    content[Bundle(path).locations[FILE].start + 200] ^= 1
    path.write_bytes(content)
    with pytest.raises(EdgeSearchError, match=FILE):
        edgesearch.open(path)


def test_a_budget_keeps_the_whitening(build: Build) -> None:
    whole = build("whole.edge")
    limit = whole.stat().st_size / 1e6 - 0.004
    fitted = build("fitted.edge", budget_mb=limit)
    assert fitted.stat().st_size <= limit * 1e6
    assert bytes(Bundle(fitted).member(FILE)) == bytes(Bundle(whole).member(FILE))
    OpenBundle(Bundle(fitted)).self_test()


def test_calibration_asks_with_maps_that_leave_the_picture_out(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    without = OpenBundle.without

    def record(self: OpenBundle, row: int | None) -> OpenBundle:
        other = without(self, row)
        assert row is not None and other.embedder.space == other.index.space != self.embedder.space
        asked.append(row)
        return other

    monkeypatch.setattr(OpenBundle, "without", record)
    build()
    assert sorted(asked) == [*range(PRODUCTS * PICTURES)]
