"""Offline visual product search: a photo of a product in, the product out.

store = edgesearch.open("store.edge")
answer = store.search("photo.jpg", k=5)
answer.decision, answer.matches[0].name
"""

import importlib
from typing import TYPE_CHECKING

from ._util.stopping import Stop
from .errors import (
    BundleError,
    BusyError,
    CatalogError,
    CountError,
    DeviceError,
    EdgeSearchError,
    ImageError,
    IndexFileError,
    ModelError,
    QueryError,
    ReportError,
    ScanError,
    SignatureError,
    SiteError,
    StoppedError,
)
from .version import __version__ as __version__

if TYPE_CHECKING:
    from .answer import Answer, Match, Understood
    from .building.entry_point import Built, build
    from .bundle.delta import delta
    from .bundle.signing import keygen
    from .device.maintenance import export, install, log, rollback
    from .search.comparison_result import Comparison
    from .search.decision import Calibration
    from .store.async_store import AsyncStore
    from .store.opening import open
    from .store.store import Store
    from .store.teaching import Enrolment

__all__ = [
    "Answer",
    "AsyncStore",
    "Built",
    "BundleError",
    "BusyError",
    "Calibration",
    "CatalogError",
    "Comparison",
    "CountError",
    "DeviceError",
    "EdgeSearchError",
    "Enrolment",
    "ImageError",
    "IndexFileError",
    "Match",
    "ModelError",
    "QueryError",
    "ReportError",
    "ScanError",
    "SignatureError",
    "SiteError",
    "Stop",
    "StoppedError",
    "Store",
    "Understood",
    "build",
    "delta",
    "export",
    "install",
    "keygen",
    "log",
    "open",
    "rollback",
]

if not TYPE_CHECKING:
    _MODULES = {  # of names that are loaded when they are first used, so that no command waits for others' modules
        "answer": ("Answer", "Match", "Understood"),
        "building.entry_point": ("Built", "build"),
        "bundle.delta": ("delta",),
        "bundle.signing": ("keygen",),
        "device.maintenance": ("export", "install", "log", "rollback"),
        "search.comparison_result": ("Comparison",),
        "search.decision": ("Calibration",),
        "store.async_store": ("AsyncStore",),
        "store.opening": ("open",),
        "store.store": ("Store",),
        "store.teaching": ("Enrolment",),
    }

    def __getattr__(name):
        """Load the module of a name, and the name."""
        for module, names in _MODULES.items():
            if name in names:
                globals()[name] = getattr(importlib.import_module(f".{module}", __name__), name)
                return globals()[name]
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__():
        """List also the names that are not loaded yet."""
        return sorted({*globals(), *__all__})
