"""Counting photos into a list: each photo counts once, and unsure ones go to review."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgesearch import CountError
from edgesearch.commands.cli import main
from edgesearch.images import photo_files

from .count_folder import CountFolder


def test_the_list_shows_the_difference_from_the_stock(counting: CountFolder) -> None:
    counting.take(one="A1", two="A2", three="B", four="?", five="!", six="broken")
    reported = counting.run()
    assert counting.rows() == [
        ["A", "Cup", "2", "Aisle 1", "3", "-1", "one.jpg;two.jpg"],
        ["B", "Jug, blue", "1", "", "", "", "three.jpg"],
    ]
    assert counting.to_review() == {
        "five.jpg": "which one?",
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
    assert counting.to_review() == {"two.jpg": "which one?"}
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
    assert (out, "continues; 2 photos were counted before" in err) == ("", True)
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


def test_undo_after_a_correction_restores_what_was_before_it(counting: CountFolder) -> None:
    counting.take(one="A1", two="A2", three="?")
    counting.run()
    for photo, sku in (("one.jpg", "B"), ("two.jpg", "-"), ("three.jpg", "B"), ("one.jpg", "B")):
        with counting.count() as count:
            count.correct(photo, sku)
    assert (counting.counted(), counting.to_review()) == ({"B": 2}, {})
    for left in ({"B": 1}, {"A": 1, "B": 1}, {"A": 2}, {"A": 1}, {}):
        with counting.count() as count:
            count.undo()
        assert counting.counted() == left
    with pytest.raises(CountError, match="nothing to undo"), counting.count() as count:
        count.undo()
    assert counting.to_review()["three.jpg"] == "like no product here"


def test_undo_in_the_run_that_reads_the_review_list(counting: CountFolder) -> None:
    counting.take(one="?")
    counting.run()
    counting.fill(one="A")
    with counting.count() as count:
        assert count.counts == {"A": 1}
        count.undo()
    assert (counting.counted(), list(counting.to_review())) == ({}, ["one.jpg"])
    counting.fill(one="A")
    counting.run()
    assert counting.counted() == {"A": 1}
