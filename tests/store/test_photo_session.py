"""Photos of one product, taken while a camera moves."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

import edgesearch
from edgesearch import CatalogError, DeviceError, Store
from edgesearch.images import quality
from edgesearch.learning import contradiction, diverse_memory
from edgesearch.store import photo_session
from edgesearch.store.photo_session import LEAST, MOST, PhotoSession

from ..conftest import coarse_pattern

SKU, OTHER = "P000003", "P000005"


@pytest.fixture(autouse=True)
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tell pictures apart that the untrained network embeds nearly alike."""
    monkeypatch.setattr(diverse_memory, "NOTHING_NEW", 0.9999995)
    monkeypatch.setattr(photo_session, "SAME_VIEW", 0.9999990)
    monkeypatch.setattr(quality, "FAR", 0.0)  # the untrained network sees objects anywhere
    monkeypatch.setattr(contradiction, "UNSUPPORTED", 1.0)


@pytest.fixture
def learning(store: Store) -> Store:
    store.learner.switch(True, who="Ada")
    return store


def test_good_views_are_taken_until_there_are_enough(learning: Store) -> None:
    session = learning.photo_session(SKU, who="Ada")
    steps = [session.add(coarse_pattern(seed)) for seed in range(MOST + 1)]
    assert [step.advice for step in steps] == ["taken"] * MOST + ["turn"]
    assert [step.enough for step in steps] == [False] * (MOST - 1) + [True, True]
    kept = learning.learner.pictures()
    assert [one.number for one in kept] == session.numbers
    assert {(one.sku, one.state, one.source, one.who) for one in kept} == {(SKU, "used", "capture", "Ada")}
    assert len([match for match in learning.references(SKU) if match.row < 0]) == MOST


def test_the_least_number_is_enough_after_a_while(learning: Store) -> None:
    now = 0.0
    session = PhotoSession(learning.learner, learning._gallery, SKU, clock=lambda: now)
    for seed in range(LEAST):
        assert not session.add(coarse_pattern(seed)).enough
    now = photo_session.ENOUGH_S
    assert session.add(coarse_pattern(LEAST)).enough
    assert len(session.numbers) == LEAST


def test_flawed_frames_are_never_taken(learning: Store) -> None:
    session = learning.photo_session(SKU)
    blurred = Image.fromarray(coarse_pattern(1)).filter(ImageFilter.GaussianBlur(12))
    frames = {"dark": coarse_pattern(1) // 20, "empty": np.full((300, 300, 3), 180, np.uint8), "blurred": blurred}
    for flaw, frame in frames.items():
        for press in (False, True):
            assert session.add(frame, press).advice == flaw
    with pytest.raises(edgesearch.ImageError):
        session.add(b"no picture")
    assert learning.learner.pictures() == []


def test_a_small_product_is_taken_when_asked(learning: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photo_session.quality, "find_flaw", lambda *_: "far")
    session = learning.photo_session(SKU)
    assert session.add(coarse_pattern(1)).advice == "far"
    assert session.add(coarse_pattern(1), press=True).advice == "taken"


def test_known_views_wait_for_a_turn(learning: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    session = learning.photo_session(SKU)
    session.add(coarse_pattern(1))
    assert session.add(coarse_pattern(1)).advice == "turn"
    assert session.add(coarse_pattern(1), press=True).advice == "turn"  # it adds nothing at all
    monkeypatch.setattr(photo_session, "SAME_VIEW", -1.0)
    assert session.add(coarse_pattern(2)).advice == "turn"
    assert session.add(coarse_pattern(2), press=True).advice == "taken"


def test_a_frame_like_another_product_needs_a_second_look(learning: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    session = learning.photo_session(SKU)
    monkeypatch.setattr("edgesearch.store.learner._find_rival", lambda *_: OTHER)
    first = session.add(coarse_pattern(1), press=True)
    assert (first.advice, first.like, first.taken) == ("other", OTHER, 0)
    assert learning.learner.pictures() == []
    assert session.add(coarse_pattern(1), press=True).advice == "taken"
    assert session.add(coarse_pattern(2)).advice == "taken"  # that is settled
    assert {(one.state, one.trust) for one in learning.learner.pictures()} == {("used", 1.0)}
    monkeypatch.setattr("edgesearch.store.learner._find_rival", lambda *_: "P000001")
    assert session.add(coarse_pattern(3)).like == "P000001"


def test_a_frame_that_nothing_supports_asks_once(learning: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contradiction, "is_supported", lambda *_: False)
    session = learning.photo_session(SKU)
    asked = session.add(coarse_pattern(1))
    assert asked.advice == "other" and asked.like in learning.skus() - {SKU}
    assert session.add(coarse_pattern(1), press=True).advice == "taken"
    (one,) = learning.learner.pictures()
    assert (one.state, one.trust) == ("used", 0.95)


def test_a_barcode_of_another_product_is_never_taken(learning: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    session = learning.photo_session(SKU)
    monkeypatch.setattr(photo_session, "_other_by_barcode", lambda *_: OTHER)
    for _ in range(2):
        assert session.add(coarse_pattern(1), press=True).like == OTHER
    assert learning.learner.pictures() == []


def test_photos_are_asked_without_themselves(learning: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    session = learning.photo_session(SKU)
    asked = []

    def find(gallery: object, embedding: np.ndarray, *_: object) -> tuple[list[object], np.ndarray]:
        taught = gallery.taught  # type: ignore[attr-defined]
        asked.append(bool((taught.embeddings[taught.visible] @ embedding[0] > 0.99999995).any()))
        return [], np.empty((0, 4))

    for seed in range(3):
        session.add(coarse_pattern(seed))
    monkeypatch.setattr("edgesearch.search.pipeline.find_candidates", find)
    result = session.measure()
    assert result and (result.photos, result.first_before, result.first_after) == (3, 0, 0)
    assert asked == [False] * 6


def test_recognition_is_counted(learning: Store) -> None:
    session = learning.photo_session(SKU)
    nothing = session.measure()
    assert nothing and set(nothing.to_dict().values()) == {0}
    base = coarse_pattern(1)
    for shift in (0, 30, 60):
        session.add(np.roll(base, shift, 1), press=True)
    result = session.measure()
    assert result and result.photos == len(session.numbers) == 3
    assert result.first_after >= result.first_before
    assert 0 <= result.match_after <= result.first_after <= 3


def test_taking_back_leaves_nothing(learning: Store) -> None:
    learning.learn(coarse_pattern(9), OTHER)
    session = learning.photo_session(SKU)
    session.add(coarse_pattern(1))
    assert [one.sku for one in session.take_back()] == [SKU]
    assert session.take_back() == []
    assert [one.sku for one in learning.learner.pictures()] == [OTHER]
    assert session.add(coarse_pattern(2)).taken == 1


def test_it_needs_a_known_product_and_a_device_that_learns(learning: Store, tiny_edge: Path) -> None:
    with pytest.raises(CatalogError, match="NONE"):
        learning.photo_session("NONE")
    session = learning.photo_session(SKU)
    learning.learner.switch(False)
    with pytest.raises(DeviceError, match="learning was switched off"):
        session.add(coarse_pattern(1))
    with pytest.raises(DeviceError, match=r"learning is off; `edgesearch learn .* on`"):
        learning.photo_session(SKU)
    with edgesearch.open(tiny_edge) as opened, pytest.raises(DeviceError, match="a file cannot learn"):
        opened.photo_session(SKU)


KILLED = """
import sys, numpy, edgesearch
from edgesearch.images import quality
from edgesearch.learning import contradiction, diverse_memory
from edgesearch.store import photo_session
quality.FAR, contradiction.UNSUPPORTED = 0.0, 1.0
diverse_memory.NOTHING_NEW = photo_session.SAME_VIEW = 2.0
with edgesearch.open(sys.argv[1]) as store:
    session = store.photo_session("P000003")
    for seed in range(5):
        pixels = numpy.random.default_rng(seed).integers(0, 256, (9, 9, 3), numpy.uint8)
        print(session.add(pixels.repeat(30, 0).repeat(30, 1)).taken, flush=True)
"""


def test_a_killed_session_keeps_what_it_took(learning: Store, device: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", KILLED, device], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert [process.stdout.readline() for _ in range(2)] == ["1\n", "2\n"]
        process.send_signal(signal.SIGKILL)
    kept = learning.learner.pictures()
    assert len(kept) >= 2
    assert all(learning.learner.picture(one.number) for one in kept)
    assert learning.photo_session(SKU).add(coarse_pattern(20)).advice == "taken"
