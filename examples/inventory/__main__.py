"""`python -m inventory STORE`, to be run in the folder of the examples."""

import argparse
import sys
from pathlib import Path

from PySide6.QtWidgets import QApplication

from .style import apply_theme
from .window import Window


def main() -> int:
    """Show the window until it is closed; return the exit status."""
    parser = argparse.ArgumentParser(prog="inventory", description="An inventory window.")
    parser.add_argument("store", type=Path, help="a .edge file, or a device folder, which can learn products")
    parser.add_argument("--photo", type=Path, help="search this photo first")
    parser.add_argument("--picture", type=Path, help="save a picture of the window after the first answer, and end")
    options = parser.parse_args()
    sys.setswitchinterval(0.001)  # searches hold the interpreter's lock for at most 1 ms, not 5
    application = QApplication(sys.argv[:1])
    apply_theme(application)
    window = Window(options.store)
    window.photo = options.photo
    window.show()
    if options.picture:
        window.shown.connect(lambda: _save(window, options.picture))
    return application.exec()


def _save(window: Window, path: Path) -> None:
    window.grab().save(str(path))
    window.close()


if __name__ == "__main__":
    sys.exit(main())
