"""Builds that are stopped and go on, and builds that find most of their work done: the same bytes, whoever built."""

import os
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
from edgesearch.building.extraction import Extract, Extraction
from edgesearch.building.extraction_cache import FILE, LOCK, ExtractionCache
from edgesearch.images import image

from ..conftest import TINY_MODEL

Looks = list[bytes]


@pytest.fixture(autouse=True)
def clock_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    """The contents of pictures that are looked at."""
    seen: Looks = []
    extract = Extraction.extract

    def watched(self: Extraction, picture: bytes) -> Extract:
        seen.append(picture)
        return extract(self, picture)

    monkeypatch.setattr(Extraction, "extract", watched)
    return seen


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    """A catalogue of thirty small pictures."""
    lines = ["sku,name,images"]
    for number in range(30):
        Image.new("RGB", (40, 30), (8 * number, 90, 200)).save(tmp_path / f"{number}.png")
        lines.append(f"S{number},Thing {number},{number}.png")
    (tmp_path / "c.csv").write_text("\n".join(lines))
    return tmp_path / "c.csv"


def built(catalogue: Path, folder: str, **options: object) -> bytes:
    """The bytes of a bundle that is built in a folder beside the catalogue."""
    output = catalogue.parent / folder / "x.edge"
    output.parent.mkdir(exist_ok=True)
    edgesearch.build(catalogue, output, TINY_MODEL, **options)  # type: ignore[arg-type]
    return output.read_bytes()


def test_the_number_of_workers_changes_no_byte(drawn: Path) -> None:
    one = built(drawn, "one", workers=1)
    assert one == built(drawn, "three", workers=3) == built(drawn, "kept", workers=2, resume=True)
    assert [path.name for path in (drawn.parent / "one").iterdir()] == ["x.edge"]
    assert (drawn.parent / "kept" / "x.edge.work").is_dir()


def test_only_what_is_new_is_looked_at(drawn: Path, looks: Looks) -> None:
    first = built(drawn, "b", resume=True)
    assert len(looks) == 30
    assert built(drawn, "b", resume=True) == first
    assert len(looks) == 30
    Image.new("RGB", (40, 30), (1, 2, 3)).save(drawn.parent / "7.png")
    changed = built(drawn, "b", resume=True)
    assert looks[30:] == [(drawn.parent / "7.png").read_bytes()]
    assert changed == built(drawn, "anew") != first


def test_a_picture_that_moves_is_known(drawn: Path, looks: Looks) -> None:
    built(drawn, "b", resume=True)
    (drawn.parent / "3.png").rename(drawn.parent / "three.png")
    drawn.write_text(drawn.read_text().replace(",3.png", ",three.png"))
    built(drawn, "b", resume=True)
    assert len(looks) == 30


def test_another_extraction_looks_at_everything_again(drawn: Path, looks: Looks) -> None:
    built(drawn, "b", resume=True)
    built(drawn, "b", resume=True, local_features=32)
    assert len(looks) == 60


def test_what_left_the_catalogue_is_forgotten(drawn: Path, looks: Looks) -> None:
    whole = drawn.read_text()
    built(drawn, "b", resume=True)
    drawn.write_text("\n".join(whole.splitlines()[:11]))
    built(drawn, "b", resume=True)
    with sqlite3.connect(drawn.parent / "b" / "x.edge.work" / FILE) as connection:
        assert connection.execute("SELECT count(*) FROM extract").fetchone() == (10,)
    drawn.write_text(whole)
    built(drawn, "b", resume=True)
    assert len(looks) == 30 + 20


def test_a_build_of_bad_pictures_keeps_the_good_ones(drawn: Path, looks: Looks) -> None:
    good = (drawn.parent / "5.png").read_bytes()
    (drawn.parent / "5.png").write_bytes(good[:50])
    with pytest.raises(CatalogError, match="1 of its pictures"):
        built(drawn, "b", resume=True)
    (drawn.parent / "5.png").write_bytes(good)
    looks.clear()
    built(drawn, "b", resume=True)
    assert looks == [good]


KILLED = """
import sys, time
from pathlib import Path
import edgesearch
from edgesearch.extraction import Extraction
extract, seen = Extraction.extract, []
def slow(self, picture):
    seen.append(picture)
    if len(seen) > 12:
        Path(sys.argv[3]).touch()
        time.sleep(60)
    return extract(self, picture)
Extraction.extract = slow
edgesearch.build(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[4]), resume=True, workers=1)
"""


@pytest.mark.skipif(os.name == "nt", reason="no such signals")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_build_goes_on(drawn: Path, looks: Looks, how: signal.Signals) -> None:
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
        process.kill()  # its thread sleeps
    process.wait()
    assert not output.exists()
    resumed = built(drawn, "b", resume=True)
    assert 0 < len(looks) < 25
    assert resumed == built(drawn, "whole")


TERMINATED = """
import sys, time
from pathlib import Path
from edgesearch.cli import main
from edgesearch.extraction import Extraction
extract = Extraction.extract
def slow(self, picture):
    Path(sys.argv[1]).touch()
    time.sleep(0.3)
    return extract(self, picture)
Extraction.extract = slow
sys.exit(main(["build", *sys.argv[2:]]))
"""


@pytest.mark.skipif(os.name == "nt", reason="no such signals")
def test_a_build_that_is_terminated_leaves_nothing_temporary(drawn: Path, tmp_path: Path) -> None:
    reached, temporary = drawn.parent / "reached", tmp_path / "temporary"
    temporary.mkdir()
    command = [sys.executable, "-c", TERMINATED, reached, drawn, "-o", tmp_path / "x.edge", "--model", TINY_MODEL]
    environment = os.environ | {"TMPDIR": str(temporary)}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    until = time.monotonic() + 60
    while not reached.exists() and time.monotonic() < until:
        time.sleep(0.05)
    process.terminate()
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (1, "edgesearch: stopped; unfinished files are never used.\n")
    assert list(temporary.iterdir()) == []


def test_a_stopped_build_goes_on(drawn: Path, looks: Looks) -> None:
    def stop_late(done: int, total: int) -> None:
        if done >= 10:
            stop.set()

    with pytest.raises(StoppedError), Stop() as stop:
        built(drawn, "b", resume=True, workers=1, progress=stop_late)
    before = len(looks)
    built(drawn, "b", resume=True)
    assert 10 <= before < 30
    assert len(looks) <= 31


def test_two_builds_do_not_work_in_one_folder(drawn: Path) -> None:
    built(drawn, "b", resume=True)
    with open(drawn.parent / "b" / "x.edge.work" / LOCK, "wb") as file:
        assert try_lock(file.fileno())
        with pytest.raises(BundleError, match="another build works there"):
            built(drawn, "b", resume=True)
        assert built(drawn, "b") == (drawn.parent / "b" / "x.edge").read_bytes()


def test_a_damaged_work_is_told(drawn: Path) -> None:
    built(drawn, "b", resume=True)
    (drawn.parent / "b" / "x.edge.work" / FILE).write_bytes(b"no database at all" * 500)
    with pytest.raises(BundleError, match=r"extracts\.sqlite: is damaged .* remove"):
        built(drawn, "b", resume=True)


def test_a_damaged_extract_is_told(drawn: Path) -> None:
    built(drawn, "b", resume=True)
    with sqlite3.connect(drawn.parent / "b" / "x.edge.work" / FILE) as connection:
        ((key, content),) = connection.execute("SELECT key, content FROM extract LIMIT 1").fetchall()
        connection.execute("UPDATE extract SET content = ? WHERE key = ?", [content[:-1] + b"\x55", key])
    with pytest.raises(BundleError, match="damaged; remove"):
        built(drawn, "b", resume=True)


def test_a_work_that_is_found_damaged_late_is_told(drawn: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(self: ExtractionCache, extracts: Sequence[tuple[bytes, bytes]]) -> None:
        raise sqlite3.DatabaseError("database disk image is malformed")

    monkeypatch.setattr(ExtractionCache, "add", damaged)
    with pytest.raises(BundleError, match=r"x\.edge\.work: .* damaged .*; remove it"):
        built(drawn, "b", resume=True)


def test_photos_of_products_that_are_left_out_are_not_asked(drawn: Path) -> None:
    (drawn.parent / "3.png").write_text("no picture")
    (drawn.parent / "q.csv").write_text("image,sku\n1.png,S1\n2.png,S3\n")
    made = edgesearch.build(drawn, drawn.parent / "x.edge", skip_bad=True, queries=drawn.parent / "q.csv")
    assert made.left_out == ("S3",)
    assert any("1 of its photos are of products that were left out" in note for note in made.notes)


def test_a_full_disk_keeps_what_was_there(drawn: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = built(drawn, "b", resume=True)

    def full(self: ExtractionCache, extracts: Sequence[tuple[bytes, bytes]]) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(ExtractionCache, "add", full)
    with pytest.raises(BundleError, match=r"x\.edge\.work"):
        built(drawn, "b", resume=True, seed=3)
    assert (drawn.parent / "b" / "x.edge").read_bytes() == before


def test_another_version_of_a_library_looks_again(drawn: Path, looks: Looks, monkeypatch: pytest.MonkeyPatch) -> None:
    built(drawn, "b", resume=True)
    monkeypatch.setattr(image, "decoder_version", lambda: "Pillow 1.0")
    built(drawn, "b", resume=True)
    assert len(looks) == 60


def test_a_wrong_epoch_is_told(drawn: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(BundleError, match="'yesterday'; expected seconds"):
        built(drawn, "b")


def test_an_extract_is_read_as_it_was_written(drawn: Path) -> None:
    taken = Extraction.of(TINY_MODEL, "int8", 32, 0).extract((drawn.parent / "4.png").read_bytes())
    read = Extract.from_bytes(taken.to_bytes())
    assert read.to_bytes() == taken.to_bytes()
    assert read.thumbnail == taken.thumbnail
    with pytest.raises(BundleError, match="damaged"):
        Extract.from_bytes(taken.to_bytes()[:-1])
    with pytest.raises(BundleError, match="damaged"):
        Extract.from_bytes(b"")


def test_more_pictures_than_a_bundle_counts_are_refused(drawn: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["edgesearch.building.build"], "MOST_WORDS", 29 * 256)
    with pytest.raises(CatalogError, match="30 pictures; one bundle holds at most 29"):
        built(drawn, "b")


def test_missing_pictures_are_said_before_any_is_looked_at(drawn: Path, looks: Looks) -> None:
    (drawn.parent / "7.png").unlink()
    with pytest.raises(
        CatalogError, match=r"1 of its pictures cannot be used \(S7: .*7\.png: no such file\); mend them"
    ):
        built(drawn, "b")
    assert looks == []


def test_a_file_that_is_no_bundle_is_not_overwritten(
    drawn: Path, looks: Looks, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = drawn.read_bytes()
    for path in (drawn, drawn.parent / "1.png", Path(os.devnull)):
        with pytest.raises(BundleError, match="is there and is no bundle"):
            edgesearch.build(drawn, path, TINY_MODEL)
    assert drawn.read_bytes() == before
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(BundleError, match="nothing can be written into"):
        built(drawn, "b")
    assert looks == []


def test_a_photo_to_calibrate_with_that_is_missing_is_said_before_all_else(drawn: Path, looks: Looks) -> None:
    (drawn.parent / "q.csv").write_text("image,sku\n1.png,S1\nnone.jpg,S2\n")
    with pytest.raises(ImageError, match=r"none\.jpg: no such file"):
        built(drawn, "b", queries=drawn.parent / "q.csv")
    assert looks == []


def test_other_photos_to_calibrate_with_are_asked(drawn: Path, looks: Looks) -> None:
    for name in ("1.png", "2.png"):
        (drawn.parent / "q.csv").write_text(f"image,sku\n{name},S1\n")
        built(drawn, "b", queries=drawn.parent / "q.csv", resume=True)
    assert len(looks) == 30
    assert (drawn.parent / "b" / "x.edge").read_bytes() == built(drawn, "anew", queries=drawn.parent / "q.csv")
