"""Check the example of an inventory window, on an offscreen display."""

import csv
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import edgesearch

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
pytest.importorskip(
    "PySide6.QtWidgets", reason="PySide6-Essentials, or a library that it needs, is absent", exc_type=ImportError
)

from inventory import style
from inventory.find_page import FindPage
from inventory.photo_pane import PhotoPane
from inventory.tally import Tally
from inventory.teach import NewProduct, TeachDialog
from inventory.window import Window
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent, QGuiApplication, QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget

from edgesearch import Answer, Match
from edgesearch.catalog.product import Product

pytestmark = pytest.mark.slow

PATIENCE_S = 60


@pytest.fixture(scope="module")
def application() -> Iterator[QApplication]:
    found = QApplication.instance() or QApplication([])
    assert isinstance(found, QApplication)
    style.apply_theme(found, style.LIGHT)
    yield found


@pytest.fixture
def window(application: QApplication, shop_edge: Path, tmp_path: Path) -> Iterator[Window]:
    edgesearch.install(shop_edge, tmp_path / "device")
    shown = Window(tmp_path / "device")
    shown.show()
    settle(shown)
    yield shown
    shown.close()


def until(true: Callable[[], object]) -> None:
    """Process events until a condition is true."""
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end
        QApplication.processEvents()
        time.sleep(0.002)


def settle(window: Window) -> None:
    """Process events until no work is running."""
    until(lambda: not window.background.busy and not window._typing.isActive())


def drop(pane: PhotoPane, *paths: Path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    action, button, key = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    pane.dropEvent(QDropEvent(QPointF(10, 10), action, data, button, key))


def known(window: Window, shop: Path) -> tuple[Path, str]:
    """Return a picture of the catalogue that is a match, and the name of its product."""
    store = window.store
    assert store is not None
    for photo in sorted((shop / "pictures").glob("*.jpg")):
        answer = store.search(photo, k=8)
        if answer.decision == "match":
            return photo, answer.matches[0].name
    raise AssertionError("no picture is a match")


def test_dropped_photo_is_found_and_shown(window: Window, shop: Path, tmp_path: Path) -> None:
    photo, name = known(window, shop)
    drop(window.find_page.pane, photo)
    settle(window)
    assert window.find_page.verdict.head.text() == f"This is {name}"
    assert window.find_page.results.rows[0].title == name
    assert all(row.image is not None and not row.image.isNull() for row in window.find_page.results.rows)
    assert name in window.find_page.results.data(window.find_page.results.index(0), Qt.ItemDataRole.AccessibleTextRole)
    seen = window.grab().toImage()
    assert seen.save(str(tmp_path / "window.png"))
    colours = {seen.pixel(x, y) for x in range(0, seen.width(), 7) for y in range(0, seen.height(), 7)}
    assert len(colours) > 50  # something is painted
    window.clear()
    assert not window.find_page.results.rows
    assert not window.find_page.verdict.isVisible()


def test_store_is_called_only_in_background_threads(
    window: Window, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: set[threading.Thread] = set()
    for name in ("search", "picture", "enrol", "undo", "skus"):
        real = getattr(edgesearch.Store, name)

        def record_thread(*given: Any, real: Callable[..., Any] = real, **named: Any) -> Any:
            threads.add(threading.current_thread())
            return real(*given, **named)

        monkeypatch.setattr(edgesearch.Store, name, record_thread)
    photo = shop / "photos" / "P000001-1.jpg"
    window.take([photo])
    settle(window)
    window.enrol(photo, NewProduct("NEW", {"name": "New"}))
    settle(window)
    window.undo()
    settle(window)
    assert threads
    assert threading.main_thread() not in threads


def test_words_are_searched_while_they_are_typed(window: Window) -> None:
    assert window.store is not None
    product = next(iter(window.store.products().values()))
    QTest.keyClicks(window.header.words, product.name)
    settle(window)
    assert product.name in [row.title for row in window.find_page.results.rows]
    window.header.words.selectAll()
    QTest.keyClicks(window.header.words, "qqxyzzy")
    settle(window)
    assert not window.find_page.results.rows
    assert "qqxyzzy" in window.find_page.empty.text()
    assert not window.banner.isVisible()
    QTest.keyClick(window, Qt.Key.Key_Escape)
    assert not window.header.words.text()


def test_newer_search_replaces_an_older_one(window: Window, shop: Path) -> None:
    photos = sorted((shop / "pictures").glob("*.jpg"))
    for photo in photos[:4]:
        window.take([photo])
    settle(window)
    assert window.answer is not None
    assert window.answer.photo == str(photos[3])


def test_product_is_taught_found_and_undone(window: Window, shop: Path) -> None:
    photo = shop / "photos" / "P000001-1.jpg"
    window.take([photo])
    settle(window)
    assert window.actions_["teach"].isEnabled()
    image = window.find_page.pane.image
    assert image is not None
    dialog = TeachDialog(window, image, window.answer, window.facets)
    assert not dialog.save.isEnabled()
    dialog.sku.setText("NEW-1")
    dialog.name.setText("Something new")
    dialog.fields["price"].setText("4.50")
    dialog.save.click()
    assert dialog.product.details["price"] == "4.50"
    window.enrol(photo, dialog.product)
    settle(window)
    assert "is found from now on" in window.banner.text.text()
    assert window.find_page.results.rows[0].title == "Something new"
    assert window.header.status.text() == "9 products"
    window.undo()
    settle(window)
    assert "Something new" not in [row.title for row in window.find_page.results.rows]


def test_problem_is_shown_in_one_sentence(window: Window, shop: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    window.take([tmp_path / "bad.jpg"])
    settle(window)
    assert "bad.jpg: no picture" in window.banner.text.text()
    window.enrol(shop / "photos" / "P000001-1.jpg", NewProduct("X", {"name": "X", "price": "much"}))
    settle(window)
    assert "price is 'much'" in window.banner.text.text()
    window.take([shop / "photos" / "P000001-1.jpg"])
    settle(window)
    assert not window.banner.isVisible()


def test_photos_are_counted_undone_and_exported(window: Window, shop: Path, tmp_path: Path) -> None:
    photo, name = known(window, shop)
    grey = QImage(200, 200, QImage.Format.Format_RGB32)
    grey.fill(Qt.GlobalColor.gray)
    grey.save(str(tmp_path / "grey.png"))
    QTest.keyClick(window, Qt.Key.Key_2, Qt.KeyboardModifier.ControlModifier)
    assert window.pages.currentIndex() == 1
    drop(window.count_page.pane, photo, photo, tmp_path / "grey.png")
    settle(window)
    assert [number for _, number, _ in window.tally.counts] == [2]
    (waiting,) = window.tally.waiting
    assert window.count_page.counted.rows[0].is_waiting
    window.assign(waiting, waiting.candidates[0])
    assert not window.tally.waiting
    window.undo()
    assert len(window.tally.waiting) == 1
    window.export_to(tmp_path / "stock.csv")
    with open(tmp_path / "stock.csv", encoding="utf-8-sig", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["name"], row["counted"]) == (name, "2")
    assert "1 photos still wait" in window.banner.text.text()
    for _ in range(3):
        window.undo()
    assert not window.tally.photos
    window.export_to(tmp_path / "no" / "stock.csv")
    assert "cannot be written" in window.banner.text.text()


def test_pasted_picture_is_found(window: Window, shop: Path) -> None:
    photo, name = known(window, shop)
    QGuiApplication.clipboard().setImage(QImage(str(photo)))
    window.paste()
    settle(window)
    assert window.find_page.results.rows[0].title == name


def test_file_is_searched_but_cannot_be_taught(application: QApplication, tiny_edge: Path, shop: Path) -> None:
    window = Window(tiny_edge)
    settle(window)
    window.take([shop / "photos" / "P000001-1.jpg"])
    settle(window)
    assert not window.actions_["teach"].isEnabled()
    assert "cannot be taught" in window.header.status.text()
    window.close()


def test_missing_store_is_reported(application: QApplication, tmp_path: Path) -> None:
    window = Window(tmp_path / "none.edge")
    settle(window)
    assert "none.edge: cannot be read" in window.banner.text.text()
    window.close()


def test_empty_tally_has_nothing_to_undo() -> None:
    assert Tally().undo() is None


def answer_of(decision: str, *probabilities: float, **other: Any) -> Answer:
    """Return an answer with a product for each probability."""
    matches = tuple(
        Match(Product(f"P{n}", f"Product {n}"), 0.5, "", None, probability=share)
        for n, share in enumerate(probabilities)
    )
    return Answer("photo.jpg", decision, matches, {"total": 1.0}, **other)  # type: ignore[arg-type]


@pytest.fixture
def page(application: QApplication) -> Iterator[FindPage]:
    parent = QWidget()
    yield FindPage(parent)
    parent.close()


def show(page: FindPage, answer: Answer) -> str:
    """Show the answer to a photo; return what the page says."""
    page.show_answer(answer, [QImage()] * len(answer.matches), by_photo=True, can_teach=True)
    return page.verdict.head.text()


def visible(page: FindPage) -> list[str]:
    buttons = (page.verdict.yes, page.verdict.no, page.verdict.button)
    return [button.text() for button in buttons if not button.isHidden()]


def test_likely_product_is_asked_about_and_taken(page: FindPage) -> None:
    assert show(page, answer_of("ambiguous", 0.7, 0.2, 0.1)) == "Is it Product 0?"
    assert visible(page) == ["Yes", "No"]
    page.verdict.yes.click()
    assert page.verdict.head.text() == "This is Product 0"
    assert visible(page) == []


def test_no_leads_to_the_others_and_then_to_words(page: FindPage) -> None:
    lost: list[bool] = []
    page.lost.connect(lambda: lost.append(True))
    for first in (answer_of("ambiguous", 0.7, 0.2), answer_of("match", 0.9, 0.05)):
        lost.clear()
        show(page, first)
        page.verdict.no.click()
        assert page.verdict.head.text() == "Is it one of these?"
        assert [row.title for row in page.results.rows] == ["Product 1"]
        page.verdict.no.click()
        assert page.verdict.head.text() == "Search in words" and lost == [True]
        assert visible(page) == ["Teach this product"] and not page.results.rows


def test_choice_offers_products_to_click(page: FindPage) -> None:
    assert show(page, answer_of("ambiguous", 0.4, 0.35, 0.2)) == "Is it one of these?"
    assert visible(page) == ["None of these"]
    page.pick(page.results.index(1))
    assert page.verdict.head.text() == "This is Product 1"


def test_unknown_product_comes_with_the_nearest_without_a_verdict_on_each(page: FindPage) -> None:
    assert show(page, answer_of("unknown", 0.1, 0.05)) == "I do not know this product"
    assert [row.title for row in page.results.rows] == ["Product 0", "Product 1"]
    assert {row.share for row in page.results.rows} == {None}
    assert page.heading.text() == "Nearest products"
    assert visible(page) == ["None of these", "Teach this product"]
    assert show(page, answer_of("unknown", flaw="empty")) == "I see no product"
    assert visible(page) == ["Teach this product"]


def test_match_stays_when_another_product_of_the_list_is_clicked(page: FindPage) -> None:
    assert show(page, answer_of("match", 0.95, 0.02)) == "This is Product 0"
    assert visible(page) == ["Not this one"]
    page.pick(page.results.index(1))
    assert page.verdict.head.text() == "This is Product 0"
