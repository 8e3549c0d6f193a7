"""Searches by several photos and by camera frames, and advice for answers without match."""

import threading
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgesearch
from edgesearch import ImageError, Store
from edgesearch.answer import Answer, Guess, Match
from edgesearch.catalog.product import Product
from edgesearch.commands.cli import main
from edgesearch.images.image import read
from edgesearch.search import pipeline
from edgesearch.search.advice import guess_detail
from edgesearch.search.gallery import Gallery
from edgesearch.search.pipeline import Observation
from edgesearch.search.stage_timer import StageTimer


@pytest.fixture(scope="module")
def store(shop_edge: Path) -> Iterator[Store]:
    with edgesearch.open(shop_edge) as opened:
        yield opened


@pytest.fixture(scope="module")
def photos(shop: Path) -> list[Path]:
    return sorted((shop / "photos").glob("P00000*.jpg"))


def test_photos_of_one_product_answer_together(store: Store, shop: Path, photos: list[Path]) -> None:
    sku = photos[0].stem.split("-")[0]
    both = [photos[0], shop / "pictures" / f"{sku}.jpg"]
    answer, alone = store.search(both), store.search(photos[0])
    assert answer.matches[0].sku == sku
    assert answer.photo == f"{both[0]} + {both[1]}"
    assert answer.probability > alone.probability - 0.05
    assert answer.elapsed_ms["embed"] > 0
    assert len({match.sku for match in answer.matches}) == 5


@pytest.mark.slow
def test_list_of_one_photo_answers_as_the_photo(store: Store, photos: list[Path]) -> None:
    for photo in photos:
        assert store.search([photo], k=8).matches == store.search(photo, k=8).matches


def test_the_order_of_photos_changes_nothing(store: Store, photos: list[Path]) -> None:
    one, other = store.search(photos[:3]), store.search(photos[2::-1])
    assert [match.sku for match in one.matches] == [match.sku for match in other.matches]
    assert one.known == pytest.approx(other.known)


def test_products_without_evidence_follow_by_best_score(store: Store, photos: list[Path]) -> None:
    gallery = store._gallery()
    seen = [pipeline.observe(gallery, photo, 8, fast=True) for photo in photos[:3]]
    answer = pipeline.answer_observations(gallery, [replace(one, evidence=one.evidence[:1]) for one in seen], 8)
    rest = [match for match in answer.matches if match.probability == 0]
    assert len(rest) >= 5
    assert [match.score for match in rest] == sorted((match.score for match in rest), reverse=True)
    for match in rest:
        scores = [
            one.score
            for observation in seen
            for one in observation.candidates
            if gallery.matches([one])[0].sku == match.sku
        ]
        assert match.score == max(scores)


def test_bad_photo_or_wrong_number_of_photos_raises(store: Store, photos: list[Path], tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"none")
    with pytest.raises(ImageError, match=r"bad\.jpg"):
        store.search([photos[0], tmp_path / "bad.jpg"])
    for count in (0, 17):
        with pytest.raises(ValueError, match=f"{count} photos of one product"):
            store.search([photos[0]] * count)


@pytest.mark.parametrize("photos", [[], ["a.jpg"] * 17])
def test_wrong_number_of_photos_together_is_a_usage_error(
    photos: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["search", "store.edge", *photos, "--together", "--text", "mug"])
    assert ended.value.code == 2
    assert "--together" in capsys.readouterr().err.splitlines()[-1]


def test_filter_applies_to_all_photos(store: Store, photos: list[Path]) -> None:
    answer = store.search(photos[:2], where="price > 1", k=8)
    assert all((match.price or 0) > 1 for match in answer.matches)


def test_frames_of_one_scene_answer_together(store: Store, photos: list[Path]) -> None:
    frame = read(photos[0])
    stream = store.stream(frames=3)
    answers = [stream.add(np.clip(frame.astype(int) + shift, 0, 255).astype(np.uint8)) for shift in (0, 6, 12, 18)]
    alone = store.search(frame)
    assert [answer.photo.count("photo") for answer in answers] == [1, 2, 3, 3]
    assert {answer.matches[0].sku for answer in answers} == {alone.matches[0].sku}
    assert answers[0].matches == alone.matches


def test_new_scene_forgets_earlier_frames(store: Store, photos: list[Path]) -> None:
    stream = store.stream()
    stream.add(photos[0])
    other = np.random.default_rng(0).integers(0, 255, (300, 300, 3), np.uint8)
    assert stream.add(other).photo == "photo"
    stream.clear()
    assert stream.add(photos[0]).photo == str(photos[0])
    with pytest.raises(ValueError, match="frames is 0"):
        store.stream(frames=0)


def test_elapsed_time_covers_one_frame(store: Store, photos: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    observe = pipeline.observe

    def observe_in_5_ms(*arguments: Any) -> Observation:
        observation = observe(*arguments)
        timer: StageTimer = arguments[-1]
        timer.elapsed_ms.update(dict.fromkeys(("image", "embed", "index", "decision"), 5.0))
        return observation

    monkeypatch.setattr(pipeline, "observe", observe_in_5_ms)
    stream = store.stream()
    for _ in range(3):
        assert stream.add(photos[0]).elapsed_ms["embed"] == 5.0


def test_clear_waits_for_the_current_frame(store: Store, photos: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    stream, answer_observations = store.stream(), pipeline.answer_observations
    other = threading.Thread(target=stream.clear)

    def slowly(gallery: Gallery, seen: Collection[Observation], k: int, timer: StageTimer) -> Answer:
        other.start()
        other.join(0.2)
        assert len(seen) == 1
        return answer_observations(gallery, [*seen], k, timer=timer)

    monkeypatch.setattr(pipeline, "answer_observations", slowly)
    stream.add(photos[0])
    other.join()


def test_blurred_frame_does_not_change_the_answer(store: Store, photos: list[Path]) -> None:
    stream, frame = store.stream(), read(photos[0])
    before = stream.add(frame)
    shaken = np.mean([np.roll(frame, by, 1) for by in range(-12, 13)], 0).astype(np.uint8)
    assert stream.add(shaken).matches[0].sku == before.matches[0].sku


@pytest.mark.slow
def test_answer_without_match_guesses_category_and_brand(store: Store, shop: Path) -> None:
    for photo in sorted((shop / "photos").glob("*.jpg")):
        answer = store.search(photo)
        if answer.decision == "match":
            assert (answer.guesses, answer.flaw) == ({}, "")
        else:
            assert set(answer.guesses) == {"category", "brand"}
            assert all(0 < guess.share <= 1 for guess in answer.guesses.values())


def test_dark_photo_gets_advice(store: Store, photos: list[Path]) -> None:
    dark = (read(photos[0]) * 0.03).astype(np.uint8)
    answer = store.search(dark)
    assert (answer.decision, answer.flaw) == ("unknown", "dark")
    assert "add light" in answer.advice
    assert answer.to_dict()["advice"] == answer.advice
    assert store.search([dark, photos[0]]).flaw == ""  # one of them is good enough


def test_guess_is_the_vote_of_likely_products() -> None:
    said = [("A", 0.16), ("B", 0.09), ("B", 0.04), (None, 0.01)]
    likely = [Match(Product("x", "x", category=c), 0.5, "", 0, probability=p) for c, p in said]
    assert guess_detail(likely, "category") == Guess("B", pytest.approx(0.5))
    assert guess_detail(likely, "brand") is None
    few = [Match(Product("x", "x", brand=brand), 0.5, "", 0, probability=0.2) for brand in ("A", None, None)]
    assert guess_detail(few, "brand") is None  # most such products have no brand
    assert guess_detail([], "category") is None
