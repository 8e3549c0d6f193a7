"""Counting photos into a list: each once, whatever happens; what is not sure waits for somebody."""

import contextlib
import csv
import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import edgesearch
from edgesearch import Answer, CountError, ImageError, Match
from edgesearch.answer import Decision
from edgesearch.catalog.product import Product
from edgesearch.commands.cli import main
from edgesearch.counting import count_journal
from edgesearch.counting.photo_count import Count, Progress
from edgesearch.images import photo_files

A, B = Product("A", "Cup", location="Aisle 1", stock=3), Product("B", "Jug, blue")
DECISIONS: dict[str, Decision] = {"?": "unknown", "!": "ambiguous"}


class Shelf:
    """Says of a photo what is written in it: a SKU, "?" unknown, "!" ambiguous; of anything else that it is damaged."""

    asked = 0

    def search(self, content: bytes, k: int, fast: bool | None, barcodes: bool | None) -> Answer:
        self.asked += 1
        first = content.decode()[0]
        if first not in "AB?!":
            raise ImageError(f"picture of {len(content)} bytes: damaged; take it again.")
        products = [B, A] if first == "B" else [A, B]
        matches = tuple(Match(product, 0.9, "", 0) for product in products)
        return Answer("photo", DECISIONS.get(first, "match"), matches, {})

    def products(self, skus: Collection[str] | None = None) -> dict[str, Product]:
        return {product.sku: product for product in (A, B) if skus is None or product.sku in skus}


class Bench:
    """A folder of photos, and a list of them."""

    def __init__(self, folder: Path):
        self.photos, self.output = folder / "photos", folder / "stock.csv"
        self.review, self.session = folder / "stock.review.csv", folder / "stock.session"
        self.photos.mkdir()
        self.shelf = Shelf()

    def take(self, **contents: str) -> None:
        for name, content in contents.items():
            (self.photos / f"{name}.jpg").write_text(content)

    def count(self, **options: Any) -> Count:
        return Count(self.shelf, self.output, **options)  # type: ignore[arg-type]

    def run(self, **options: Any) -> list[Progress]:
        told: list[Progress] = []
        with self.count(**options) as count:
            count.add([self.photos], told.append)
        self.notes = count.notes
        return told

    def rows(self) -> list[list[str]]:
        with self.output.open(encoding="utf-8", newline="") as file:
            return list(csv.reader(file))[1:]

    def counted(self) -> dict[str, int]:
        return {row[0]: int(row[2]) for row in self.rows()}

    def reviewed(self) -> list[dict[str, str]]:
        with self.review.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def waiting(self) -> dict[str, str]:
        return {row["photo"]: row["why"] for row in self.reviewed()}

    def fill(self, **skus: str) -> None:
        """Write into the review list what a person would."""
        table = self.reviewed()
        for row in table:
            row["sku"] = skus.get(row["photo"].removesuffix(".jpg"), row["sku"])
        with self.review.open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.DictWriter(file, table[0], delimiter=";")
            writer.writeheader()
            writer.writerows(table)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_list_says_what_differs_from_the_stock(bench: Bench) -> None:
    bench.take(one="A1", two="A2", three="B", four="?", five="!", six="broken")
    told = bench.run()
    assert bench.rows() == [
        ["A", "Cup", "2", "Aisle 1", "3", "-1", "one.jpg;two.jpg"],
        ["B", "Jug, blue", "1", "", "", "", "three.jpg"],
    ]
    assert bench.waiting() == {
        "five.jpg": "like several products",
        "four.jpg": "like no product here",
        "six.jpg": "damaged; take it again.",
    }
    assert [(one.done, one.total, one.new) for one in told] == [(place, 6, True) for place in range(1, 7)]
    assert [one.counted for one in told if one.seen.sku == "A"] == [1, 2]


def test_products_that_were_not_counted_are_listed_on_request(bench: Bench) -> None:
    bench.take(one="B")
    bench.run(everything=True)
    assert bench.rows()[0] == ["A", "Cup", "0", "Aisle 1", "3", "-3", ""]


def test_a_second_run_adds_what_is_new_and_asks_nothing_twice(bench: Bench) -> None:
    bench.take(one="A1", two="?")
    bench.run()
    before = [path.read_bytes() for path in (bench.output, bench.review, bench.session)]
    assert not any(one.new for one in bench.run())
    assert [path.read_bytes() for path in (bench.output, bench.review, bench.session)] == before
    bench.take(three="A3")
    assert [one.new for one in bench.run()] == [False, True, False]
    assert bench.counted() == {"A": 2}
    assert bench.shelf.asked == 3


def test_a_photo_is_counted_once_under_any_name(bench: Bench) -> None:
    bench.take(one="A1", two="A1")
    bench.run()
    assert bench.counted() == {"A": 1}
    assert "two.jpg is one.jpg" in bench.notes[0]
    (bench.photos / "one.jpg").rename(bench.photos / "moved.jpg")
    (bench.photos / "two.jpg").unlink()
    bench.run()
    assert bench.counted() == {"A": 1}
    assert bench.shelf.asked == 1


def test_a_file_that_was_still_being_copied_is_counted_when_it_is_whole(bench: Bench) -> None:
    bench.take(one="...")
    bench.run()
    assert list(bench.waiting()) == ["one.jpg"]
    bench.take(one="A and the rest")
    bench.run()
    assert (bench.counted(), bench.waiting()) == ({"A": 1}, {})


def test_undo_takes_back_one_more_each_time(bench: Bench) -> None:
    bench.take(one="A1", three="B", two="A2")
    bench.run()
    for left in ({"A": 1, "B": 1}, {"A": 1}, {}):
        with bench.count() as count:
            count.undo()
        assert bench.counted() == left
    with pytest.raises(CountError, match="nothing to undo"), bench.count() as count:
        count.undo()
    bench.run()
    assert bench.counted() == {}  # a photo that was taken back waits
    assert bench.waiting()["one.jpg"] == "taken back; it was counted as A"


def test_what_is_filled_in_is_taken_over(bench: Bench) -> None:
    bench.take(one="?", two="!", three="broken", four="?4")
    bench.run()
    bench.fill(one="A", two="nonsense", three="B", four="-")
    bench.run()
    assert bench.counted() == {"A": 1, "B": 1}
    assert bench.waiting() == {"two.jpg": "like several products"}
    assert "two.jpg: nonsense is no product here" in bench.notes[0]
    assert "nonsense" in bench.review.read_text(encoding="utf-8")  # to be corrected there
    bench.fill(two="B")
    bench.run()
    assert bench.counted() == {"A": 1, "B": 2}
    assert bench.waiting() == {}


def test_what_is_filled_in_for_a_photo_that_was_not_read_is_said_and_kept(bench: Bench) -> None:
    bench.take(one="A1")
    (bench.photos / "gone.jpg").symlink_to(bench.photos / "nowhere")
    (bench.photos / "lost.jpg").symlink_to(bench.photos / "nowhere")
    bench.run()
    assert bench.waiting()["gone.jpg"] == "cannot be read (No such file or directory); check the file."
    bench.fill(gone="B")
    bench.run()
    assert ["gone.jpg: B is written there" in note for note in bench.notes] == [True]
    assert [row["sku"] for row in bench.reviewed()] == ["B", ""]
    assert bench.counted() == {"A": 1}


def test_names_may_hold_any_character(bench: Bench) -> None:
    bench.take(**{"a\u2028b\x1c": "?", 'c;d, "e"\n': "?2"})
    bench.run()
    bench.fill(**{"a\u2028b\x1c": "A", 'c;d, "e"\n': "B"})
    bench.run()
    assert (bench.counted(), bench.waiting(), bench.notes) == ({"A": 1, "B": 1}, {}, [])


def test_what_is_filled_in_during_a_run_is_not_lost(bench: Bench) -> None:
    bench.take(one="?")
    bench.run()
    with bench.count() as count:
        bench.fill(one="A")
        count.add([bench.photos])
    assert bench.counted() == {"A": 1}


def test_a_count_is_corrected_by_name(bench: Bench) -> None:
    bench.take(one="A1", two="A2", three="?")
    bench.run()
    with bench.count() as count:
        count.correct("one.jpg", "B")
        count.correct("two.jpg", "-")
        count.correct("three.jpg", "A")
    assert bench.counted() == {"A": 1, "B": 1}
    with pytest.raises(CountError, match="C is no product"), bench.count() as count:
        count.correct("one.jpg", "C")
    with pytest.raises(CountError, match="no such photo"), bench.count() as count:
        count.correct("nine.jpg", "A")
    assert bench.counted() == {"A": 1, "B": 1}


def test_a_photo_is_meant_by_its_id_its_whole_name_or_its_last_part(bench: Bench) -> None:
    bench.take(one="?")
    for folder in ("x", "y"):
        (bench.photos / folder).mkdir()
        (bench.photos / folder / "one.jpg").write_text(f"?{folder}")
        (bench.photos / folder / f"{folder}.jpg").write_text(f"?{folder}{folder}")
    bench.run()
    with bench.count() as count:
        assert count.correct("one.jpg", "A").photo == "one.jpg"
        assert count.correct("x.jpg", "A").photo == "x/x.jpg"
        (bench.photos / "one.jpg").unlink()
        bench.take(one="?another")
        count.add([bench.photos])
        with pytest.raises(CountError, match=r"one.jpg: 2 photos are called so: one.jpg \(p") as error:
            count.correct("one.jpg", "B")
        identity = str(error.value).split("(")[-1].split(")")[0]
        assert count.correct(identity, "B").photo == "one.jpg"
    assert bench.counted() == {"A": 2, "B": 1}


def test_folders_files_and_what_is_no_photo(bench: Bench) -> None:
    bench.take(one="A1")
    (bench.photos / "DCIM").mkdir()
    (bench.photos / "DCIM" / "one.JPG").write_text("A2")
    (bench.photos / ".hidden.jpg").write_text("A3")
    (bench.photos / "phone.heic").write_text("...")
    (bench.photos / "notes.txt").write_text("A4")
    (bench.photos / "gone.jpg").symlink_to(bench.photos / "nowhere")
    (bench.photos / "not_a_photo.jpg").mkdir()
    bench.output = bench.photos / "stock.csv"
    bench.run()
    assert bench.counted() == {"A": 2}
    assert bench.notes == ["no photos by their names (1): notes.txt"]
    with bench.count() as count:
        count.add([bench.photos / "one.jpg"])
        assert count.counts == {"A": 2}
        with pytest.raises(CountError, match="No such file"):
            count.add([bench.photos / "none"])


def test_no_other_file_is_overwritten(bench: Bench) -> None:
    bench.output.write_text("sku,name,images\n")
    with pytest.raises(CountError, match="no count of it"):
        bench.count()
    assert bench.output.read_text() == "sku,name,images\n"
    bench.session.write_text("mine")
    with pytest.raises(CountError, match="is no session"):
        bench.count()
    assert bench.session.read_text() == "mine"
    bench.session.write_text('{"format": "mine"}')
    with pytest.raises(CountError, match="is no session"):
        bench.count()
    assert bench.session.read_text() == '{"format": "mine"}'
    bench.session.unlink()
    bench.output.unlink()
    bench.review.write_text("photo,sku,id\nmine,1,2\n")
    with pytest.raises(CountError, match="no count of it"):
        bench.count()
    assert not bench.session.exists()


def test_a_list_is_no_session(bench: Bench) -> None:
    bench.output = bench.session
    with pytest.raises(CountError, match=r"ends in \.csv"):
        bench.count()


def test_one_count_at_a_time(bench: Bench) -> None:
    with bench.count(), pytest.raises(CountError, match="another count"):
        bench.count()
    bench.count().__exit__(None)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ('{"format": 1}\n' + json.dumps(count_journal.Seen("p", "a", (), "kept").to_dict()), "status kept"),  # type: ignore[arg-type]
        ('{"format": 2}', "format 2"),
        ('{"format": 1}\n{}', "line 2"),
        ('{"format": 1}\nnull\n{}', "line 2"),
    ],
)
def test_a_damaged_session_is_a_sentence(bench: Bench, line: str, found: str) -> None:
    bench.session.write_text(f"{line}\n")
    with pytest.raises(CountError, match=found):
        bench.count()


@pytest.mark.parametrize("text", ["nothing\n", "sku\nA\n", "\udcff", f"photo,sku,id\n{'x' * 200_000}\n"])
def test_a_damaged_review_is_a_sentence_and_kept(bench: Bench, text: str) -> None:
    bench.take(one="A1")
    bench.run()
    bench.review.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(CountError, match="review"):
        bench.run()
    assert bench.review.read_bytes() == text.encode(errors="surrogateescape")
    bench.review.unlink()
    bench.run()


def test_a_session_cut_off_anywhere_goes_on(bench: Bench) -> None:
    bench.take(one="A1", two="B", three="?")
    bench.run()
    whole, lists = bench.session.read_bytes(), [bench.output.read_bytes(), bench.review.read_bytes()]
    for end in (*range(0, len(whole), 23), *range(12, 17), *range(len(whole) - 3, len(whole))):
        bench.session.write_bytes(whole[:end])
        bench.run()
        assert [bench.output.read_bytes(), bench.review.read_bytes()] == lists
        assert sorted(bench.session.read_bytes().split(b"\n")) == sorted(whole.split(b"\n"))


@contextlib.contextmanager
def full_after(writes: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A disk that is full once a session was written to so often, and half of a line fits."""
    write, left = os.write, iter(range(writes))

    def half(descriptor: int, data: Any) -> int:
        if next(left, None) is None:
            write(descriptor, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data)

    with monkeypatch.context() as patch:
        patch.setattr(count_journal.os, "write", half)
        yield


@pytest.mark.parametrize("writes", range(4))
def test_a_full_disk_loses_the_photo_under_way_alone(
    bench: Bench, writes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.take(one="A1", two="B", three="A3")
    with full_after(writes, monkeypatch), pytest.raises(CountError, match="No space left"):
        bench.run()
    assert writes == 0 or sum(bench.counted().values()) == writes - 1
    bench.run()
    assert bench.counted() == {"A": 2, "B": 1}
    assert bench.session.read_bytes().count(b"\n") == 4
    assert bench.shelf.asked == 4 - (writes == 0)


KILLED = """
import os, sys, edgesearch
from pathlib import Path
from edgesearch.counting import Count
calls, last, sync = [], int(sys.argv[4]), os.fsync
def fsync(descriptor):
    calls.append(0)
    if len(calls) == last:
        os.kill(os.getpid(), 9)
    sync(descriptor)
os.fsync = fsync
with edgesearch.open(sys.argv[1]) as store, Count(store, Path(sys.argv[3])) as count:
    count.add([Path(sys.argv[2])])
"""


@pytest.mark.skipif(os.name == "nt", reason="there is no such signal")
def test_killed_at_each_step_it_ends_as_if_it_was_not(tiny_edge: Path, shop: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for path in sorted((shop / "photos").glob("*.jpg"))[:3]:
        (folder / path.name).write_bytes(path.read_bytes())
    with edgesearch.open(tiny_edge) as store, Count(store, tmp_path / "expected.csv") as count:
        count.add([folder])
    expected = [(tmp_path / f"expected{end}").read_bytes() for end in (".csv", ".review.csv")]
    output = tmp_path / "stock.csv"
    killed = []
    for step in (1, 1, 1, 1, 1, 2, 3, 4, 5):  # once it began, at each photo, and at each list beside and in place
        arguments = [sys.executable, "-c", KILLED, str(tiny_edge), str(folder), str(output), str(step)]
        killed.append(subprocess.run(arguments, check=False, stderr=subprocess.DEVNULL).returncode)
        assert not output.exists() or output.read_bytes() == expected[0]
    assert killed == [-signal.SIGKILL] * 8 + [0]
    with edgesearch.open(tiny_edge) as store, Count(store, output) as count:
        count.add([folder])
    assert [(tmp_path / f"stock{end}").read_bytes() for end in (".csv", ".review.csv")] == expected
    ids = [json.loads(line)["id"] for line in output.with_suffix(".session").read_text().splitlines()[1:]]
    assert len(ids) == len(set(ids)) == 3


def test_the_commands(shop: Path, shop_edge: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, output = tmp_path / "photos", tmp_path / "stock.csv"
    folder.mkdir()
    for name in ("P000001", "P000003"):
        (folder / f"{name}.jpg").write_bytes((shop / "pictures" / f"{name}.jpg").read_bytes())
    Image.fromarray(np.full((200, 200, 3), 90, np.uint8)).save(folder / "grey.png")
    (folder / "bad.jpg").write_bytes(b"no")
    command = ["count", str(shop_edge), str(folder), "-o", str(output)]
    assert main([*command, "--no-barcodes"]) == 0
    out, err = capsys.readouterr()
    assert "1/4  P000001.jpg: P000001  Alderabo Mug Orchard 350 ml  (1)" in out
    assert "bad.jpg: set aside, no picture" in out
    assert "2 photos counted, of 2 products; 2 wait in" in err
    assert main([*command, "--json"]) == 0
    out, err = capsys.readouterr()
    assert (out, "goes on; 2 photos are counted" in err) == ("", True)
    assert main(["count", str(shop_edge), "-o", str(output), "--undo"]) == 0
    assert "P000003.jpg: taken back" in capsys.readouterr().err
    assert main(["count", str(shop_edge), "-o", str(output), "--correct", "P000003.jpg=P000003", "--json"]) == 0
    assert "P000003.jpg: counted as P000003" in capsys.readouterr().err
    assert main(["count", str(shop_edge), "-o", str(output), "--correct", "P000003.jpg=x"]) == 1
    assert "x is no product here" in capsys.readouterr().err
    assert [row.split(",")[2] for row in output.read_text().splitlines()[1:]] == ["1", "1"]


def test_photos_are_found_by_name_and_through_links(tmp_path: Path) -> None:
    tmp_path = tmp_path / "photos"
    tmp_path.mkdir()
    for name in ("b.jpg", "a/c.png", "a/.x.jpg", "z.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "elsewhere").symlink_to(tmp_path.parent / "card")
    (tmp_path.parent / "card").mkdir()
    (tmp_path.parent / "card" / "d.jpg").write_text("")
    found, others = photo_files.find([tmp_path])
    assert [one.name for one in found] == ["a/c.png", "b.jpg", "elsewhere/d.jpg"]
    assert others == [tmp_path / "z.txt"]
