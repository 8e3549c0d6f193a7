"""Arguments as people write them: paths as strings, one photo or a list, streams, and what is neither."""

import io
from pathlib import Path

import numpy as np
import pytest

import edgesearch
from edgesearch import EdgeSearchError, ImageError

from ..conftest import TINY_MODEL


def test_every_path_may_be_a_string(shop: Path, tmp_path: Path) -> None:
    folder = str(tmp_path)
    secret, public = (str(path) for path in edgesearch.keygen(f"{folder}/shop"))
    _, following = (str(path) for path in edgesearch.keygen(f"{folder}/next.v2"))
    (tmp_path / "q.csv").write_text(f"image,sku\n{shop}/pictures/P000000.jpg,P000000\n")
    table = "\n".join((shop / "catalogue.csv").read_text().splitlines()[:5])
    (tmp_path / "c.csv").write_text(table.replace("pictures/", f"{shop}/pictures/"))
    options = {"sign": secret, "queries": f"{folder}/q.csv", "next_key": following}
    edgesearch.build(f"{folder}/c.csv", f"{folder}/a.edge", str(TINY_MODEL), sequence=1, **options)
    options["like"] = f"{folder}/a.edge"
    edgesearch.build(f"{folder}/c.csv", f"{folder}/b.edge", str(TINY_MODEL), sequence=2, **options)
    edgesearch.delta(f"{folder}/a.edge", f"{folder}/b.edge", f"{folder}/b.delta", secret)
    edgesearch.install(f"{folder}/a.edge", f"{folder}/device", public)
    edgesearch.install(f"{folder}/b.delta", f"{folder}/device")
    assert len(edgesearch.log(f"{folder}/device")) == 2
    edgesearch.rollback(f"{folder}/device")
    with edgesearch.open(f"{folder}/device") as store:
        photo = (shop / "pictures" / "P000000.jpg").read_bytes()
        pixels = np.random.default_rng(0).integers(0, 256, (10, 10, 3), np.uint8).repeat(30, 0).repeat(30, 1)
        store.enrol("N1", f"{shop}/pictures/P000001.jpg", name="One photo")
        store.enrol("N2", io.BytesIO(photo), name="A stream")
        store.enrol("N3", [pixels[::-1, ::2], photo], name="Two photos")
        for asked in (io.BytesIO(photo), memoryview(photo), f"{shop}/pictures/P000000.jpg"):
            assert store.search(asked).to_dict()["decision"] == store.search(photo).to_dict()["decision"]
        edgesearch.export(f"{folder}/device", f"{folder}/exported")
    with edgesearch.open(f"{folder}/a.edge", trust=public):
        pass


@pytest.mark.parametrize("photo", [5, 1.5, object(), {"a": 1}])
def test_what_is_no_photo_is_named_by_its_type(tiny_edge: Path, photo: object) -> None:
    with edgesearch.open(tiny_edge) as store, pytest.raises(ImageError, match=f"{type(photo).__name__}: not a photo"):
        store.search(photo)


@pytest.mark.parametrize("name", [5, None, b"x"])
def test_a_path_of_a_wrong_type_is_an_error_that_names_it(name: object) -> None:
    with pytest.raises((TypeError, ValueError, EdgeSearchError), match=r"int|None|bytes"):
        edgesearch.keygen(name)  # type: ignore[arg-type]


def test_single_values_stand_for_lists_of_one(tiny_edge: Path, photo: Path) -> None:
    with edgesearch.open(str(tiny_edge)) as store:
        assert store.embed(str(photo)).shape == store.embed([photo]).shape
        assert [*store.named("P000001")] == [*store.products("P000001")] == ["P000001"]
        assert store.named_by(4006381333931).decision == "unknown"  # type: ignore[arg-type]


def test_wrong_types_are_named(store: edgesearch.Store, photo: Path) -> None:
    class Upload:
        async def read(self, size: int = -1) -> bytes:
            return b""

    for options, says in (
        ({"text": 5}, "text is int; expected text"),
        ({"where": ["a"]}, "where is list; expected text"),
        ({"photo": photo, "k": "5"}, "'str' object cannot be interpreted as an integer"),
    ):
        with pytest.raises(TypeError, match=says):
            store.search(**options)  # type: ignore[arg-type]
    for wrong, says in (
        ("https://shop.example/a.jpg", "a URL, and photos are not fetched"),
        (Upload(), r"Upload: its read\(\) is asynchronous; give `await photo\.read\(\)`"),
    ):
        with pytest.raises(edgesearch.ImageError, match=says):
            store.search(wrong)  # type: ignore[arg-type]
    with pytest.raises(edgesearch.CatalogError, match="sku is 7 of type int; give it as text"):
        store.enrol(7, photo, name="Cup")  # type: ignore[arg-type]
