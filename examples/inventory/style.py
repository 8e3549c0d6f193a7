"""Colours and fonts, light or dark, following the system."""

from dataclasses import dataclass

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QFont, QPalette
from PySide6.QtWidgets import QApplication


@dataclass(frozen=True)
class Theme:
    """Colours by their purpose."""

    ground: str
    card: str
    raised: str
    text: str
    muted: str
    line: str
    accent: str
    on_accent: str
    soft: str
    good: str
    unsure: str
    bad: str


LIGHT = Theme(
    "#f4f3ef", "#ffffff", "#faf9f6", "#1c1b19", "#66635c", "#e3e0d8", "#0b6b62", "#ffffff", "#dff0ed", "#18794e",
    "#9a5b00", "#5c5a55",
)  # fmt: skip
DARK = Theme(
    "#161615", "#21211f", "#282826", "#f3f1ec", "#a8a49b", "#383733", "#4cc9b8", "#04211d", "#17332f", "#5bcf92",
    "#f0b04c", "#b5b2ab",
)  # fmt: skip

SHEET = """
* {{ color: {text}; }}
QMainWindow, QDialog, QWidget#page {{ background: {ground}; }}
QMenuBar {{ background: {ground}; padding: 2px 8px; }}
QMenuBar::item {{ background: transparent; padding: 5px 10px; border-radius: 6px; }}
QMenuBar::item:selected, QMenu::item:selected {{ background: {soft}; }}
QMenu {{ background: {card}; border: 1px solid {line}; padding: 6px; }}
QMenu::item {{ padding: 6px 28px 6px 14px; border-radius: 6px; }}
QMenu::item:disabled {{ color: {muted}; }}
QMenu::separator {{ height: 1px; background: {line}; margin: 6px 8px; }}
QFrame#card {{ background: {card}; border: 1px solid {line}; border-radius: 14px; }}
QLabel#title {{ font-size: 19px; font-weight: 600; }}
QLabel#headline {{ font-size: 17px; font-weight: 600; }}
QLabel#field {{ min-height: 38px; }}
QLabel#muted {{ color: {muted}; }}
QLabel#section {{ color: {muted}; font-size: 13px; font-weight: 600; }}
QLineEdit {{
    background: {card}; border: 1px solid {line}; border-radius: 10px; padding: 8px 12px; min-height: 20px;
    selection-background-color: {accent}; selection-color: {on_accent};
}}
QLineEdit:focus {{ border: 2px solid {accent}; padding: 7px 11px; }}
QAbstractItemView {{ background: {card}; border: 1px solid {line}; selection-background-color: {soft};
    selection-color: {text}; padding: 4px; }}
QPushButton {{ background: {card}; border: 1px solid {line}; border-radius: 10px; padding: 9px 16px; }}
QPushButton:hover {{ background: {raised}; border-color: {muted}; }}
QPushButton:focus {{ border: 2px solid {accent}; padding: 8px 15px; }}
QPushButton:disabled {{ color: {muted}; background: {ground}; }}
QPushButton#primary {{ background: {accent}; color: {on_accent}; border: 1px solid {accent}; font-weight: 600; }}
QPushButton#primary:disabled {{ background: {line}; border-color: {line}; color: {muted}; }}
QPushButton#primary:focus {{ border: 2px solid {text}; }}
QPushButton#tab {{ border: none; background: transparent; color: {muted}; font-weight: 600; padding: 8px 16px; }}
QPushButton#tab:checked {{ background: {soft}; color: {accent}; }}
QPushButton#quiet {{ border: none; background: transparent; color: {accent}; font-weight: 600; padding: 6px 8px; }}
QPushButton#quiet:disabled {{ border: none; background: transparent; color: transparent; }}
QListView#cards {{ background: transparent; border: none; outline: none; padding: 0; }}
QScrollBar:vertical {{ background: transparent; width: 10px; margin: 0; }}
QScrollBar::handle:vertical {{ background: {line}; border-radius: 5px; min-height: 32px; }}
QScrollBar::add-line, QScrollBar::sub-line, QScrollBar::add-page, QScrollBar::sub-page {{
    height: 0; background: transparent; }}
QFrame#banner {{ background: {soft}; border: none; border-radius: 10px; }}
QFrame#banner[kind="problem"] {{ background: {raised}; border: 1px solid {unsure}; }}
QToolTip {{ background: {card}; color: {text}; border: 1px solid {line}; padding: 4px 8px; }}
"""


def system_theme() -> Theme:
    """Return the theme that the system asks for."""
    return DARK if QApplication.styleHints().colorScheme() == Qt.ColorScheme.Dark else LIGHT


def apply_theme(application: QApplication, chosen: Theme | None = None) -> None:
    """Apply a theme to the application; None: the system's."""
    now = chosen or system_theme()
    application.setStyle("Fusion")
    application.setProperty("theme", now)
    palette = QPalette()
    for role, colour in (
        (QPalette.ColorRole.Window, now.ground),
        (QPalette.ColorRole.Base, now.card),
        (QPalette.ColorRole.Text, now.text),
        (QPalette.ColorRole.WindowText, now.text),
        (QPalette.ColorRole.PlaceholderText, now.muted),
        (QPalette.ColorRole.Highlight, now.accent),
        (QPalette.ColorRole.HighlightedText, now.on_accent),
    ):
        palette.setColor(role, QColor(colour))
    application.setPalette(palette)
    font = QFont(application.font())
    font.setPixelSize(14)
    application.setFont(font)
    application.setStyleSheet(SHEET.format(**vars(now)))


def current_theme() -> Theme:
    """Return the application's theme."""
    application = QApplication.instance()
    found = application.property("theme") if application else None
    return found if isinstance(found, Theme) else system_theme()
