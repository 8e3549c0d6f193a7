"""Work with a bundle that keeps one picture, no int8 vectors and a packed catalogue."""

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import edgesearch
from edgesearch.bundle import bundle_file as bundle
from edgesearch.bundle.bundle_file import Bundle
from edgesearch.catalog import packed_catalog, sqlite_catalog
from edgesearch.catalog.sqlite_catalog import Catalog
from edgesearch.device.slots import open_bundle
from edgesearch.evaluation import doctor
from edgesearch.images import image
from edgesearch.index.compact_index import ARRAYS_FILE, CompactIndex
from edgesearch.search.open_bundle import CATALOG, INDEX, PICTURES, OpenBundle
from edgesearch.text import full_text

KEPT = 1  # the row whose picture is kept


@pytest.fixture(scope="module")
def lean(shop_edge: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the shop, and keep one picture of it."""
    folder = tmp_path_factory.mktemp("lean")
    whole = Bundle(shop_edge)
    for name in whole.manifest.files:
        if name not in ("pieces.sha256", full_text.FILE, "golden.arrays"):
            (folder / "stage" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "stage" / name).write_bytes(whole.copy_member(name))
    stage = folder / "stage"
    index = CompactIndex.open(whole.member(INDEX + ARRAYS_FILE))
    index.drop_vectors(index.read_vectors(np.arange(len(index)))).write(stage / INDEX)
    known = Catalog(stage / CATALOG)
    ((_, place),) = known.find([KEPT])
    picture = image.to_webp((stage / PICTURES).read_bytes()[place.start :][: place.size], 96, 60)
    (stage / PICTURES).write_bytes(picture)
    sqlite_catalog.set_picture_offsets(
        stage / CATALOG, ((0, len(picture) * (row == KEPT)) for row in range(known.rows))
    )
    (stage / packed_catalog.FILE).write_bytes(packed_catalog.pack(stage / CATALOG))
    (stage / CATALOG).unlink()
    described = {name: getattr(whole.manifest, name) for name in ("hashes", "counts", "calibration", "accuracy")}
    bundle.write(folder / "lean.edge", stage, {"name": "lean", "sequence": 2, "created": "", **described})
    shutil.rmtree(stage)
    return folder / "lean.edge"


def test_missing_pictures_are_blank(lean: Path) -> None:
    with edgesearch.open(lean) as store:
        named = store.named(["P000000", "P000001"])
        kept, blank = (store.picture(named[sku]) for sku in ("P000001", "P000000"))
    assert (image.media_type(kept), image.media_type(blank)) == ("image/webp", "image/jpeg")
    assert Image.open(io.BytesIO(kept)).size[1] == 96
    assert blank == image.blank_picture()
    assert image.read(blank).std() > 5  # something is drawn there


@pytest.mark.slow
def test_search_similar_and_explain_work_without_pictures(lean: Path, shop: Path) -> None:
    with edgesearch.open(lean) as store:
        photo = shop / "pictures" / "P000003.jpg"
        answer = store.search(photo)
        assert answer.matches[0].sku == "P000003"
        name = answer.matches[0].name
        assert store.search(text=name, k=1).matches[0].name == name
        assert len(store.similar("P000003", 3)) == 3
        shown = Image.open(io.BytesIO(store.explain(photo, answer)))
        whole = Image.open(io.BytesIO(store.explain(shop / "pictures" / "P000001.jpg", store.search(photo))))
        assert min(shown.size) > 100
        assert whole.size[0] >= shown.size[0]
        store.warm_up(words=True).result()


@pytest.mark.slow
def test_compare_reports_a_missing_picture(lean: Path, shop: Path) -> None:
    with edgesearch.open(lean) as store:
        found = store.compare(shop / "pictures" / "P000003.jpg", "P000003")
        assert found.verdict == "cannot tell"
        assert "no picture of it is kept" in found.why
        assert store.compare(shop / "pictures" / "P000001.jpg", "P000001").points >= 8


def test_another_picture_of_the_product_replaces_a_missing_one(lean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = OpenBundle(Bundle(lean))
    assert base.stored_picture(0) is None
    monkeypatch.setattr(base.catalog, "rows_of", lambda products: np.array([0, KEPT]))
    assert base.stored_picture(0) == base.stored_picture(KEPT)
    base.close()


def test_doctor_makes_its_photos_of_stored_pictures(lean: Path) -> None:
    opened = open_bundle(lean)
    assert {len(doctor.hard_photos(opened)), doctor.PHOTOS} == {doctor.PHOTOS}
    opened.close()


def test_packed_catalogue_opens_in_memory(lean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgesearch.search.open_bundle._is_kept_in_memory", lambda bundle: True)
    base = OpenBundle(Bundle(lean))
    assert len(base.catalog) == 8
    base.close()


def test_server_sends_pictures_with_their_media_type(lean: Path, tmp_path: Path) -> None:
    pytest.importorskip("fastapi", reason="the extra `server` is not installed")
    from edgesearch.server.state import ServerState

    from ..server.client import Client

    with edgesearch.open(lean) as store:
        state = ServerState(store, lean)
        client = Client(state)
        kinds = [client("GET", f"/v1/pictures/{sku}").headers["content-type"] for sku in ("P000001", "P000000")]
        state.close()
    assert kinds == ["image/webp", "image/jpeg"]
