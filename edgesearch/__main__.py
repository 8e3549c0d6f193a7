"""Run the command `edgesearch` as `python -m edgesearch`."""

import sys

from .commands.cli import run

sys.exit(run())
