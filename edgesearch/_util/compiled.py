"""The warning of an installation without compiled modules."""

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
