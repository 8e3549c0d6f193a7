"""Warn if the compiled modules are missing.

Measured on one core, numpy against C: a search of 300 rows takes 18 times as long, of 100,000 rows 94 times; detecting
the local features of a picture of 720 x 560 px, 92 times.
"""

import functools
import warnings


@functools.cache
def warn_not_compiled() -> None:
    """Warn, once per process, that numpy replaces the compiled modules."""
    warnings.warn(
        "edgesearch: the compiled modules are missing, so numpy does their work: searches take some 20 to 100 times as "
        "long, local features some 100 times. Install a wheel for this platform, or install gcc or clang and reinstall "
        "edgesearch.",
        RuntimeWarning,
        stacklevel=3,
    )
