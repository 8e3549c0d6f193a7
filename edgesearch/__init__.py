"""Offline visual product search: a photo of a product in, the product out.

store = edgesearch.open("store.edge")
answer = store.search("photo.jpg", k=5)
answer.decision, answer.matches[0].name
"""

from .answer import Answer, Match, Understood
from .build import Built, build
from .comparison import Comparison
from .decision import Calibration
from .delta import delta
from .device import export, install, log, rollback
from .engine import Enrolment, Store, open
from .errors import (
    BundleError,
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
)
from .signing import keygen
from .version import __version__ as __version__

__all__ = [
    "Answer",
    "Built",
    "BundleError",
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
