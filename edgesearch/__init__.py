"""Offline visual product search: a photo of a product in, the product out.

store = edgesearch.open("store.edge")
answer = store.search("photo.jpg", k=5)
answer.decision, answer.matches[0].name
"""

from ._util.stopping import Stop
from .answer import Answer, Match, Understood
from .building.entry_point import Built, build
from .bundle.delta import delta
from .bundle.signing import keygen
from .device.maintenance import export, install, log, rollback
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
from .search.comparison_result import Comparison
from .search.decision import Calibration
from .store.async_store import AsyncStore
from .store.opening import open
from .store.store import Store
from .store.teaching import Enrolment
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
