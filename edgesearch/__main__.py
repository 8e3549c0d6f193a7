"""Run the command `edgesearch` as `python -m edgesearch`."""

import sys

from .commands.cli import main

sys.exit(main())
