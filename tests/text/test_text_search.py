"""Searching stores by words and filters."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import edgesearch
from edgesearch import QueryError
from edgesearch.commands.cli import main
from edgesearch.images import colours
from edgesearch.text import full_text
from edgesearch.text.filters import Condition

from ..conftest import TINY_MODEL
from ..store.test_store import restage_bundle
from .shelf import SHELF


@pytest.fixture
def device(tiny_edge: Path, tmp_path: Path) -> Path:
    edgesearch.install(tiny_edge, tmp_path / "device")
    return tmp_path / "device"


def test_a_photo_finds_the_nearest_allowed_products(shop: Path, device: Path) -> None:
    photo = shop / "photos" / "P000000-1.jpg"
    with edgesearch.open(device) as store:
        every = store.search(photo, k=8).matches
        for where, holds in (
            ("price<5", lambda p: p.price < 5),
            ("not category=Tools", lambda p: p.category != "Tools"),
        ):
            answer = store.search(photo, k=3, where=where)
            wanted = {match.sku for match in every if holds(match.product)}
            assert len(answer.matches) == min(3, len(wanted))
            assert {match.sku for match in answer.matches} <= wanted
            assert answer.understood is not None
            assert answer.understood.where == where
            assert answer.found == sum(bool(holds(product)) for product in store.products().values())
        assert len(store.search(photo, k=8, text="mug").matches) == 8
        assert store.search(photo).found is None
        with pytest.raises(ValueError, match="neither"):
            store.search()


def test_an_empty_filter_gives_an_empty_answer_that_says_why(shop: Path, device: Path) -> None:
    photo = shop / "photos" / "P000000-1.jpg"
    with edgesearch.open(device) as store:
        for asked in (photo, [photo, photo], None):
            answer = store.search(asked, where="price<0.1 and sku~P")
            assert (answer.decision, answer.matches, answer.found) == ("unknown", (), 0)
            (reason,) = answer.emptied_by
            assert (reason.where, reason.words, reason.others_leave) == ("price<0.1", "", 8)
            assert answer.to_dict()["emptied_by"][0]["message"].startswith("without price<0.1, 8 products are left; ")
        with pytest.raises(edgesearch.ImageError):
            store.search(b"no picture", where="price<0.1")
        with pytest.raises(QueryError, match="no product has a column pric"):
            store.search(photo, where="pric<0.1")


def test_answers_to_words_carry_no_probability(shop: Path, device: Path) -> None:
    with edgesearch.open(device) as store:
        answer = store.search(text="mug", where="price<100", k=1)
        assert answer.by_words
        table = answer.to_dict()
        assert (table["known"], table["probability_in_catalogue"], table["matches"][0]["probability"]) == (None,) * 3
        assert table["found"] >= len(table["matches"]) == 1
        by_photo = store.search(shop / "photos" / "P000000-1.jpg", where="price<100")
        assert not by_photo.by_words
        table = by_photo.to_dict()
        assert table["probability_in_catalogue"] == table["known"] == round(by_photo.probability_in_catalogue, 4) > 0
        assert table["matches"][0]["probability"] > 0


@pytest.mark.slow
def test_words_find_enrolled_but_not_removed_products(shop: Path, device: Path) -> None:
    strange = sorted((shop / "photos").glob("P12*.jpg"))[0]
    with edgesearch.open(device) as store:
        assert store.search(text="mug", where="").matches[0].words == pytest.approx(1)
        store.enrol("NEW", [strange], name="Zeppelin 飞艇", price=1.0, brand="Adidas", category="Toys")
        for text in ("zepelin", "飞艇", "Adidas", "toys", "cheapest"):
            answer = store.search(text=text)
            assert answer.matches[0].sku == "NEW", text
            assert store.picture(answer.matches[0]).startswith(b"\xff\xd8")
        assert dict(answer.matches[0].product.attributes)["colour"]
        first = store.search(strange, k=1, where="brand=Adidas or price>100").matches
        assert [match.sku for match in first] == ["NEW"]
        assert "NEW" not in [match.sku for match in store.search(strange, k=8, where="brand!=Adidas").matches]
        others = store._gallery().restrict_to(store._gallery().table.matching(Condition("brand", "!=", ("Adidas",))))
        assert others.rows_of("NEW") == []  # a barcode search asks for them
        store.edit("NEW", name="Balloon")
        assert store.search(text="balloon").matches[0].sku == "NEW"
        answer = store.search(text="zeppelin")
        assert answer.understood
        assert answer.understood.notes == ("no product here has the word 'zeppelin', or a similar one",)
        store.remove("NEW")
        assert not store.search(text="balloon").matches


def test_a_bundle_without_a_word_index_is_indexed_at_the_first_query() -> None:
    path = Path(__file__).parents[1] / "golden" / "format1.edge"
    with edgesearch.open(path) as store:
        product = store.search(np.full((64, 64, 3), 128, np.uint8)).matches[0].product
        assert product.sku in [match.sku for match in store.search(text=product.name, where="").matches]


def test_the_word_index_of_another_catalogue_is_refused(shop: Path, tiny_edge: Path, tmp_path: Path) -> None:
    full_text.write(tmp_path / full_text.FILE, SHELF)
    mixed = restage_bundle(tiny_edge, tmp_path, {full_text.FILE: (tmp_path / full_text.FILE).read_bytes()})
    with edgesearch.open(mixed) as store, pytest.raises(edgesearch.BundleError, match="word index covers 9 products"):
        store.search(text="mug")


def test_an_encrypted_device_searches_words(shop: Path, tiny_edge: Path, tmp_path: Path) -> None:
    edgesearch.install(tiny_edge, tmp_path / "device", encrypt=True, key=bytes(32))
    with edgesearch.open(tmp_path / "device", key=bytes(32)) as store, edgesearch.open(tiny_edge) as plain:
        assert store.search(text="mug").matches[0].sku == plain.search(text="mug").matches[0].sku


@pytest.mark.slow
def test_filters_work_without_fts5_and_words_are_refused(
    device: Path, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(full_text, "is_available", lambda: False)
    with edgesearch.open(device) as store:
        assert store.search(where="price<100").matches
        with pytest.raises(QueryError, match="has no FTS5"):
            store.search(text="mug")
    built = edgesearch.build(shop / "catalogue.csv", tmp_path / "x.edge", TINY_MODEL)
    assert full_text.FILE not in built.manifest.files


def test_the_command_shows_how_it_understood_a_sentence(
    device: Path, shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["search", str(device), "--text", "mugs under 50", "-k", "2"]) == 0
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith("words: ")
    assert second == "  understood as --where 'price<50' --text mugs"
    photo = str(shop / "photos" / "P000000-1.jpg")
    assert main(["search", str(device), photo, "--where", "price<50", "--json"]) == 0
    table = json.loads(capsys.readouterr().out)
    assert table["understood"] == {"where": "price<50", "words": "", "notes": [], "ignored": [], "corrected": {}}
    assert main(["search", str(device), "--where", "price>0", "-k", "2"]) == 0
    first, _, *found = capsys.readouterr().out.splitlines()
    assert first.startswith("words: ambiguous, 8 products, the first 2 (") and "%" not in "".join(found)
    assert main(["search", str(device), photo, "--where", "price<0.1"]) == 0
    first, _, reason = capsys.readouterr().out.splitlines()
    assert ": unknown, no product (" in first and reason.startswith("  without price<0.1, 8 products are left; ")
    assert main(["search", str(device), "--where", "pric<50"]) == 1
    assert "(price is the closest)" in capsys.readouterr().err
    assert main(["search", str(device), photo, photo, "--where", "pric<50"]) == 1
    assert capsys.readouterr().err.count("\n") == 1  # not one for each photo
    with pytest.raises(SystemExit):
        main(["search", str(device), "--text", "mug", "--explain", "x"])


def test_bundles_hold_colours(device: Path, shop: Path) -> None:
    with edgesearch.open(device) as store:
        product = store.search(shop / "pictures" / "P000001.jpg", k=1, where="sku=P000001").matches[0].product
    picture = np.asarray(Image.open(shop / "pictures" / "P000001.jpg").convert("RGB"))
    assert (
        dict(product.attributes)["colour"].split(", ")[0]
        == colours.name_colours([colours.colour_shares(picture)]).split(", ")[0]
    )
