"""`python -m edgesearch` is the command `edgesearch`."""

import sys

from .cli import main

sys.exit(main())
