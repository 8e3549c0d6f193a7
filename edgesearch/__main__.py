"""`python -m edgesearch` is the command `edgesearch`."""

import sys

from .commands.cli import main

sys.exit(main())
