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
    options = parser.parse_args()
    application = QApplication(sys.argv[:1])
    dress(application)
    window = Window(options.store)
    window.show()
    return application.exec()


if __name__ == "__main__":
    sys.exit(main())
