"""Offline visual product search: a photo of a product in, the product out.

store = edgesearch.open("store.edge")
answer = store.search("photo.jpg", k=5)
answer.decision, answer.matches[0].name
"""

from .answer import Answer, Match, Understood
from .asynchronous import AsyncStore
from .build import Built, build
from .comparison import Comparison
from .decision import Calibration
from .delta import delta
from .device import export, install, log, rollback
from .engine import Enrolment, Store, open
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
    StoppedError,
)
from .signing import keygen
from .stopping import Stop
from .version import __version__ as __version__

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
