"""Read files at URLs through fsspec (the extra `urls`), from servers as they are.

Web servers often give no length, pack what they send, or do not send parts of files (ranges). A file on such a server
is downloaded whole to a temporary file before anything seeks in it. A busy server is asked again.
"""

import contextlib
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, TypeVar

from ..errors import CatalogError, EdgeSearchError

ATTEMPTS = 4
BACKOFF_S = 1.0  # before the second attempt; doubled before each further one
MAX_WAIT_S = 60.0  # that a server may ask for with Retry-After
BUSY = (408, 425, 429, 500, 502, 503, 504)  # statuses after which the same request may succeed
_BROKEN_OFF = ("ClientPayloadError", "ServerDisconnectedError", "ClientOSError", "ConnectionResetError", "TimeoutError")
_PART_BYTES = 1 << 20
_downloads: dict[str, Any] = {}  # open temporary files of archives, by URL
T = TypeVar("T")


def read(url: str, limit: int, error: type[EdgeSearchError]) -> bytes:
    """Return a file's first `limit` bytes; raise `error` if it cannot be read."""

    def read_all(system: Any, path: str) -> bytes:
        with _open_stream(system, path) as file:
            return b"".join(_read_parts(file, limit))

    return call(url, error, read_all)


@contextlib.contextmanager
def open_file(url: str, error: type[EdgeSearchError], keep: bool = False) -> Iterator[BinaryIO]:
    """Open a file for reading at any position; raise `error` if it cannot be opened.

    keep: if the file must be downloaded to seek in it, keep the download until this process ends.
    """
    if url in _downloads:
        with open(_downloads[url].name, "rb") as kept:
            yield kept
        return
    file = call(url, error, _open_or_download)
    is_kept = keep and isinstance(file, tempfile._TemporaryFileWrapper)
    if is_kept:
        _downloads[url] = file
    try:
        yield file
    finally:
        if not is_kept:
            file.close()


def list_folder(url: str) -> dict[str, str] | None:
    """Return the URL of every file below a folder by its name in the folder; None if the URL is no folder.

    Raises:  CatalogError: the file system cannot be asked.
    """

    def list_files(system: Any, path: str) -> dict[str, str] | None:
        if not system.isdir(path):
            return None
        root = system._strip_protocol(path).rstrip("/") + "/"
        return {name.removeprefix(root): system.unstrip_protocol(name) for name in system.find(path)}

    return call(url, CatalogError, list_files)


def call(url: str, error: type[EdgeSearchError], do: Callable[[Any, str], T]) -> T:
    """Return what `do` makes of a URL's file system and path; ask a busy server again; raise `error` if all fails."""
    try:
        import fsspec
    except ImportError as missing:
        raise error(f"{url}: URLs need fsspec; pip install edgesearch[urls], or give a local path.") from missing
    for attempt in range(ATTEMPTS):
        try:
            return do(*fsspec.core.url_to_fs(url))
        except ImportError as missing:
            raise error(
                f"{url}: cannot be read ({missing}); install that package, or edgesearch[urls] for http and https."
            ) from missing
        except Exception as failed:  # each file system has its own errors
            wait_s = _retry_after(failed, attempt)
            if wait_s is None or attempt == ATTEMPTS - 1:
                raise _explain(url, error, failed, attempt + 1) from failed
            time.sleep(wait_s)
    raise AssertionError("the last attempt returns or raises")


def _open_stream(system: Any, path: str) -> Any:
    """Open a file for reading from its start, on the web without asking for its size."""
    return system.open(path, "rb", block_size=0, size=1) if _is_web(system) else system.open(path, "rb")


def _open_or_download(system: Any, path: str) -> Any:
    if not _is_web(system) or _sends_parts(system, path):
        return system.open(path, "rb")
    copy = tempfile.NamedTemporaryFile(prefix="edgesearch-")  # noqa: SIM115  # the caller closes it
    try:
        with _open_stream(system, path) as file:
            copy.writelines(_read_parts(file))
    except BaseException:
        copy.close()
        raise
    copy.seek(0)
    return copy


def _is_web(system: Any) -> bool:
    protocol = system.protocol
    return bool({"http", "https"} & {*([protocol] if isinstance(protocol, str) else protocol)})


def _sends_parts(system: Any, path: str) -> bool:
    """Return whether the server tells the size of a file and sends any part of it."""
    info = system.info(path)
    if not info.get("size") or info.get("partial") is False:
        return False
    with system.open(path, "rb", block_size=1, size=2, headers={"Accept-Encoding": "identity"}) as probe:
        probe.seek(1)
        try:
            return len(probe.read(1)) == 1
        except ValueError:  # the server ignores Range
            return False


def _read_parts(file: Any, limit: int | None = None) -> Iterator[bytes]:
    """Yield parts until the end of a file, or until `limit` bytes; a read may return less than is asked for."""
    left = limit
    while (left is None or left > 0) and (part := file.read(min(_PART_BYTES, left or _PART_BYTES))):
        left = None if left is None else left - len(part)
        yield part


def _causes(failed: BaseException | None) -> Iterator[BaseException]:
    while failed is not None:
        yield failed
        failed = failed.__cause__


def _retry_after(failed: Exception, attempt: int) -> float | None:
    """Return the seconds to wait before the next attempt; None if another attempt would fail too."""
    backoff = BACKOFF_S * 2**attempt
    for cause in _causes(failed):
        status = getattr(cause, "status", None)
        if status in BUSY:
            asked = str((getattr(cause, "headers", None) or {}).get("Retry-After", ""))
            return min(float(asked), MAX_WAIT_S) if re.fullmatch(r"\d{1,6}", asked) else backoff
        is_refused = isinstance(cause, ConnectionRefusedError) or "Connector" in type(cause).__name__
        if type(cause).__name__ in _BROKEN_OFF and not is_refused:
            return backoff
    return None


def _explain(url: str, error: type[EdgeSearchError], failed: Exception, attempts: int) -> EdgeSearchError:
    """Return the error that tells why a URL cannot be read."""
    found = (getattr(cause, "status", None) for cause in _causes(failed))
    status = next((status for status in found if isinstance(status, int)), None)
    if status in BUSY:
        return error(f"{url}: the server answered {status} to {attempts} requests; run this again later.")
    if status == 404 or (isinstance(failed, FileNotFoundError) and failed.__cause__ is None):
        return error(f"{url}: no such file; check its name.")
    if isinstance(failed, FileNotFoundError):
        return error(f"{url}: cannot be read ({failed.__cause__}); check that the server answers.")
    if any("Connect" in type(cause).__name__ for cause in _causes(failed)):
        return error(f"{url}: cannot be read ({failed}); check that the server answers.")
    return error(f"{url}: cannot be read ({failed or type(failed).__name__}); check its name and its permissions.")
