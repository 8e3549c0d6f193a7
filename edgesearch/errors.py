"""Define the exceptions: everything that this package raises on purpose is an `EdgeSearchError`."""

from collections.abc import Sequence

REASONS_SHOWN = 5


class EdgeSearchError(Exception):
    """Base of all errors here. The message is one sentence that names the thing and says what to do."""

    def __str__(self) -> str:
        return " ".join(super().__str__().splitlines())  # the content of a damaged file may span lines


class ImageError(EdgeSearchError):
    """A picture cannot be read, or exceeds the limits."""


class FlawedPhotoError(ImageError):
    """A photo that can be read is too dark or empty to learn from."""


class ModelError(EdgeSearchError):
    """A model folder is incomplete, damaged, or does not match its config."""


class CatalogError(EdgeSearchError):
    """A catalogue or a list of queries cannot be used as written."""


class IndexFileError(EdgeSearchError):
    """Index data is damaged, or does not belong to its model."""


class BundleError(EdgeSearchError):
    """A bundle is damaged, incomplete or foreign."""


class SignatureError(BundleError):
    """A bundle is not signed by a trusted key, or a key is invalid."""


class CountError(EdgeSearchError):
    """Photos cannot be counted or sorted, or a count cannot be continued."""


class DeviceError(EdgeSearchError):
    """A device folder cannot be used, or refuses an operation."""


class ReportError(EdgeSearchError):
    """A report cannot be written to its path."""


class SiteError(EdgeSearchError):
    """A site for browsers cannot be made as asked."""


class QueryError(EdgeSearchError):
    """A query is not understood; the message says what was expected."""


class StoppedError(EdgeSearchError):
    """A call was stopped, or ran out of time, before it had an answer."""


class BusyError(EdgeSearchError):
    """Too many calls wait already."""


class ScanError(EdgeSearchError):
    """A camera, folder, trigger or hook of `scan` cannot be used."""


def several(reasons: Sequence[str], count: int) -> str:
    """Join the first of many reasons into one sentence; `count` is their number, of which `reasons` may hold a part."""
    first = [reason.removesuffix(".") for reason in reasons[:REASONS_SHOWN]]
    return "; ".join(first) + (f"; and {count - len(first)} more" if count > len(first) else "")
