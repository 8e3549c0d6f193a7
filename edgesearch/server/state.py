"""Hold what all requests of one server share: the store, the sessions, the threads, the counts."""

import os
from collections import OrderedDict
from pathlib import Path

from .._util.scratch import sweep
from ..answer import Answer
from ..device.slots import Slots
from ..errors import BusyError, DeviceError
from ..search.frame_stream import Stream
from ..store.photo_session import PhotoSession
from ..store.store import Store
from .access import FILE, Access
from .count_registry import CountRegistry
from .prometheus import Metrics
from .sessions import Sessions, Visitor
from .worker_threads import RequestWorkers

ANSWER_TIMEOUT_S = 20.0
INSTALL_TIMEOUT_S = 600.0
MAX_STREAMS = 64
MAX_PHOTO_SESSIONS = 16  # each holds five photos


class ServerState:
    """An open store with everything that serves it.

    Attributes:
        workers: Threads that search and teach.
        readers: Threads that read products and pictures, also while the workers are busy.
        installer: The thread that installs, one bundle at a time.
        logins: The thread that tries PINs, so that guesses delay no search.
        folders: What error messages leave out: the folders around the store and the access file, each with a slash.
        photo_sessions: The photos that staff are taking, by session; the oldest first.
    """

    def __init__(self, store: Store, path: Path, is_local: bool = True, access: Path | None = None):
        """Prepare to serve a store.

        Args:
            store: To serve; it stays open after `close`.
            path: The path from which the store was opened.
            is_local: Whether only this machine can reach the server.
            access: The access file; None for the one in the device folder.
        Raises:
            DeviceError: Other machines can reach the server without a PIN or token, or the access file is damaged.
        """
        self.store, self.path = store, path
        if path.is_dir():
            sweep(path)
        if access is None and not path.is_dir() and not is_local:
            raise DeviceError(f"{path}: a file cannot keep PINs; give --access, or install it in a device folder.")
        device = Slots(path) if access is None and path.is_dir() else None
        known = Access(access or path / FILE, device, required=access is not None)
        known.guard()
        self.sessions = Sessions(known, is_local)
        if not is_local and not self.sessions.has_secrets:
            raise DeviceError(
                f"{path}: other machines need a PIN or a token, and none is set up; see `edgesearch access --help`."
            )
        self.metrics = Metrics()
        self.workers = RequestWorkers(max(2, os.cpu_count() or 1), ANSWER_TIMEOUT_S)
        self.readers = RequestWorkers(2, ANSWER_TIMEOUT_S, waiting_per_thread=64)  # a page loads dozens of pictures
        self.installer = RequestWorkers(1, INSTALL_TIMEOUT_S)
        self.logins = RequestWorkers(1, ANSWER_TIMEOUT_S)
        self.folders = _folders_of(path, known.path)
        self.counts = CountRegistry(store, path)
        self.photo_sessions: OrderedDict[str, PhotoSession] = OrderedDict()
        self._streams: OrderedDict[str, Stream] = OrderedDict()
        self._streaming: set[str] = set()

    @property
    def device(self) -> Path:
        """The device folder; raises DeviceError if the store is a file."""
        if self.store.overlay is None:
            raise DeviceError(f"{self.path}: is a file; install it in a device folder, and serve that.")
        return self.path

    async def add_frame(
        self, name: str, frame: bytes, k: int, fast: bool | None, learn: bool = False
    ) -> tuple[Answer, int]:
        """Add a frame to the stream of a camera.

        Returns:
            The answer of the last frames of the scene, and their number.
        Raises:
            BusyError: The frame before has no answer yet.
            EdgeSearchError: As `Stream.add`.
        """
        key = f"{name}/{k}/{fast}/{learn}"
        if key in self._streaming:
            raise BusyError("the previous frame has no answer yet; send the next one after it.")
        stream = self._streams.pop(key, None) or self.store.stream(k=k, fast=fast, learn=learn)
        self._streams[key] = stream
        if len(self._streams) > MAX_STREAMS:
            self._streams.popitem(last=False)
        self._streaming.add(key)
        try:
            return await self.workers.run(stream.add, frame), len(stream)
        finally:
            self._streaming.discard(key)

    def keep_photo_session(self, key: str, session: PhotoSession) -> None:
        """Keep a session; drop the oldest of too many, whose photos stay learned."""
        self.photo_sessions[key] = session
        while len(self.photo_sessions) > MAX_PHOTO_SESSIONS:
            self.photo_sessions.popitem(last=False)

    def forget_stream(self, name: str) -> None:
        """Forget the frames of a camera."""
        for key in [key for key in self._streams if key.startswith(f"{name}/")]:
            del self._streams[key]

    def record(self, what: str, visitor: Visitor, **detail: object) -> None:
        """Write an event into the device's log; raise DeviceError if that fails."""
        if self.store.overlay is not None:
            self.store.overlay.record(what, detail, visitor.name or None)

    def close(self) -> None:
        """Finish the requests under way and write the lists of counts; the store stays open."""
        self.workers.close()
        self.readers.close()
        self.installer.close()
        self.logins.close()
        self.counts.close_idle(idle_s=0)


def _folders_of(*paths: Path) -> list[str]:
    """Return the absolute folders in which files lie, the longest first, each with a slash at its end."""
    folders = {str(folder) for path in paths for folder in (path.absolute().parent, path.resolve().parent)}
    return sorted((f"{folder}{os.sep}" for folder in folders if folder != os.sep), key=len, reverse=True)
