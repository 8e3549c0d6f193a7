"""Building again or after a stop: the cache saves the extraction, and the bytes stay the same."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

import edgesearch
from edgesearch import BundleError, CatalogError, ImageError, Stop, StoppedError
from edgesearch._util.files import try_lock
from edgesearch._util.progress import Stage, watched_by
from edgesearch.building.extraction import Extract, Extraction
from edgesearch.building.extraction_cache import FILE, LOCK, ExtractionCache
from edgesearch.building.thread_engine import AHEAD
from edgesearch.images import image
from edgesearch.local_features.descriptors import DEFAULT_FEATURES

from ..conftest import TINY_MODEL

pytestmark = pytest.mark.slow

Extracted = list[bytes]  # contents of pictures
UNSTORED = AHEAD + 1  # pictures of one worker that a stop can lose


@pytest.fixture(autouse=True)
def fixed_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")


@pytest.fixture
def extracted(monkeypatch: pytest.MonkeyPatch) -> Extracted:
    """Record the contents of pictures that features are extracted from."""
    contents: Extracted = []
    extract = Extraction.extract

    def record(self: Extraction, picture: bytes) -> Extract:
        contents.append(picture)
        return extract(self, picture)

    monkeypatch.setattr(Extraction, "extract", record)
    return contents


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    """Return a catalogue of thirty small pictures."""
    lines = ["sku,name,images"]
    for number in range(30):
        Image.new("RGB", (40, 30), (8 * number, 90, 200)).save(tmp_path / f"{number}.png")
        lines.append(f"S{number},Thing {number},{number}.png")
    (tmp_path / "c.csv").write_text("\n".join(lines))
    return tmp_path / "c.csv"


def build(catalogue: Path, folder: str, **options: object) -> bytes:
    """Build a bundle in a folder beside the catalogue, without local features unless asked; return its bytes."""
    output = catalogue.parent / folder / "x.edge"
    output.parent.mkdir(exist_ok=True)
    edgesearch.build(catalogue, output, TINY_MODEL, **{"local_features": 0, **options})  # type: ignore[arg-type]
    return output.read_bytes()


def test_the_number_of_workers_changes_no_byte(drawn: Path) -> None:
    one = build(drawn, "one", workers=1, local_features=DEFAULT_FEATURES)
    three = build(drawn, "three", workers=3, local_features=DEFAULT_FEATURES)
    assert one == three == build(drawn, "kept", workers=2, resume=True, local_features=DEFAULT_FEATURES)
    assert [path.name for path in (drawn.parent / "one").iterdir()] == ["x.edge"]
    assert (drawn.parent / "kept" / "x.edge.work").is_dir()


def test_only_new_pictures_are_extracted(drawn: Path, extracted: Extracted) -> None:
    first = build(drawn, "b", resume=True)
    assert len(extracted) == 30
    assert build(drawn, "b", resume=True) == first
    assert len(extracted) == 30
    Image.new("RGB", (40, 30), (1, 2, 3)).save(drawn.parent / "7.png")
    changed = build(drawn, "b", resume=True)
    assert extracted[30:] == [(drawn.parent / "7.png").read_bytes()]
    assert changed == build(drawn, "anew") != first


def test_a_moved_picture_is_not_extracted_again(drawn: Path, extracted: Extracted) -> None:
    build(drawn, "b", resume=True)
    (drawn.parent / "3.png").rename(drawn.parent / "three.png")
    drawn.write_text(drawn.read_text().replace(",3.png", ",three.png"))
    build(drawn, "b", resume=True)
    assert len(extracted) == 30


def test_other_options_of_extraction_discard_the_cache(drawn: Path, extracted: Extracted) -> None:
    build(drawn, "b", resume=True)
    build(drawn, "b", resume=True, local_features=32)
    assert len(extracted) == 60


def test_pictures_that_left_the_catalogue_leave_the_cache(drawn: Path, extracted: Extracted) -> None:
    whole = drawn.read_text()
    build(drawn, "b", resume=True)
    drawn.write_text("\n".join(whole.splitlines()[:11]))
    build(drawn, "b", resume=True)
    with sqlite3.connect(drawn.parent / "b" / "x.edge.work" / FILE) as connection:
        assert connection.execute("SELECT count(*) FROM extract").fetchone() == (10,)
    drawn.write_text(whole)
    build(drawn, "b", resume=True)
    assert len(extracted) == 30 + 20


def test_a_build_that_fails_at_a_bad_picture_caches_the_good_ones(drawn: Path, extracted: Extracted) -> None:
    good = (drawn.parent / "5.png").read_bytes()
    (drawn.parent / "5.png").write_bytes(good[:50])
    with pytest.raises(CatalogError, match="1 of its pictures"):
        build(drawn, "b", resume=True)
    (drawn.parent / "5.png").write_bytes(good)
    extracted.clear()
    build(drawn, "b", resume=True)
    assert extracted == [good]


KILLED = """
import sys, time
from pathlib import Path
import edgesearch
from edgesearch.building.extraction import Extraction
extract, seen = Extraction.extract, []
def slow(self, picture):
    seen.append(picture)
    if len(seen) > 12:
        Path(sys.argv[3]).touch()
        time.sleep(60)
    return extract(self, picture)
Extraction.extract = slow
edgesearch.build(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[4]), workers=1, local_features=0)
"""


@pytest.mark.skipif(os.name == "nt", reason="no such signals")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_build_goes_on_where_a_killed_one_was(drawn: Path, extracted: Extracted, how: signal.Signals) -> None:
    output, reached = drawn.parent / "b" / "x.edge", drawn.parent / "reached"
    output.parent.mkdir()
    command = [sys.executable, "-c", KILLED, drawn, output, reached, TINY_MODEL]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while not reached.exists() and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL if how == signal.SIGKILL else how)
    if how == signal.SIGINT:
        time.sleep(0.5)
        process.kill()  # its worker thread still sleeps
    process.wait()
    assert not output.exists()
    resumed = build(drawn, "b")
    assert 0 < len(extracted) < 25
    assert resumed == build(drawn, "whole")
    assert [path.name for path in output.parent.iterdir()] == ["x.edge"]


TERMINATED = """
import sys, time
from pathlib import Path
from edgesearch.building.extraction import Extraction
from edgesearch.commands.cli import main
extract, seen = Extraction.extract, []
def slow(self, picture):
    seen.append(picture)
    if len(seen) > 8:
        Path(sys.argv[1]).touch()
    time.sleep(0.1)
    return extract(self, picture)
Extraction.extract = slow
sys.exit(main(["build", *sys.argv[2:]]))
"""


@pytest.mark.skipif(os.name == "nt", reason="no such signals")
def test_a_terminated_build_says_how_to_go_on_and_leaves_no_other_files(
    drawn: Path, tmp_path: Path, extracted: Extracted
) -> None:
    reached, temporary = drawn.parent / "reached", tmp_path / "temporary"
    temporary.mkdir()
    output = drawn.parent / "b" / "x.edge"
    output.parent.mkdir()
    command = [sys.executable, "-c", TERMINATED, reached, drawn, "-o", output, "--model", TINY_MODEL, "--no-local"]
    environment = os.environ | {"TMPDIR": str(temporary)}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    until = time.monotonic() + 60
    while not reached.exists() and time.monotonic() < until:
        time.sleep(0.05)
    process.terminate()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    stopped, note = errors.splitlines()[-2:]
    assert stopped == "edgesearch: stopped; unfinished files are never used."
    left = re.fullmatch(
        r"edgesearch: .*x\.edge\.work: holds the (\d+) pictures .* \(0\.\d MB\); repeat .*--fresh.*", note
    )
    assert left
    assert list(temporary.iterdir()) == []
    assert sorted(path.name for path in output.parent.rglob("*")) == [FILE, LOCK, "x.edge.work"]
    build(drawn, "b")
    assert len(extracted) == 30 - int(left[1])


def test_a_stopped_build_can_be_resumed(drawn: Path, extracted: Extracted) -> None:
    def stop_late(done: int, total: int) -> None:
        if done >= 10:
            stop.set()

    with pytest.raises(StoppedError), Stop() as stop:
        build(drawn, "b", resume=True, workers=1, progress=stop_late)
    before = len(extracted)
    build(drawn, "b", resume=True)
    assert 10 <= before < 30
    assert len(extracted) <= 30 + UNSTORED


class Listener:
    """Collects the notes of a build."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def enter(self, stage: Stage) -> None: ...

    def leave(self, stage: Stage) -> None: ...

    def note(self, text: str) -> None:
        self.notes.append(text)


def stop_after(drawn: Path, pictures: int, **options: object) -> None:
    """Stop a build in folder "b" after so many pictures."""

    def stop_late(done: int, total: int) -> None:
        if done >= pictures:
            stop.set()

    with pytest.raises(StoppedError) as stopped, Stop() as stop:
        build(drawn, "b", workers=1, progress=stop_late, **options)
    assert any("repeat the command to go on" in note for note in stopped.value.__notes__)


def test_a_build_that_goes_on_says_from_where(drawn: Path, extracted: Extracted) -> None:
    stop_after(drawn, 20)
    finished, listener = len(extracted), Listener()
    with watched_by(listener):
        build(drawn, "b")
    assert any(re.search(r"x\.edge\.work: goes on with 2\d finished pictures", note) for note in listener.notes)
    assert finished <= len(extracted) <= 30 + UNSTORED


def test_a_fresh_build_uses_nothing_of_a_stopped_one(drawn: Path, extracted: Extracted) -> None:
    stop_after(drawn, 20)
    extracted.clear()
    build(drawn, "b", fresh=True)
    assert len(extracted) == 30
    assert [path.name for path in (drawn.parent / "b").iterdir()] == ["x.edge"]


def test_the_work_of_other_settings_is_not_mixed_in(drawn: Path, extracted: Extracted) -> None:
    stop_after(drawn, 20)
    extracted.clear()
    listener = Listener()
    with watched_by(listener):
        other = build(drawn, "b", seed=7)
    assert len(extracted) == 30
    assert any("other settings" in note and "starts anew" in note for note in listener.notes)
    assert other == build(drawn, "anew", seed=7)


def test_the_work_of_another_catalogue_is_not_mixed_in(drawn: Path, tmp_path: Path) -> None:
    stop_after(drawn, 20)
    lines = drawn.read_text().splitlines()
    drawn.write_text("\n".join([lines[0], *lines[:15:-1]]).replace("Thing", "Object"))
    assert build(drawn, "b") == build(drawn, "anew")


def test_a_build_that_reads_no_picture_leaves_nothing(drawn: Path) -> None:
    (drawn.parent / "b").mkdir()
    drawn.write_text("sku,name,images\nA,Thing,1.png\n")
    (drawn.parent / "1.png").write_bytes(b"no picture")
    with pytest.raises(CatalogError):
        build(drawn, "b")
    assert list((drawn.parent / "b").iterdir()) == []


def test_a_build_removes_only_what_builds_made(drawn: Path) -> None:
    work, killed = drawn.parent / "b" / "x.edge.work", drawn.parent / "b" / ".x.edge.abcd_123"
    work.mkdir(parents=True)
    killed.mkdir()
    (killed / "x.edge").write_bytes(b"half a bundle")
    (work / "notes.txt").write_text("mine")
    own = drawn.parent / "b" / ".x.edge.original" / "mine.txt"
    own.parent.mkdir()
    own.write_text("mine")
    build(drawn, "b")
    assert own.read_text() == "mine"
    assert [path.name for path in work.iterdir()] == ["notes.txt"]
    assert not killed.exists()


def test_work_that_was_to_be_kept_survives_later_builds(drawn: Path, extracted: Extracted) -> None:
    build(drawn, "b", resume=True)
    build(drawn, "b")
    build(drawn, "b")
    assert len(extracted) == 30


def test_two_builds_cannot_share_a_cache(drawn: Path) -> None:
    build(drawn, "b", resume=True)
    with open(drawn.parent / "b" / "x.edge.work" / LOCK, "wb") as file:
        assert try_lock(file.fileno())
        with pytest.raises(BundleError, match="another build uses it"):
            build(drawn, "b")
    assert build(drawn, "b") == (drawn.parent / "b" / "x.edge").read_bytes()


def test_a_damaged_cache_is_reported(drawn: Path) -> None:
    build(drawn, "b", resume=True)
    (drawn.parent / "b" / "x.edge.work" / FILE).write_bytes(b"no database at all" * 500)
    with pytest.raises(BundleError, match=r"extracts\.sqlite: is damaged .* --fresh"):
        build(drawn, "b", resume=True)


def test_a_damaged_extract_is_reported(drawn: Path) -> None:
    build(drawn, "b", resume=True)
    with sqlite3.connect(drawn.parent / "b" / "x.edge.work" / FILE) as connection:
        ((key, content),) = connection.execute("SELECT key, content FROM extract LIMIT 1").fetchall()
        connection.execute("UPDATE extract SET content = ? WHERE key = ?", [content[:-1] + b"\x55", key])
    with pytest.raises(BundleError, match="damaged; build again with --fresh"):
        build(drawn, "b", resume=True)


def test_damage_found_late_in_the_cache_is_reported(drawn: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(self: ExtractionCache, extracts: Sequence[tuple[bytes, bytes]]) -> None:
        raise sqlite3.DatabaseError("database disk image is malformed")

    monkeypatch.setattr(ExtractionCache, "add", damaged)
    with pytest.raises(BundleError, match=r"x\.edge\.work: .* damaged .* --fresh"):
        build(drawn, "b", resume=True)


def test_photos_of_products_without_a_picture_are_not_used(drawn: Path) -> None:
    (drawn.parent / "3.png").write_text("no picture")
    (drawn.parent / "q.csv").write_text("image,sku\n1.png,S1\n2.png,S3\n")
    built = edgesearch.build(drawn, drawn.parent / "x.edge", skip_bad=True, queries=drawn.parent / "q.csv")
    assert built.without_picture == ("S3",)
    assert any("1 of its photos are of products without a picture" in note for note in built.notes)


def test_a_full_disk_keeps_the_old_bundle(drawn: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = build(drawn, "b", resume=True)

    def full(self: ExtractionCache, extracts: Sequence[tuple[bytes, bytes]]) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(ExtractionCache, "add", full)
    with pytest.raises(BundleError, match=r"x\.edge\.work"):
        build(drawn, "b", resume=True, seed=3)
    assert (drawn.parent / "b" / "x.edge").read_bytes() == before


def test_other_library_versions_discard_the_cache(
    drawn: Path, extracted: Extracted, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(drawn, "b", resume=True)
    monkeypatch.setattr(image, "decoder_version", lambda: "Pillow 1.0")
    build(drawn, "b", resume=True)
    assert len(extracted) == 60


def test_a_wrong_epoch_is_reported(drawn: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(BundleError, match="'yesterday'; expected seconds"):
        build(drawn, "b")


def test_extracts_round_trip(drawn: Path) -> None:
    extract = Extraction.of(TINY_MODEL, "int8", 32, 0).extract((drawn.parent / "4.png").read_bytes())
    read = Extract.from_bytes(extract.to_bytes())
    assert read.to_bytes() == extract.to_bytes()
    assert read.thumbnail == extract.thumbnail
    with pytest.raises(BundleError, match="damaged"):
        Extract.from_bytes(extract.to_bytes()[:-1])
    with pytest.raises(BundleError, match="damaged"):
        Extract.from_bytes(b"")


def test_too_many_pictures_for_one_bundle_are_refused(drawn: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgesearch.building.build.MAX_COUNTED", 29 * 256)
    with pytest.raises(CatalogError, match="30 pictures; one bundle holds at most 29"):
        build(drawn, "b", local_features=DEFAULT_FEATURES)


def test_missing_pictures_are_reported_before_any_is_extracted(drawn: Path, extracted: Extracted) -> None:
    (drawn.parent / "7.png").unlink()
    with pytest.raises(
        CatalogError, match=r"1 of its pictures cannot be used \(S7: .*7\.png: no such file\); repair them"
    ):
        build(drawn, "b")
    assert extracted == []


def test_a_file_that_is_not_a_bundle_is_not_overwritten(
    drawn: Path, extracted: Extracted, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = drawn.read_bytes()
    for path in (drawn, drawn.parent / "1.png", Path(os.devnull)):
        with pytest.raises(BundleError, match="exists and is not a bundle"):
            edgesearch.build(drawn, path, TINY_MODEL)
    assert drawn.read_bytes() == before
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(BundleError, match="nothing can be written into"):
        build(drawn, "b")
    assert extracted == []


def test_a_missing_calibration_photo_is_reported_first(drawn: Path, extracted: Extracted) -> None:
    (drawn.parent / "q.csv").write_text("image,sku\n1.png,S1\nnone.jpg,S2\n")
    with pytest.raises(ImageError, match=r"none\.jpg: no such file"):
        build(drawn, "b", queries=drawn.parent / "q.csv")
    assert extracted == []


def test_other_calibration_photos_calibrate_again(drawn: Path, extracted: Extracted) -> None:
    for name in ("1.png", "2.png"):
        (drawn.parent / "q.csv").write_text(f"image,sku\n{name},S1\n")
        build(drawn, "b", queries=drawn.parent / "q.csv", resume=True)
    assert len(extracted) == 30
    assert (drawn.parent / "b" / "x.edge").read_bytes() == build(drawn, "anew", queries=drawn.parent / "q.csv")
