"""The tree of exceptions: whatever this package raises on purpose is an `EdgeSearchError`."""

from collections.abc import Sequence

REASONS_SHOWN = 5


class EdgeSearchError(Exception):
    """Base of all errors here; its text is one sentence that names the thing and says what to do."""

    def __str__(self) -> str:
        return " ".join(super().__str__().splitlines())  # what was found in a damaged file may have several


class ImageError(EdgeSearchError):
    """A picture that cannot be read, or is outside the limits."""


class ModelError(EdgeSearchError):
    """A model folder that is incomplete, damaged, or not what its config says."""


class CatalogError(EdgeSearchError):
    """A catalogue or a list of queries that cannot be used as written."""


class IndexFileError(EdgeSearchError):
    """Index data that is damaged, or does not belong to its model."""


class BundleError(EdgeSearchError):
    """A bundle that is damaged, incomplete or foreign."""


class SignatureError(BundleError):
    """A bundle that nobody trusted has signed, or a key that is none."""


class CountError(EdgeSearchError):
    """Photos that cannot be counted or sorted, or a count that cannot be gone on with."""


class DeviceError(EdgeSearchError):
    """A device folder that cannot be used, or that refuses what is asked of it."""


class ReportError(EdgeSearchError):
    """A report that cannot be written where it is wanted."""


class QueryError(EdgeSearchError):
    """A question that cannot be asked as written, or that no product can answer: says what would work."""


class StoppedError(EdgeSearchError):
    """What was told to stop before it had an answer, or had no more time."""


class BusyError(EdgeSearchError):
    """Too much is asked already."""


class ScanError(EdgeSearchError):
    """A camera, folder, trigger or hook of `scan` that cannot be used."""


def several(reasons: Sequence[str], count: int) -> str:
    """The first of many reasons in one sentence; count: how many there are, of which not all need be given."""
    first = [reason.removesuffix(".") for reason in reasons[:REASONS_SHOWN]]
    return "; ".join(first) + (f"; and {count - len(first)} more" if count > len(first) else "")
