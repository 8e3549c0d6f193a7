"""What a device learns from use: it is bounded, sealed and erasable, and it survives updates and killed processes."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from demo_shop import draw_ean13
from PIL import Image

import edgesearch
from edgesearch import CatalogError, DeviceError, Store
from edgesearch.capture.inbox import Frame, Line
from edgesearch.capture.scan_loop import Scanner
from edgesearch.catalog.loader import read
from edgesearch.images import barcode
from edgesearch.learning import contradiction, diverse_memory

from .conftest import Build

needs_reader = pytest.mark.skipif(not barcode.can_read(), reason="zxing-cpp is not installed (the extra `barcode`)")
SKU = "P000003"
ALIKE = 0.9999995


@pytest.fixture(autouse=True)
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tell pictures apart that the untrained network embeds nearly alike, and trust its labels."""
    monkeypatch.setattr(diverse_memory, "NOTHING_NEW", ALIKE)
    monkeypatch.setattr(contradiction, "UNSUPPORTED", 1.0)


@pytest.fixture
def learning(store: Store) -> Store:
    store.learner.switch(True, who="Ada")
    return store


def noise(seed: int) -> Image.Image:
    """Return a picture with coarse patterns, unlike those of other seeds."""
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (9, 9, 3), np.uint8)).resize((300, 300), Image.Resampling.NEAREST)


def label(photo: Path, code: str) -> Image.Image:
    with Image.open(photo) as opened:
        picture = opened.convert("RGB").resize((1000, 1000))
    picture.paste(draw_ean13(code, 3), (0, 0))
    return picture


def whats(device: Path) -> list[str]:
    return [event.what for event in edgesearch.log(device)]


def test_learning_is_off_until_it_is_switched_on(store: Store, device: Path) -> None:
    assert store.learn(noise(1), SKU).why == "learning is off"
    assert store.learner.pictures() == []
    assert whats(device) == ["install"]
    store.learner.switch(True)
    assert store.learn(noise(1), SKU).state == "used"
    store.learner.switch(False)
    assert store.learn(noise(2), SKU).state == "refused"
    assert len(store.learner.pictures()) == 1


def test_a_file_learns_nothing(first: Path) -> None:
    with edgesearch.open(first) as store, pytest.raises(DeviceError, match="a file cannot learn"):
        store.learn(noise(1), SKU)


def test_a_learned_picture_is_found_at_once_and_logged(learning: Store, device: Path) -> None:
    lesson = learning.learn(noise(1), SKU, source="wedge", code="400", who="Ben")
    (one,) = learning.learner.pictures()
    assert (one.number, one.sku, one.source, one.code, one.who, one.state) == (
        lesson.number, SKU, "wedge", "400", "Ben", "used",
    )  # fmt: skip
    assert one.device
    match = next(match for match in learning.search(noise(1), k=20).matches if match.sku == SKU)
    assert match.image == f"learned-{one.number}.jpg"
    assert learning.picture(match) == learning.learner.picture(one.number)
    assert match.product == learning.products({SKU})[SKU]
    event = edgesearch.log(device)[-1]
    assert (event.what, event.sku, event.who, event.detail["source"]) == ("learn", SKU, "Ben", "wedge")
    with pytest.raises(CatalogError):
        learning.learn(noise(2), "NONE")


@pytest.mark.parametrize(
    ("photo", "why"),
    [
        (Image.new("RGB", (300, 300), (10, 10, 10)), "it is too dark"),
        (Image.new("RGB", (300, 300), (180, 170, 160)), "it shows nothing"),
        (noise(1).resize((9, 9)).resize((300, 300), Image.Resampling.BICUBIC), "it is blurred"),
    ],
)
def test_flawed_photos_are_refused_with_the_reason(learning: Store, photo: Image.Image, why: str) -> None:
    lesson = learning.learn(photo, SKU)
    assert lesson.state == "refused"
    assert lesson.why.startswith(why)


def test_what_is_known_already_adds_nothing(learning: Store) -> None:
    assert learning.learn(noise(1), SKU).state == "used"
    assert learning.learn(noise(1), SKU).why == "it adds nothing to what is known"


def test_a_product_keeps_a_limited_number(learning: Store) -> None:
    learning.learner.switch(True, per_product=4)
    learner = learning.learner
    for seed in range(8):
        learning.learn(noise(seed), SKU, code=str(seed))
    pictures = learner.pictures()
    assert 0 < len(pictures) <= 4
    assert len(learning.references(SKU)) == len(pictures) + 1  # the catalogue's picture never goes
    with pytest.raises(ValueError, match="at least 1"):
        learner.switch(True, per_product=0)


def test_no_group_outnumbers_the_other_pictures(learning: Store) -> None:
    for seed in range(6):
        learning.learn(noise(seed), SKU, who="Ada")
    assert len(learning.learner.pictures()) == 2
    learning.learn(noise(7), SKU, who="Ben")
    assert [one.who for one in learning.learner.pictures()] == ["Ada", "Ada", "Ben"]


def test_a_device_keeps_limited_megabytes(learning: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgesearch.store.learner.MB", 30_000)
    learning.learner.switch(True, max_mb=1)
    for seed in range(6):
        learning.learn(noise(seed), f"P00000{seed}", code=str(seed))
    assert 0 < sum(one.size_bytes for one in learning.learner.pictures()) <= 30_000


def test_two_choices_of_customers_must_agree(learning: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    assert learning.learn(noise(1), SKU, may_teach=False).why == "customers do not teach this device"
    learning.learner.switch(True, customers=True)
    assert learning.learn(noise(1), SKU, may_teach=False).state == "waiting"
    learned = [match for match in learning.references(SKU) if match.row < 0]
    assert learned == []
    near = Image.blend(noise(1), noise(2), 0.25)
    monkeypatch.setattr(contradiction, "nearest_other", lambda *_: 1.0)
    assert learning.learn(noise(2), SKU, may_teach=False).why == "no other choice agrees yet"
    monkeypatch.setattr(contradiction, "nearest_other", lambda *_: 0.5)
    assert learning.learn(near, SKU, may_teach=False).state == "used"
    assert [one.state for one in learning.learner.pictures()] == ["used"] * 3


def test_a_person_accepts_what_waits(learning: Store) -> None:
    learning.learner.switch(True, customers=True)
    number = learning.learn(noise(1), SKU, may_teach=False).number
    assert [one.trust for one in learning.learner.accept([number, 99], who="Ada")] == [1.0]
    assert any(match.row < 0 for match in learning.references(SKU))


def test_dismissed_matches_count_against_a_picture(learning: Store) -> None:
    number = learning.learn(noise(1), SKU).number
    learner = learning.learner
    assert learner.dismiss(number) is None  # a customer, who does not teach here
    learner.switch(True, customers=True)
    assert learner.dismiss(number).state == "used"  # type: ignore[union-attr]
    assert learner.dismiss(number).state == "aside"  # type: ignore[union-attr]
    assert all(match.row >= 0 for match in learning.references(SKU))
    number = learning.learn(noise(2), SKU).number
    answer = learning.search(noise(2), k=20)
    learning.feedback(answer, SKU, picked=False, may_teach=True)
    assert [one.state for one in learner.pictures() if one.number == number] == ["aside"]


def test_pictures_are_taken_back_by_number_day_and_person(learning: Store, device: Path) -> None:
    for seed, who in enumerate(["Ada", "Ada", "Ben", "Cyd"]):
        learning.learn(noise(seed), f"P00000{seed}", who=who)
    learner = learning.learner
    assert [one.who for one in learner.take_back([4])] == ["Cyd"]
    assert learner.take_back(day="2001-01-01") == []
    assert [one.number for one in learner.take_back(person="Ada", sku="P000001")] == [2]
    assert [one.who for one in learner.take_back(day=learner.pictures()[0].time[:10])] == ["Ada", "Ben"]
    assert learner.take_back() == []
    assert learner.pictures() == []
    assert whats(device)[-3:] == ["forget"] * 3
    with pytest.raises(DeviceError, match="was deleted"):
        learner.picture(1)


def test_it_survives_an_update_and_a_rollback(learning: Store, device: Path, build: Build) -> None:
    lesson = learning.learn(noise(1), SKU)
    edgesearch.install(build(2), device)
    for forward in (False, True):
        edgesearch.rollback(device, forward=forward)
        with edgesearch.open(device) as store:
            assert any(match.image == f"learned-{lesson.number}.jpg" for match in store.references(SKU))
    assert learning.reopen() in (True, False)


def test_undo_and_teaching_leave_it(learning: Store) -> None:
    learning.learn(noise(1), SKU)
    learning.edit(SKU, price=3)
    learning.undo()
    assert len(learning.learner.pictures()) == 1
    learning.remove(SKU)
    assert SKU not in {match.sku for match in learning.search(noise(1), k=20).matches}
    learning.undo()
    assert SKU in {match.sku for match in learning.search(noise(1), k=20).matches}


def test_vectors_only_keeps_no_picture(learning: Store) -> None:
    learning.learner.switch(True, vectors_only=True)
    number = learning.learn(noise(1), SKU).number
    assert learning.learner.picture(number) is None
    match = next(match for match in learning.references(SKU) if match.row < 0)
    assert learning.picture(match).startswith(b"\xff\xd8")  # a blank one
    assert next(match for match in learning.search(noise(1), k=20).matches if match.sku == SKU).score > 0.99


def test_no_byte_stays_after_erasing(learning: Store, device: Path) -> None:
    number = learning.learn(noise(1), SKU).number
    picture = learning.learner.picture(number)
    assert picture is not None
    files = [path for path in device.iterdir() if path.name.startswith("overlay")]
    assert any(picture[200:260] in path.read_bytes() for path in files)
    learning.search(noise(1))
    assert learning.learner.erase(who="Ada") == 1
    assert not any(picture[200:260] in path.read_bytes() for path in files if path.exists())
    assert learning.learner.pictures() == []
    assert learning.learner.settings().on
    assert (whats(device)[-1], edgesearch.log(device)[-1].who) == ("erase", "Ada")
    assert learning.learner.erase() == 0


def test_an_encrypted_device_seals_it(first: Path, tmp_path: Path) -> None:
    key, device = bytes(range(32)), tmp_path / "sealed"
    edgesearch.install(first, device, encrypt=True, key=key)
    with edgesearch.open(device, key=key) as store:
        store.learner.switch(True)
        number = store.learn(noise(1), SKU, who="Adalbert").number
        picture = store.learner.picture(number) or b""
    content = b"".join(path.read_bytes() for path in device.iterdir() if path.name.startswith("overlay"))
    assert picture
    for clear in (picture[:64], SKU.encode(), b"Adalbert"):
        assert clear not in content
    with edgesearch.open(device, key=key) as store:
        assert [one.who for one in store.learner.pictures()] == ["Adalbert"]


LEARN = f"""
import sys, numpy as np, edgesearch
from edgesearch.learning import contradiction, diverse_memory
diverse_memory.NOTHING_NEW, contradiction.UNSUPPORTED = {ALIKE}, 1.0
store = edgesearch.open(sys.argv[1])
for seed in range(1000):
    pixels = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), np.uint8).repeat(30, 0).repeat(30, 1)
    print(store.learn(pixels, f"P00000{{seed % 8}}", code=str(seed)).number, flush=True)
"""


@pytest.mark.slow
def test_a_killed_process_loses_nothing_that_was_learned(learning: Store, device: Path) -> None:
    learning.learner.switch(True, per_product=200)
    for wait_s in (0.0, 0.05):
        with subprocess.Popen([sys.executable, "-c", LEARN, str(device)], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            said = [int(process.stdout.readline()) for _ in range(5)]
            time.sleep(wait_s)
            process.send_signal(signal.SIGKILL)
            said += [int(line) for line in process.stdout.read().split()]
        numbers = {one.number for one in learning.learner.pictures()}
        assert set(said) - {0} <= numbers
        logged = [event.detail["number"] for event in edgesearch.log(device) if event.what == "learn"]
        assert sorted(logged) == sorted(numbers)
        assert all(learning.learner.picture(number) for number in numbers)


def test_a_damaged_row_is_reported(learning: Store, device: Path, tmp_path: Path) -> None:
    learning.learn(noise(1), SKU)
    learning.close()
    copy = Path(shutil.copytree(device, tmp_path / "copy"))
    with edgesearch.open(copy) as store:
        assert store.overlay
        with store.overlay.writing() as database:
            database.execute("UPDATE learned SET content = ?", (json.dumps({"number": 1}).encode(),))
    with edgesearch.open(copy) as store, pytest.raises(DeviceError, match="damaged"):
        store.learner.pictures()


def test_a_gallery_that_grew_answers_as_one_that_was_opened(learning: Store, device: Path) -> None:
    learning.learner.switch(True, per_product=3)
    learning.enrol("NEW", [noise(90)], name="Cup")
    for seed in range(9):
        learning.learn(noise(seed), f"P00000{seed % 2}", code=str(seed))
        learning.search(noise(seed))
    learning.learner.take_back([learning.learner.pictures()[1].number])
    learning.remove("NEW")
    with edgesearch.open(device) as store:
        for seed in range(9):
            mine, its = learning.search(noise(seed), k=8), store.search(noise(seed), k=8)
            assert [(one.sku, one.image, one.points) for one in mine.matches] == [
                (one.sku, one.image, one.points) for one in its.matches
            ]
            assert mine.probability == pytest.approx(its.probability, abs=1e-6)


@needs_reader
def test_a_stream_learns_from_a_few_frames_of_a_scene(learning: Store, shop: Path) -> None:
    product = read(shop / "catalogue.csv").entries[1].product
    frame = label(shop / "photos" / "P000005-1.jpg", product.barcode or "")
    quiet, stream = learning.stream(learn=False), learning.stream()
    assert "learn" not in quiet.add(frame).elapsed_ms
    learned = ["learn" in stream.add(frame).elapsed_ms for _ in range(5)]
    assert learned == [True] * 3 + [False] * 2
    assert [one.sku for one in learning.learner.pictures()] == [product.sku]


def test_a_wedge_teaches_what_the_camera_sees(learning: Store, shop: Path) -> None:
    product = read(shop / "catalogue.csv").entries[1].product
    scanner = Scanner(learning, lambda _: None, lambda _: None, live=False)
    code = Line(product.barcode or "")
    scanner.handle(code)  # no frame yet
    scanner.handle(Frame(noise(1), time.monotonic() - 5, 0))
    scanner.handle(code)  # too old
    assert learning.learner.pictures() == []
    scanner.handle(Frame(noise(1), time.monotonic(), 0))
    scanner.handle(Line("unknown"))
    scanner.handle(code)
    scanner.handle(code)  # the same frame teaches once
    (one,) = learning.learner.pictures()
    assert (one.sku, one.source, one.code) == (product.sku, "wedge", product.barcode)


@needs_reader
def test_a_barcode_in_a_photo_teaches_without_its_bars(learning: Store, shop: Path) -> None:
    entry = read(shop / "catalogue.csv").entries[1]
    photo, code = shop / "photos" / "P000005-1.jpg", entry.product.barcode
    assert code
    assert "learn" not in learning.search(label(photo, code), learn=False).elapsed_ms
    assert learning.learner.pictures() == []
    answer = learning.search(label(photo, code))
    assert answer.elapsed_ms["learn"] > 0
    (one,) = learning.learner.pictures()
    assert (one.sku, one.source, one.code) == (entry.product.sku, "barcode", code)
    kept = learning.learner.picture(one.number)
    assert kept
    assert barcode.read(kept, 320)[1] == ()


def test_a_settled_picture_is_not_checked_again(learning: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in (1, 2):
        learning.learn(noise(seed), SKU)
    learning.learner.accept([2])
    monkeypatch.setattr("edgesearch.store.learner._find_rival", lambda *_: "P000005")
    found = learning.learner.check()
    assert [(one.number, one.state, one.like) for one in found] == [(1, "aside", "P000005")]
    assert learning.learn(noise(3), SKU).state == "aside"


def test_references_of_a_lost_network_are_folded_away(learning: Store, device: Path) -> None:
    learning.learner.switch(True, vectors_only=True)
    learning.learn(noise(1), SKU)
    learned = learning._session.parts.learned
    assert learned
    learned.fold(["another"])
    assert learning.learner.pictures() == []
    assert whats(device)[-1] == "forget"
