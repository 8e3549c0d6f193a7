"""`python -m inventory STORE`, in the folder of the examples."""

import argparse
import sys
from pathlib import Path

from PySide6.QtWidgets import QApplication

from .style import dress
from .window import Window


def main() -> int:
    """Show the window until it is closed; returns the exit status."""
    parser = argparse.ArgumentParser(prog="inventory", description="An inventory window.")
    parser.add_argument("store", type=Path, help="a .edge file, or a device folder, which can be taught")
    parser.add_argument("--photo", type=Path, help="to begin with")
    parser.add_argument("--picture", type=Path, help="save what the window shows of it, and end")
    options = parser.parse_args()
    sys.setswitchinterval(0.001)  # the window waits for what searches for 1 ms at most, not 5
    application = QApplication(sys.argv[:1])
    dress(application)
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
