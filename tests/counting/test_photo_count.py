"""Counting photos into a list: each photo counts once, and unsure ones go to review."""

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


class FakeStore:
    """Answers a photo by the text in it: a SKU, "?" unknown, "!" ambiguous; anything else is a damaged photo."""

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


class CountFolder:
    """A folder of photos, and the count of it."""

    def __init__(self, folder: Path):
        self.photos, self.output = folder / "photos", folder / "stock.csv"
        self.review, self.session = folder / "stock.review.csv", folder / "stock.session"
        self.photos.mkdir()
        self.store = FakeStore()

    def take(self, **contents: str) -> None:
        for name, content in contents.items():
            (self.photos / f"{name}.jpg").write_text(content)

    def count(self, **options: Any) -> Count:
        return Count(self.store, self.output, **options)  # type: ignore[arg-type]

    def run(self, **options: Any) -> list[Progress]:
        reported: list[Progress] = []
        with self.count(**options) as count:
            count.add_photos([self.photos], reported.append)
        self.notes = count.notes
        return reported

    def rows(self) -> list[list[str]]:
        with self.output.open(encoding="utf-8", newline="") as file:
            return list(csv.reader(file))[1:]

    def counted(self) -> dict[str, int]:
        return {row[0]: int(row[2]) for row in self.rows()}

    def reviewed(self) -> list[dict[str, str]]:
        with self.review.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def to_review(self) -> dict[str, str]:
        return {row["photo"]: row["why"] for row in self.reviewed()}

    def fill(self, **skus: str) -> None:
        """Fill SKUs into the review list, as a person would."""
        table = self.reviewed()
        for row in table:
            row["sku"] = skus.get(row["photo"].removesuffix(".jpg"), row["sku"])
        with self.review.open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.DictWriter(file, table[0], delimiter=";")
            writer.writeheader()
            writer.writerows(table)


@pytest.fixture
def counting(tmp_path: Path) -> CountFolder:
    return CountFolder(tmp_path)


def test_the_list_shows_the_difference_from_the_stock(counting: CountFolder) -> None:
    counting.take(one="A1", two="A2", three="B", four="?", five="!", six="broken")
    reported = counting.run()
    assert counting.rows() == [
        ["A", "Cup", "2", "Aisle 1", "3", "-1", "one.jpg;two.jpg"],
        ["B", "Jug, blue", "1", "", "", "", "three.jpg"],
    ]
    assert counting.to_review() == {
        "five.jpg": "like several products",
        "four.jpg": "like no product here",
        "six.jpg": "damaged; take it again.",
    }
    assert [(one.done, one.total, one.new) for one in reported] == [(number, 6, True) for number in range(1, 7)]
    assert [one.counted for one in reported if one.entry.sku == "A"] == [1, 2]


def test_uncounted_products_are_listed_on_request(counting: CountFolder) -> None:
    counting.take(one="B")
    counting.run(everything=True)
    assert counting.rows()[0] == ["A", "Cup", "0", "Aisle 1", "3", "-3", ""]


def test_a_second_run_counts_only_new_photos(counting: CountFolder) -> None:
    counting.take(one="A1", two="?")
    counting.run()
    before = [path.read_bytes() for path in (counting.output, counting.review, counting.session)]
    assert not any(one.new for one in counting.run())
    assert [path.read_bytes() for path in (counting.output, counting.review, counting.session)] == before
    counting.take(three="A3")
    assert [one.new for one in counting.run()] == [False, True, False]
    assert counting.counted() == {"A": 2}
    assert counting.store.asked == 3


def test_a_photo_is_counted_once_under_any_name(counting: CountFolder) -> None:
    counting.take(one="A1", two="A1")
    counting.run()
    assert counting.counted() == {"A": 1}
    assert "two.jpg is one.jpg" in counting.notes[0]
    (counting.photos / "one.jpg").rename(counting.photos / "moved.jpg")
    (counting.photos / "two.jpg").unlink()
    counting.run()
    assert counting.counted() == {"A": 1}
    assert counting.store.asked == 1


def test_an_incomplete_file_is_counted_once_it_is_complete(counting: CountFolder) -> None:
    counting.take(one="...")
    counting.run()
    assert list(counting.to_review()) == ["one.jpg"]
    counting.take(one="A and the rest")
    counting.run()
    assert (counting.counted(), counting.to_review()) == ({"A": 1}, {})


def test_each_undo_takes_back_one_more_photo(counting: CountFolder) -> None:
    counting.take(one="A1", three="B", two="A2")
    counting.run()
    for left in ({"A": 1, "B": 1}, {"A": 1}, {}):
        with counting.count() as count:
            count.undo()
        assert counting.counted() == left
    with pytest.raises(CountError, match="nothing to undo"), counting.count() as count:
        count.undo()
    counting.run()
    assert counting.counted() == {}  # a photo that was taken back goes to review
    assert counting.to_review()["one.jpg"] == "taken back; it was counted as A"


def test_skus_filled_into_the_review_list_are_applied(counting: CountFolder) -> None:
    counting.take(one="?", two="!", three="broken", four="?4")
    counting.run()
    counting.fill(one="A", two="nonsense", three="B", four="-")
    counting.run()
    assert counting.counted() == {"A": 1, "B": 1}
    assert counting.to_review() == {"two.jpg": "like several products"}
    assert "two.jpg: nonsense is no product here" in counting.notes[0]
    assert "nonsense" in counting.review.read_text(encoding="utf-8")  # to be corrected there
    counting.fill(two="B")
    counting.run()
    assert counting.counted() == {"A": 1, "B": 2}
    assert counting.to_review() == {}


def test_a_sku_filled_in_for_an_unreadable_photo_is_reported_and_kept(counting: CountFolder) -> None:
    counting.take(one="A1")
    (counting.photos / "gone.jpg").symlink_to(counting.photos / "nowhere")
    (counting.photos / "lost.jpg").symlink_to(counting.photos / "nowhere")
    counting.run()
    assert counting.to_review()["gone.jpg"] == "cannot be read (No such file or directory); check the file."
    counting.fill(gone="B")
    counting.run()
    assert ["gone.jpg: B is written there" in note for note in counting.notes] == [True]
    assert [row["sku"] for row in counting.reviewed()] == ["B", ""]
    assert counting.counted() == {"A": 1}


def test_photo_names_may_contain_any_character(counting: CountFolder) -> None:
    counting.take(**{"a\u2028b\x1c": "?", 'c;d, "e"\n': "?2"})
    counting.run()
    counting.fill(**{"a\u2028b\x1c": "A", 'c;d, "e"\n': "B"})
    counting.run()
    assert (counting.counted(), counting.to_review(), counting.notes) == ({"A": 1, "B": 1}, {}, [])


def test_a_sku_filled_in_during_a_run_is_not_lost(counting: CountFolder) -> None:
    counting.take(one="?")
    counting.run()
    with counting.count() as count:
        counting.fill(one="A")
        count.add_photos([counting.photos])
    assert counting.counted() == {"A": 1}


def test_photos_are_corrected_by_name(counting: CountFolder) -> None:
    counting.take(one="A1", two="A2", three="?")
    counting.run()
    with counting.count() as count:
        count.correct("one.jpg", "B")
        count.correct("two.jpg", "-")
        count.correct("three.jpg", "A")
    assert counting.counted() == {"A": 1, "B": 1}
    with pytest.raises(CountError, match="C is no product"), counting.count() as count:
        count.correct("one.jpg", "C")
    with pytest.raises(CountError, match="no such photo"), counting.count() as count:
        count.correct("nine.jpg", "A")
    assert counting.counted() == {"A": 1, "B": 1}


def test_a_photo_is_found_by_id_full_name_or_last_part(counting: CountFolder) -> None:
    counting.take(one="?")
    for folder in ("x", "y"):
        (counting.photos / folder).mkdir()
        (counting.photos / folder / "one.jpg").write_text(f"?{folder}")
        (counting.photos / folder / f"{folder}.jpg").write_text(f"?{folder}{folder}")
    counting.run()
    with counting.count() as count:
        assert count.correct("one.jpg", "A").photo == "one.jpg"
        assert count.correct("x.jpg", "A").photo == "x/x.jpg"
        (counting.photos / "one.jpg").unlink()
        counting.take(one="?another")
        count.add_photos([counting.photos])
        with pytest.raises(CountError, match=r"one.jpg: 2 photos have this name: one.jpg \(p") as error:
            count.correct("one.jpg", "B")
        entry_id = str(error.value).split("(")[-1].split(")")[0]
        assert count.correct(entry_id, "B").photo == "one.jpg"
    assert counting.counted() == {"A": 2, "B": 1}


def test_folders_files_and_other_files_are_told_apart(counting: CountFolder) -> None:
    counting.take(one="A1")
    (counting.photos / "DCIM").mkdir()
    (counting.photos / "DCIM" / "one.JPG").write_text("A2")
    (counting.photos / ".hidden.jpg").write_text("A3")
    (counting.photos / "phone.heic").write_text("...")
    (counting.photos / "notes.txt").write_text("A4")
    (counting.photos / "gone.jpg").symlink_to(counting.photos / "nowhere")
    (counting.photos / "not_a_photo.jpg").mkdir()
    counting.output = counting.photos / "stock.csv"
    counting.run()
    assert counting.counted() == {"A": 2}
    assert counting.notes == ["no photos by their names (1): notes.txt"]
    with counting.count() as count:
        count.add_photos([counting.photos / "one.jpg"])
        assert count.counts == {"A": 2}
        with pytest.raises(CountError, match="No such file"):
            count.add_photos([counting.photos / "none"])


def test_foreign_files_are_not_overwritten(counting: CountFolder) -> None:
    counting.output.write_text("sku,name,images\n")
    with pytest.raises(CountError, match=r"its count .* does not"):
        counting.count()
    assert counting.output.read_text() == "sku,name,images\n"
    counting.session.write_text("mine")
    with pytest.raises(CountError, match="is not the session"):
        counting.count()
    assert counting.session.read_text() == "mine"
    counting.session.write_text('{"format": "mine"}')
    with pytest.raises(CountError, match="is not the session"):
        counting.count()
    assert counting.session.read_text() == '{"format": "mine"}'
    counting.session.unlink()
    counting.output.unlink()
    counting.review.write_text("photo,sku,id\nmine,1,2\n")
    with pytest.raises(CountError, match=r"its count .* does not"):
        counting.count()
    assert not counting.session.exists()


def test_the_output_must_be_a_csv_file(counting: CountFolder) -> None:
    counting.output = counting.session
    with pytest.raises(CountError, match=r"ends in \.csv"):
        counting.count()


def test_one_process_counts_at_a_time(counting: CountFolder) -> None:
    with counting.count(), pytest.raises(CountError, match="another count"):
        counting.count()
    counting.count().__exit__(None)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ('{"format": 1}\n' + json.dumps(count_journal.CountEntry("p", "a", (), "kept").to_dict()), "status kept"),  # type: ignore[arg-type]
        ('{"format": 2}', "format 2"),
        ('{"format": 1}\n{}', "line 2"),
        ('{"format": 1}\nnull\n{}', "line 2"),
    ],
)
def test_a_damaged_session_is_reported(counting: CountFolder, line: str, found: str) -> None:
    counting.session.write_text(f"{line}\n")
    with pytest.raises(CountError, match=found):
        counting.count()


@pytest.mark.parametrize("text", ["nothing\n", "sku\nA\n", "\udcff", f"photo,sku,id\n{'x' * 200_000}\n"])
def test_a_damaged_review_list_is_reported_and_kept(counting: CountFolder, text: str) -> None:
    counting.take(one="A1")
    counting.run()
    counting.review.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(CountError, match="review"):
        counting.run()
    assert counting.review.read_bytes() == text.encode(errors="surrogateescape")
    counting.review.unlink()
    counting.run()


def test_a_truncated_session_continues(counting: CountFolder) -> None:
    counting.take(one="A1", two="B", three="?")
    counting.run()
    whole, lists = counting.session.read_bytes(), [counting.output.read_bytes(), counting.review.read_bytes()]
    for end in (*range(0, len(whole), 23), *range(12, 17), *range(len(whole) - 3, len(whole))):
        counting.session.write_bytes(whole[:end])
        counting.run()
        assert [counting.output.read_bytes(), counting.review.read_bytes()] == lists
        assert sorted(counting.session.read_bytes().split(b"\n")) == sorted(whole.split(b"\n"))


@contextlib.contextmanager
def full_after(writes: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Simulate a disk that is full after a number of writes to the session; the last line is written by half."""
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
def test_a_full_disk_loses_only_the_photo_being_counted(
    counting: CountFolder, writes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting.take(one="A1", two="B", three="A3")
    with full_after(writes, monkeypatch), pytest.raises(CountError, match="No space left"):
        counting.run()
    assert writes == 0 or sum(counting.counted().values()) == writes - 1
    counting.run()
    assert counting.counted() == {"A": 2, "B": 1}
    assert counting.session.read_bytes().count(b"\n") == 4
    assert counting.store.asked == 4 - (writes == 0)


KILLED = """
import os, sys, edgesearch
from pathlib import Path
from edgesearch.counting.photo_count import Count
calls, last, sync = [], int(sys.argv[4]), os.fsync
def fsync(descriptor):
    calls.append(0)
    if len(calls) == last:
        os.kill(os.getpid(), 9)
    sync(descriptor)
os.fsync = fsync
with edgesearch.open(sys.argv[1]) as store, Count(store, Path(sys.argv[3])) as count:
    count.add_photos([Path(sys.argv[2])])
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_count_killed_at_any_step_ends_with_the_same_lists(tiny_edge: Path, shop: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for path in sorted((shop / "photos").glob("*.jpg"))[:3]:
        (folder / path.name).write_bytes(path.read_bytes())
    with edgesearch.open(tiny_edge) as store, Count(store, tmp_path / "expected.csv") as count:
        count.add_photos([folder])
    expected = [(tmp_path / f"expected{end}").read_bytes() for end in (".csv", ".review.csv")]
    output = tmp_path / "stock.csv"
    killed = []
    for step in (1, 1, 1, 1, 1, 2, 3, 4, 5):  # after the start, at each photo, and at each list written and renamed
        arguments = [sys.executable, "-c", KILLED, str(tiny_edge), str(folder), str(output), str(step)]
        killed.append(subprocess.run(arguments, check=False, stderr=subprocess.DEVNULL).returncode)
        assert not output.exists() or output.read_bytes() == expected[0]
    assert killed == [-signal.SIGKILL] * 8 + [0]
    with edgesearch.open(tiny_edge) as store, Count(store, output) as count:
        count.add_photos([folder])
    assert [(tmp_path / f"stock{end}").read_bytes() for end in (".csv", ".review.csv")] == expected
    ids = [json.loads(line)["id"] for line in output.with_suffix(".session").read_text().splitlines()[1:]]
    assert len(ids) == len(set(ids)) == 3


def test_the_count_command(shop: Path, shop_edge: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
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


def test_photos_are_found_in_folders_and_through_links(tmp_path: Path) -> None:
    tmp_path = tmp_path / "photos"
    tmp_path.mkdir()
    for name in ("b.jpg", "a/c.png", "a/.x.jpg", "z.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "elsewhere").symlink_to(tmp_path.parent / "card")
    (tmp_path.parent / "card").mkdir()
    (tmp_path.parent / "card" / "d.jpg").write_text("")
    found, others = photo_files.find_photos([tmp_path])
    assert [one.name for one in found] == ["a/c.png", "b.jpg", "elsewhere/d.jpg"]
    assert others == [tmp_path / "z.txt"]
