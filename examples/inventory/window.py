"""The window with two pages, Find and Count. All calls of the store run in the background."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import QModelIndex, QTimer, Signal
from PySide6.QtGui import QCloseEvent, QGuiApplication, QImage, QKeySequence
from PySide6.QtWidgets import (
    QDialog,
    QFileDialog,
    QMainWindow,
    QMenu,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

import edgesearch
from edgesearch import Answer, Match, Store

from .background import Background
from .cards import make_count_rows
from .find_page import FindPage
from .menus import Entry, build_menus, show_keys
from .messages import Banner, describe_answer
from .pages import CountPage, Header
from .photo_pane import find_photos
from .pixels import Photo, encode_png, read_image
from .tally import CountedPhoto, Tally
from .teach import NewProduct, TeachDialog

TYPING_MS = 120  # after which what was typed is searched
SHOWN = 8  # matches of an answer
PHOTOS = "Photos (*.jpg *.jpeg *.png *.webp *.gif *.bmp *.tif *.tiff)"
SearchResult = tuple[Answer, list[QImage], QImage | None]


class Window(QMainWindow):
    """An inventory of one store, which opens after the window is visible; `shown` is emitted with every answer."""

    shown = Signal()

    def __init__(self, store: Path):
        super().__init__()
        self.setWindowTitle("Inventory")
        self.resize(1120, 740)
        self.setMinimumSize(760, 520)
        self.path, self.store = store, None  # type: tuple[Path, Store | None]
        self.photo: Photo | None = None
        self.answer: Answer | None = None
        self.facets: dict[str, Any] = {}
        self.tally = Tally()
        self.background = Background(self)
        self._typing = QTimer(self, singleShot=True, interval=TYPING_MS)
        self._typing.timeout.connect(self.search)
        self._build_widgets()
        self._connect_signals()
        self._build_actions()
        self.header.status.setText("Opening the catalogue …")
        self.background.run("open", self._open_store, self._show_store, self.banner.show_problem)

    @property
    def can_teach(self) -> bool:
        """True if products can be taught: to a device folder, not to a file."""
        return self.store is not None and self.store.overlay is not None

    def _open_store(self) -> tuple[Store, dict[str, Any], int]:
        store = edgesearch.open(self.path)
        store.warm_up(words=True)
        return store, store.facets(), len(store.skus())

    def _search_store(self, photo: Photo | None, text: str) -> SearchResult:
        """Search; return the answer, the pictures of its matches, and the photo for display."""
        assert self.store is not None
        shown = read_image(photo) if photo else None
        answer = self.store.search(photo, k=SHOWN, text=text or None)
        return answer, [QImage.fromData(self.store.picture(match)) for match in answer.matches], shown

    def open_photo(self) -> None:
        """Ask for a file."""
        if self.pages.currentIndex():
            names, _ = QFileDialog.getOpenFileNames(self, "Count photos", "", PHOTOS)
        else:
            names = [QFileDialog.getOpenFileName(self, "Find a product", "", PHOTOS)[0]]
        if found := find_photos(names):
            self.take(found)

    def paste(self) -> None:
        """Take the photo or the files from the clipboard."""
        data = QGuiApplication.clipboard().mimeData()
        files = find_photos([url.toLocalFile() for url in data.urls()])
        if files:
            self.take(files)
        elif data.hasImage():
            self.take([QImage(data.imageData())])
        elif data.hasText():
            self.header.words.setFocus()
            self.header.words.paste()
        else:
            self.banner.show_problem("There is no photo in the clipboard; copy one first.")

    def take(self, photos: Sequence[Path | QImage]) -> None:
        """Take photos that were dropped, opened or pasted: find the first, or count them all."""
        self.banner.hide()
        given: list[Photo] = [photo if isinstance(photo, Path) else encode_png(photo) for photo in photos]
        if self.pages.currentIndex():
            self.count(given)
        elif given:
            self.photo = given[0]
            self.search()

    def type_words(self) -> None:
        """Search when the typing pauses."""
        self.pages.setCurrentIndex(0)
        self.header.tabs.button(0).setChecked(True)
        self._typing.start()

    def search(self) -> None:
        """Search the photo and the words; stop the search before."""
        text = self.header.words.text().strip()
        if self.store is None:
            return
        if self.photo is None and not text:
            self.clear()
            return
        photo = self.photo
        self.find_page.pane.set_busy(photo is not None)
        self.background.run("search", lambda: self._search_store(photo, text), self._show_answer, self._not_found)

    def clear(self) -> None:
        """Clear photo, words and results."""
        self.background.cancel("search")
        self.photo, self.answer = None, None
        self.header.words.clear()
        self.find_page.clear()
        self.banner.hide()
        self._enable()

    def _show_answer(self, found: SearchResult) -> None:
        self.answer, pictures, shown = found
        self.find_page.pane.set_busy(False)
        self.banner.hide()
        if shown is not None:
            self.find_page.pane.show_photo(shown)
        self.find_page.show_answer(self.answer, pictures, self.photo is not None, self.can_teach)
        self._enable()
        QTimer.singleShot(0, self.shown.emit)

    def _not_found(self, sentence: str) -> None:
        self.find_page.pane.set_busy(False)
        if self.photo is None:  # unfinished words are no problem while they are typed
            self.find_page.results.show([])
            self.find_page.list.hide()
            self.find_page.empty.setText(sentence)
            self.find_page.empty.show()
        else:
            self.banner.show_problem(sentence)

    def teach(self) -> None:
        """Ask for the details of the product in the photo."""
        if self.photo is None or self.find_page.pane.image is None or not self.can_teach:
            return
        dialog = TeachDialog(self, self.find_page.pane.image, self.answer, self.facets)
        if dialog.exec() == QDialog.DialogCode.Accepted:
            self.enrol(self.photo, dialog.product)

    def enrol(self, photo: Photo, taught: NewProduct) -> None:
        """Teach the product."""
        store = self.store
        assert store is not None

        def show_enrolled(enrolled: edgesearch.Enrolment) -> None:
            like = f" Its photo looks much like {enrolled.like.name}: check both." if enrolled.like else ""
            self.search()
            self._count_products()
            self.banner.show_success(f"{enrolled.product.name} is found from now on.{like} Ctrl+Z takes it back.")

        self.background.run(
            None, lambda: store.enrol(taught.sku, [photo], **taught.details), show_enrolled, self.banner.show_problem
        )

    def undo(self) -> None:
        """Undo the last count, or on the other page the last taught product."""
        if self.pages.currentIndex():
            seen = self.tally.undo()
            self._show_count()
            self.banner.show_success(f"{seen.photo} is no longer counted." if seen else "There is nothing to undo.")
        elif self.store and self.can_teach:

            def show_undone(event: Any) -> None:
                self.search()
                self._count_products()
                self.banner.show_success(f"{event.sku}: the last change is undone.")

            self.background.run(None, self.store.undo, show_undone, self.banner.show_problem)

    def count(self, photos: Sequence[Photo]) -> None:
        """Count photos, one product each, in the given order."""
        if self.store is None:
            self.banner.show_problem("The catalogue is not open yet; wait a moment.")
            return
        for number, photo in enumerate(photos, 1):
            name = photo.name if isinstance(photo, Path) else f"pasted photo {len(self.tally.photos) + number}"
            self.count_page.pane.set_busy(True)
            self.background.run(
                None,
                lambda photo=photo: self._search_store(photo, ""),  # type: ignore[misc]
                lambda found, name=name: self._add_counted(name, found),  # type: ignore[misc]
                self._not_counted,
            )

    def _add_counted(self, name: str, found: SearchResult) -> None:
        answer, pictures, shown = found
        seen = self.tally.add(name, (shown, pictures), answer)
        self.count_page.pane.show_photo(shown)
        head, advice, _ = describe_answer(answer)
        self.count_page.headline.setText(head if seen.match else "To be checked")
        self.count_page.advice.setText(f"+1   ·   {name}" if seen.match else f"{name}: {advice}")
        self._update_busy()
        self._show_count()

    def _not_counted(self, sentence: str) -> None:
        self.banner.show_problem(sentence)
        self._update_busy()

    def _update_busy(self) -> None:
        self.count_page.pane.set_busy(self.background.busy > 0)

    def _show_count(self) -> None:
        rows = make_count_rows(self.tally)
        self.count_page.counted.show(rows)
        total = sum(number for _, number, _ in self.tally.counts)
        waits = len(self.tally.waiting)
        check = f"   ·   {waits} to be checked" if waits else ""
        self.count_page.heading.setText(
            f"{total} counted, {len(self.tally.counts)} products{check}" if rows else "Counted"
        )
        self.count_page.list.setVisible(bool(rows))
        self.count_page.empty.setVisible(not rows)
        self._enable()

    def choose_product(self, index: QModelIndex) -> None:
        """Ask which product a waiting photo shows."""
        seen = self.count_page.counted.rows[index.row()].item
        if not isinstance(seen, CountedPhoto):
            return
        menu = QMenu(self)
        for match in seen.candidates:
            action = menu.addAction(f"{match.name}   ({match.sku})")
            action.triggered.connect(lambda _=False, match=match: self.assign(seen, match))
        place = self.count_page.list.visualRect(index)
        menu.exec(self.count_page.list.viewport().mapToGlobal(place.center()))

    def assign(self, seen: CountedPhoto, match: Match) -> None:
        """Assign a product to a waiting photo."""
        self.tally.assign(seen, match)
        self._show_count()

    def export(self) -> None:
        """Ask for a file name and write the counts there."""
        name, _ = QFileDialog.getSaveFileName(self, "Export the count", "stock.csv", "Lists (*.csv)")
        if name:
            self.export_to(Path(name))

    def export_to(self, path: Path) -> None:
        """Write the counts."""
        try:
            products = self.tally.export(path)
        except OSError as error:
            self.banner.show_problem(f"{path}: cannot be written ({error.strerror}); choose another folder.")
            return
        waits = len(self.tally.waiting)
        check = f" {waits} photos still wait to be checked." if waits else ""
        self.banner.show_success(f"{products} products are in {path.name}.{check}")

    def copy_sku(self) -> None:
        """Copy the SKU of the chosen product."""
        chosen = self.find_page.list.selectionModel().selectedIndexes()
        match = self.find_page.results.rows[chosen[0].row()].item if chosen else None
        if match is None and self.answer and self.answer.matches:
            match = self.answer.matches[0]
        if match:
            QGuiApplication.clipboard().setText(match.sku)
            self.banner.show_success(f"{match.sku} is in the clipboard.")

    def show_page(self, page: int) -> None:
        """Show the page Find or Count."""
        self.pages.setCurrentIndex(page)
        self.header.tabs.button(page).setChecked(True)
        self.banner.hide()
        self._enable()

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802  # Qt's name
        """Stop the background work and close the store."""
        self.background.close()
        if self.store:
            self.store.close()
        super().closeEvent(event)

    def _show_store(self, opened: tuple[Store, dict[str, Any], int]) -> None:
        self.store, self.facets, count = opened
        self._show_product_count(count)
        self.header.words.setEnabled(True)
        self._enable()
        self.search()

    def _show_product_count(self, count: int) -> None:
        read_only = "" if self.can_teach else "   ·   cannot be taught"
        self.header.status.setText(f"{count:,} products{read_only}")

    def _count_products(self) -> None:
        store = self.store
        assert store is not None
        self.background.run("count", lambda: len(store.skus()), self._show_product_count, self.banner.show_problem)

    def _enable(self) -> None:
        counting = self.pages.currentIndex() == 1
        self.actions_["teach"].setEnabled(self.can_teach and self.photo is not None and not counting)
        self.actions_["export"].setEnabled(bool(self.tally.counts))
        self.count_page.export_button.setEnabled(bool(self.tally.counts))
        self.count_page.undo_button.setEnabled(bool(self.tally.photos))
        self.actions_["undo"].setEnabled(bool(self.tally.photos) if counting else self.can_teach)
        self.actions_["undo"].setText("&Undo the last photo" if counting else "&Undo what was taught last")
        self.find_page.clear_button.setEnabled(self.photo is not None or bool(self.header.words.text()))

    def _build_widgets(self) -> None:
        page = QWidget(self)
        page.setObjectName("page")
        self.setCentralWidget(page)
        self.banner, self.header = Banner(page), Header(page)
        self.pages = QStackedWidget(page)
        self.find_page, self.count_page = FindPage(self.pages), CountPage(self.pages)
        for each in (self.find_page, self.count_page):
            self.pages.addWidget(each)
        column = QVBoxLayout(page)
        column.setContentsMargins(22, 10, 22, 20)
        column.setSpacing(14)
        column.addWidget(self.header)
        column.addWidget(self.banner)
        column.addWidget(self.pages, 1)

    def _connect_signals(self) -> None:
        self.header.tabs.idClicked.connect(self.show_page)
        self.header.words.textEdited.connect(self.type_words)
        self.header.words.returnPressed.connect(self.search)
        for page in (self.find_page, self.count_page):
            page.pane.clicked.connect(self.open_photo)
            page.pane.dropped.connect(self.take)
        self.find_page.verdict.teach.connect(self.teach)
        self.find_page.lost.connect(self.header.words.setFocus)
        self.find_page.clear_button.clicked.connect(self.clear)
        self.count_page.list.activated.connect(self.choose_product)
        self.count_page.list.clicked.connect(self.choose_product)
        self.count_page.undo_button.clicked.connect(self.undo)
        self.count_page.export_button.clicked.connect(self.export)

    def _build_actions(self) -> None:
        Key = QKeySequence.StandardKey  # noqa: N806  # a class
        entries: list[Entry] = [
            ("&File", "open", "&Open a photo …", Key.Open, self.open_photo),
            ("&File", "export", "&Export the count …", "Ctrl+E", self.export),
            ("&File", "quit", "&Quit", Key.Quit, self.close),
            ("&Edit", "undo", "&Undo", Key.Undo, self.undo),
            ("&Edit", "paste", "&Paste a photo", Key.Paste, self.paste),
            ("&Edit", "copy", "&Copy the SKU", "Ctrl+Shift+C", self.copy_sku),
            ("&Edit", "teach", "&Teach the product in the photo …", "Ctrl+T", self.teach),
            ("&Edit", "clear", "C&lear", "Esc", self.clear),
            ("&View", "find", "&Find", "Ctrl+1", lambda: self.show_page(0)),
            ("&View", "count", "&Count", "Ctrl+2", lambda: self.show_page(1)),
            ("&View", "words", "&Search in words", Key.Find, self.header.words.setFocus),
            ("&Help", "keys", "&Keyboard", "F1", lambda: show_keys(self)),
        ]
        self.actions_ = build_menus(self, entries)
        self._enable()
