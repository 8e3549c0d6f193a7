"""The window: two pages, find and count. It asks the store in the background alone."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import QBuffer, QIODevice, QModelIndex, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QAction, QCloseEvent, QGuiApplication, QImage, QImageReader, QKeySequence
from PySide6.QtWidgets import (
    QButtonGroup,
    QDialog,
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListView,
    QMainWindow,
    QMenu,
    QMessageBox,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

import edgesearch
from edgesearch import Answer, Match, Store

from .background import Background
from .parts import Banner, Painted, PhotoPane, Row, Rows, Verdict, photos_of, row_of, worded
from .tally import Seen, Tally
from .teach import Taught, TeachDialog

PHOTO_SIDE = 900  # px shown of a photo
TYPING_MS = 120  # after which what was typed is searched
SHOWN = 8  # products of an answer
PHOTOS = "Photos (*.jpg *.jpeg *.png *.webp *.gif *.bmp *.tif *.tiff)"
KEYS = """Ctrl+O\tOpen a photo
Ctrl+V\tPaste a photo
Ctrl+F\tSearch in words
Esc\tClear photo and words
Ctrl+T\tTeach the product in the photo
Ctrl+1, Ctrl+2\tFind, count
Ctrl+Z\tUndo what was counted, or taught, last
Ctrl+E\tExport the count
Enter\tSay what a photo in the count shows"""
Photo = Path | bytes
Found = tuple[Answer, list[QImage], QImage | None]


class Window(QMainWindow):
    """An inventory of one store, which is opened while the window is shown already.

    shown: an answer is seen.
    """

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
        self._make()
        self._act()
        self.statusline.setText("Opening the catalogue …")
        self.background.ask("open", self._opened, self._show_store, self.banner.problem)

    @property
    def can_teach(self) -> bool:
        """A file cannot be taught, a device folder can."""
        return self.store is not None and self.store.overlay is not None

    # What is asked, in the background.

    def _opened(self) -> tuple[Store, dict[str, Any], int]:
        store = edgesearch.open(self.path)
        store.warm_up(words=True)
        return store, store.facets(), len(store.skus())

    def _looked(self, photo: Photo | None, text: str) -> Found:
        """An answer, its pictures, and the photo as it is shown; in the background."""
        assert self.store is not None
        shown = read_image(photo) if photo else None
        answer = self.store.search(photo, k=SHOWN, text=text or None)
        return answer, [QImage.fromData(self.store.picture(match)) for match in answer.matches], shown

    # The page that finds.

    def open_photo(self) -> None:
        """Ask for a file."""
        if self.pages.currentIndex():
            names, _ = QFileDialog.getOpenFileNames(self, "Count photos", "", PHOTOS)
        else:
            names = [QFileDialog.getOpenFileName(self, "Find a product", "", PHOTOS)[0]]
        if found := photos_of(names):
            self.take(found)

    def paste(self) -> None:
        """Take the photo, or the files, of the clipboard."""
        data = QGuiApplication.clipboard().mimeData()
        files = photos_of([url.toLocalFile() for url in data.urls()])
        if files:
            self.take(files)
        elif data.hasImage():
            self.take([QImage(data.imageData())])
        elif data.hasText():
            self.words.setFocus()
            self.words.paste()
        else:
            self.banner.problem("There is no photo in the clipboard; copy one first.")

    def take(self, photos: Sequence[Path | QImage]) -> None:
        """Photos that were dropped, opened or pasted: find the first, or count them all."""
        self.banner.hide()
        given: list[Photo] = [photo if isinstance(photo, Path) else png_of(photo) for photo in photos]
        if self.pages.currentIndex():
            self.count(given)
        elif given:
            self.photo = given[0]
            self.search()

    def type_words(self) -> None:
        """Search when the typing pauses."""
        self.pages.setCurrentIndex(0)
        self.tabs.button(0).setChecked(True)
        self._typing.start()

    def search(self) -> None:
        """Ask what is in the photo and the words; what was asked before is stopped."""
        text = self.words.text().strip()
        if self.store is None:
            return
        if self.photo is None and not text:
            self.clear()
            return
        photo = self.photo
        self.pane.set_busy(photo is not None)
        self.background.ask("search", lambda: self._looked(photo, text), self._show_answer, self._not_found)

    def clear(self) -> None:
        """As at the beginning."""
        self.background.drop("search")
        self.photo, self.answer = None, None
        self.words.clear()
        self.pane.show_photo(None)
        self.pane.set_busy(False)
        self.verdict.hide()
        self.banner.hide()
        self.results.show([])
        self.heading.setText("Results")
        self.empty.setText("Drop a photo, or type what you look for.")
        self.empty.show()
        self.list.hide()
        self._enable()

    def _show_answer(self, found: Found) -> None:
        self.answer, pictures, shown = found
        asked = self.photo is not None
        self.pane.set_busy(False)
        self.banner.hide()
        if shown is not None:
            self.pane.show_photo(shown)
        matches = self.answer.matches
        if asked:
            self.verdict.show_answer(self.answer, self.can_teach)
            if matches and self.answer.decision != "unknown":
                self.pane.outline(matches[0].outline)
        else:
            self.verdict.hide()
        sure = self.answer.decision != "unknown"
        pairs = enumerate(zip(matches, pictures, strict=True))
        self.results.show([row_of(*pair, sure and i == 0, asked) for i, pair in pairs])
        count = "1 product" if len(matches) == 1 else f"{len(matches)} products"
        understood = self.answer.understood
        where = f"   ·   understood: {understood.where}" if understood and understood.where else ""
        likeliest = "Most alike" if asked else count
        self.heading.setText(likeliest + where)
        self.list.setVisible(bool(matches))
        self.empty.setVisible(not matches)
        self.empty.setText("Nothing is like that.")
        self.list.scrollToTop()
        self._enable()
        QTimer.singleShot(0, self.shown.emit)

    def _not_found(self, sentence: str) -> None:
        self.pane.set_busy(False)
        if self.photo is None:  # words that say nothing yet, while they are typed
            self.results.show([])
            self.list.hide()
            self.empty.setText(sentence)
            self.empty.show()
        else:
            self.banner.problem(sentence)

    # Teaching.

    def teach(self) -> None:
        """Ask for the details of the product in the photo."""
        if self.photo is None or self.pane.image is None or not self.can_teach:
            return
        dialog = TeachDialog(self, self.pane.image, self.answer, self.facets)
        if dialog.exec() == QDialog.DialogCode.Accepted:
            self.enrol(self.photo, dialog.taught)

    def enrol(self, photo: Photo, taught: Taught) -> None:
        """Teach the product."""
        store = self.store
        assert store is not None

        def done(enrolled: edgesearch.Enrolment) -> None:
            like = f" Its photo looks much like {enrolled.like.name}: check both." if enrolled.like else ""
            self.search()
            self._count_products()
            self.banner.tell(f"{enrolled.product.name} is found from now on.{like} Ctrl+Z takes it back.")

        self.background.ask(None, lambda: store.enrol(taught.sku, [photo], **taught.details), done, self.banner.problem)

    def undo(self) -> None:
        """Take back what was counted, or on the other page taught, last."""
        if self.pages.currentIndex():
            seen = self.tally.undo()
            self._show_count()
            self.banner.tell(f"{seen.photo} is taken back." if seen else "There is nothing to take back.")
        elif self.store and self.can_teach:

            def done(event: Any) -> None:
                self.search()
                self._count_products()
                self.banner.tell(f"{event.sku}: what was taught last is taken back.")

            self.background.ask(None, self.store.undo, done, self.banner.problem)

    # The page that counts.

    def count(self, photos: Sequence[Photo]) -> None:
        """Count photos, one product each, in the order they are given."""
        if self.store is None:
            self.banner.problem("The catalogue is not open yet; wait a moment.")
            return
        for number, photo in enumerate(photos, 1):
            name = photo.name if isinstance(photo, Path) else f"pasted photo {len(self.tally.seen) + number}"
            self.count_pane.set_busy(True)
            self.background.ask(
                None,
                lambda photo=photo: self._looked(photo, ""),  # type: ignore[misc]
                lambda found, name=name: self._counted(name, found),  # type: ignore[misc]
                self._not_counted,
            )

    def _counted(self, name: str, found: Found) -> None:
        answer, pictures, shown = found
        seen = self.tally.add(name, (shown, pictures), answer)
        self.count_pane.show_photo(shown)
        head, advice, _ = worded(answer)
        self.count_head.setText(head if seen.match else "To be checked")
        self.count_advice.setText(f"+1   ·   {name}" if seen.match else f"{name}: {advice}")
        self._rested()
        self._show_count()

    def _not_counted(self, sentence: str) -> None:
        self.banner.problem(sentence)
        self._rested()

    def _rested(self) -> None:
        self.count_pane.set_busy(self.background.busy > 0)

    def _show_count(self) -> None:
        rows = [
            Row(seen.photo, "Not sure what it shows", seen.image[0], waits=True, what=seen)
            for seen in reversed(self.tally.waiting)
        ]
        for match, number, seen in self.tally.counts:
            place = next((i for i, one in enumerate(seen.candidates) if one.sku == match.sku), None)
            picture = seen.image[1][place] if place is not None else seen.image[0]
            product = match.product
            stock = None if product.stock is None else f"{product.stock} expected"
            details = [match.sku, product.location and f"at {product.location}", stock]
            rows.append(Row(match.name, "  ·  ".join(filter(None, details)), picture, number=number, what=match))
        self.counted.show(rows)
        total = sum(number for _, number, _ in self.tally.counts)
        waits = len(self.tally.waiting)
        check = f"   ·   {waits} to be checked" if waits else ""
        self.count_heading.setText(f"{total} counted, {len(self.tally.counts)} products{check}" if rows else "Counted")
        self.count_list.setVisible(bool(rows))
        self.count_empty.setVisible(not rows)
        self._enable()

    def say(self, index: QModelIndex) -> None:
        """Ask what a photo shows that waits."""
        seen = self.counted.rows[index.row()].what
        if not isinstance(seen, Seen):
            return
        menu = QMenu(self)
        for match in seen.candidates:
            action = menu.addAction(f"{match.name}   ({match.sku})")
            action.triggered.connect(functools.partial(self._choose, seen, match))
        place = self.count_list.visualRect(index)
        menu.exec(self.count_list.viewport().mapToGlobal(place.center()))

    def _choose(self, seen: Seen, match: Match, _: bool = False) -> None:
        self.said(seen, match)

    def said(self, seen: Seen, match: Match) -> None:
        """What it shows."""
        self.tally.say(seen, match)
        self._show_count()

    def export(self) -> None:
        """Ask where the list of the count is to be written."""
        name, _ = QFileDialog.getSaveFileName(self, "Export the count", "stock.csv", "Lists (*.csv)")
        if name:
            self.export_to(Path(name))

    def export_to(self, path: Path) -> None:
        """Write the list of the count."""
        try:
            products = self.tally.export(path)
        except OSError as error:
            self.banner.problem(f"{path}: cannot be written ({error.strerror}); choose another folder.")
            return
        waits = len(self.tally.waiting)
        check = f" {waits} photos still wait to be checked." if waits else ""
        self.banner.tell(f"{products} products are in {path.name}.{check}")

    # The window itself.

    def show_keys(self) -> None:
        """The keyboard shortcuts."""
        rows = "".join(f"<tr><td><b>{k}</b>&nbsp;&nbsp;&nbsp;</td><td>{v}</td></tr>" for k, v in _pairs(KEYS))
        QMessageBox.information(self, "Keyboard", f"<table cellpadding='4'>{rows}</table>")

    def copy_sku(self) -> None:
        """Of the chosen product."""
        chosen = self.list.selectionModel().selectedIndexes()
        match = self.results.rows[chosen[0].row()].what if chosen else None
        if match is None and self.answer and self.answer.matches:
            match = self.answer.matches[0]
        if match:
            QGuiApplication.clipboard().setText(match.sku)
            self.banner.tell(f"{match.sku} is in the clipboard.")

    def turn_to(self, page: int) -> None:
        """Find, or count."""
        self.pages.setCurrentIndex(page)
        self.tabs.button(page).setChecked(True)
        self.banner.hide()
        self._enable()

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802  # Qt's name
        """As Qt asks."""
        self.background.close()
        if self.store:
            self.store.close()
        super().closeEvent(event)

    def _show_store(self, opened: tuple[Store, dict[str, Any], int]) -> None:
        self.store, self.facets, count = opened
        self.statusline.setText(self._described(count))
        self.words.setEnabled(True)
        self._enable()
        self.search()

    def _described(self, count: int) -> str:
        taught = "" if self.can_teach else "   ·   cannot be taught"
        return f"{count:,} products{taught}"

    def _count_products(self) -> None:
        store = self.store
        assert store is not None
        told = self.statusline.setText
        self.background.ask(
            "count products", lambda: len(store.skus()), lambda count: told(self._described(count)), self.banner.problem
        )

    def _enable(self) -> None:
        counting = self.pages.currentIndex() == 1
        self.actions_["teach"].setEnabled(self.can_teach and self.photo is not None and not counting)
        self.actions_["export"].setEnabled(bool(self.tally.counts))
        self.export_button.setEnabled(bool(self.tally.counts))
        self.undo_button.setEnabled(bool(self.tally.seen))
        self.actions_["undo"].setEnabled(bool(self.tally.seen) if counting else self.can_teach)
        self.actions_["undo"].setText("&Undo the last photo" if counting else "&Undo what was taught last")
        self.clear_button.setEnabled(self.photo is not None or bool(self.words.text()))

    def _make(self) -> None:
        page = QWidget(self)
        page.setObjectName("page")
        self.setCentralWidget(page)
        self.banner = Banner(page)
        self.pages = QStackedWidget(page)
        self.pages.addWidget(self._find_page())
        self.pages.addWidget(self._count_page())
        column = QVBoxLayout(page)
        column.setContentsMargins(22, 10, 22, 20)
        column.setSpacing(14)
        column.addLayout(self._header())
        column.addWidget(self.banner)
        column.addWidget(self.pages, 1)

    def _header(self) -> QHBoxLayout:
        title, self.statusline = QLabel("Inventory", self), QLabel(self)
        title.setObjectName("title")
        self.statusline.setObjectName("muted")
        names = QVBoxLayout()
        names.setSpacing(0)
        names.addWidget(title)
        names.addWidget(self.statusline)
        self.tabs = QButtonGroup(self)
        row = QHBoxLayout()
        row.setSpacing(4)
        row.addLayout(names)
        row.addSpacing(28)
        for number, name in enumerate(("Find", "Count")):
            tab = QPushButton(name, self)
            tab.setObjectName("tab")
            tab.setCheckable(True)
            tab.setChecked(number == 0)
            self.tabs.addButton(tab, number)
            row.addWidget(tab)
        self.tabs.idClicked.connect(self.turn_to)
        self.words = QLineEdit(self)
        self.words.setPlaceholderText("Search in words: red mug under 5")
        self.words.setClearButtonEnabled(True)
        self.words.setMinimumWidth(220)
        self.words.setMaximumWidth(380)
        self.words.setAccessibleName("Search in words")
        self.words.setEnabled(False)
        self.words.textEdited.connect(self.type_words)
        self.words.returnPressed.connect(self.search)
        row.addStretch(1)
        row.addWidget(self.words, 3)
        return row

    def _find_page(self) -> QWidget:
        self.pane = PhotoPane(self, "Drop a photo here\nor click to choose one, or paste it")
        self.pane.clicked.connect(self.open_photo)
        self.pane.dropped.connect(self.take)
        self.verdict = Verdict(self)
        self.verdict.teach.connect(self.teach)
        self.clear_button = QPushButton("Clear", self)
        self.clear_button.setObjectName("quiet")
        self.clear_button.clicked.connect(self.clear)
        self.heading = section("Results", self)
        self.results, self.list = listed(self)
        self.list.setAccessibleName("Products found")
        self.empty = hint("Drop a photo, or type what you look for.", self)
        self.list.hide()
        left, right, top = QVBoxLayout(), QVBoxLayout(), QHBoxLayout()
        left.setSpacing(14)
        right.setSpacing(8)
        left.addWidget(self.pane, 1)
        left.addWidget(self.verdict)
        top.addWidget(self.heading, 1)
        top.addWidget(self.clear_button)
        right.addLayout(top)
        right.addWidget(self.list, 1)
        right.addWidget(self.empty, 1)
        return beside(left, right, self)

    def _count_page(self) -> QWidget:
        self.count_pane = PhotoPane(self, "Drop photos to count\none product each; a folder counts whole")
        self.count_pane.clicked.connect(self.open_photo)
        self.count_pane.dropped.connect(self.take)
        told = QFrame(self)
        told.setObjectName("card")
        self.count_head, self.count_advice = QLabel("Nothing counted yet", told), QLabel(told)
        self.count_advice.setText("Every photo is one product; what is not sure waits here to be checked.")
        self.count_head.setObjectName("headline")
        self.count_advice.setObjectName("muted")
        words = QVBoxLayout(told)
        words.setContentsMargins(20, 16, 20, 16)
        for label in (self.count_head, self.count_advice):
            label.setWordWrap(True)
            words.addWidget(label)
        self.count_heading = section("Counted", self)
        self.counted, self.count_list = listed(self)
        self.count_list.setAccessibleName("Products counted")
        self.count_list.activated.connect(self.say)
        self.count_list.clicked.connect(self.say)
        self.count_empty = hint("What is counted is listed here.", self)
        self.count_list.hide()
        self.undo_button, self.export_button = QPushButton("Undo", self), QPushButton("Export CSV", self)
        self.export_button.setObjectName("primary")
        self.undo_button.clicked.connect(self.undo)
        self.export_button.clicked.connect(self.export)
        left, right, buttons = QVBoxLayout(), QVBoxLayout(), QHBoxLayout()
        left.setSpacing(14)
        right.setSpacing(8)
        left.addWidget(self.count_pane, 1)
        left.addWidget(told)
        buttons.addWidget(self.count_heading, 1)
        buttons.addWidget(self.undo_button)
        buttons.addWidget(self.export_button)
        right.addLayout(buttons)
        right.addWidget(self.count_list, 1)
        right.addWidget(self.count_empty, 1)
        return beside(left, right, self)

    def _act(self) -> None:
        self.actions_: dict[str, QAction] = {}
        menus = {name: self.menuBar().addMenu(name) for name in ("&File", "&Edit", "&View", "&Help")}
        Key = QKeySequence.StandardKey  # noqa: N806  # a class
        lines: list[tuple[str, str, str, Any, Callable[[], object]]] = [
            ("&File", "open", "&Open a photo …", Key.Open, self.open_photo),
            ("&File", "export", "&Export the count …", "Ctrl+E", self.export),
            ("&File", "quit", "&Quit", Key.Quit, self.close),
            ("&Edit", "undo", "&Undo", Key.Undo, self.undo),
            ("&Edit", "paste", "&Paste a photo", Key.Paste, self.paste),
            ("&Edit", "copy", "&Copy the SKU", "Ctrl+Shift+C", self.copy_sku),
            ("&Edit", "teach", "&Teach the product in the photo …", "Ctrl+T", self.teach),
            ("&Edit", "clear", "C&lear", "Esc", self.clear),
            ("&View", "find", "&Find", "Ctrl+1", lambda: self.turn_to(0)),
            ("&View", "count", "&Count", "Ctrl+2", lambda: self.turn_to(1)),
            ("&View", "words", "&Search in words", Key.Find, self.words.setFocus),
            ("&Help", "keys", "&Keyboard", "F1", self.show_keys),
        ]
        for menu, name, text, keys, act in lines:
            action = QAction(text, self)
            action.setShortcut(QKeySequence(keys))
            action.triggered.connect(lambda _=False, act=act: act())
            menus[menu].addAction(action)
            self.actions_[name] = action
        self._enable()


def listed(parent: QWidget) -> tuple[Rows, QListView]:
    """A list of cards, and what it shows."""
    view = QListView(parent)
    view.setObjectName("cards")
    rows = Rows(view)
    view.setModel(rows)
    view.setItemDelegate(Painted(view))
    view.setMouseTracking(True)
    view.setVerticalScrollMode(QListView.ScrollMode.ScrollPerPixel)
    view.setFrameShape(QFrame.Shape.NoFrame)
    view.setUniformItemSizes(True)
    return rows, view


def section(text: str, parent: QWidget) -> QLabel:
    """The line above a list."""
    label = QLabel(text, parent)
    label.setObjectName("section")
    return label


def hint(text: str, parent: QWidget) -> QLabel:
    """What stands where a list is empty."""
    label = QLabel(text, parent)
    label.setObjectName("muted")
    label.setAlignment(Qt.AlignmentFlag.AlignCenter)
    label.setWordWrap(True)
    return label


def beside(left: QVBoxLayout, right: QVBoxLayout, parent: QWidget) -> QWidget:
    """Two columns, the right one wider."""
    page = QWidget(parent)
    row = QHBoxLayout(page)
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(22)
    row.addLayout(left, 5)
    row.addLayout(right, 7)
    return page


def read_image(photo: Photo) -> QImage | None:
    """A photo as it is shown, upright and not larger than needed; None where Qt cannot read it."""
    data = QBuffer()
    if isinstance(photo, bytes):
        data.setData(photo)
        data.open(QIODevice.OpenModeFlag.ReadOnly)
        reader = QImageReader(data)
    else:
        reader = QImageReader(str(photo))
    reader.setAutoTransform(True)
    size = reader.size()
    if size.isValid() and max(size.width(), size.height()) > PHOTO_SIDE:
        reader.setScaledSize(size.scaled(QSize(PHOTO_SIDE, PHOTO_SIDE), Qt.AspectRatioMode.KeepAspectRatio))
    image = reader.read()
    return None if image.isNull() else image


def png_of(image: QImage) -> bytes:
    """A pasted picture as the store takes it."""
    data = QBuffer()
    data.open(QIODevice.OpenModeFlag.WriteOnly)
    image.save(data, "PNG")  # type: ignore[call-overload]
    return bytes(data.data().data())


def _pairs(lines: str) -> list[list[str]]:
    return [line.split("\t") for line in lines.splitlines()]
