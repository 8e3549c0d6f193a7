"""The menus of the window, and the list of keyboard shortcuts."""

from collections.abc import Callable
from typing import Any

from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QMainWindow, QMessageBox, QWidget

KEYS = """Ctrl+O\tOpen a photo
Ctrl+V\tPaste a photo
Ctrl+F\tSearch in words
Esc\tClear photo and words
Ctrl+T\tTeach the product in the photo
Ctrl+1, Ctrl+2\tFind, count
Ctrl+Z\tUndo the last count, or the last taught product
Ctrl+E\tExport the count
Enter\tChoose the product of a waiting photo"""
Entry = tuple[str, str, str, Any, Callable[[], object]]  # menu, name of the action, text, keys, what it does


def build_menus(window: QMainWindow, entries: list[Entry]) -> dict[str, QAction]:
    """Add the menus with their entries; return the actions by name."""
    menus = {name: window.menuBar().addMenu(name) for name in ("&File", "&Edit", "&View", "&Help")}
    actions = {}
    for menu, name, text, keys, act in entries:
        action = QAction(text, window)
        action.setShortcut(QKeySequence(keys))
        action.triggered.connect(lambda _=False, act=act: act())
        menus[menu].addAction(action)
        actions[name] = action
    return actions


def show_keys(parent: QWidget) -> None:
    """Show the keyboard shortcuts."""
    pairs = [line.split("\t") for line in KEYS.splitlines()]
    rows = "".join(f"<tr><td><b>{keys}</b>&nbsp;&nbsp;&nbsp;</td><td>{text}</td></tr>" for keys, text in pairs)
    QMessageBox.information(parent, "Keyboard", f"<table cellpadding='4'>{rows}</table>")
