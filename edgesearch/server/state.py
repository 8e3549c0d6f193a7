"""What the requests of one server share: the store, who may ask, and what goes on."""

import os
from collections import OrderedDict
from pathlib import Path

from ..answer import Answer
from ..errors import BusyError, DeviceError
from ..search.frame_stream import Stream
from ..store.store import Store
from .access import FILE, Access
from .count_registry import Counts
from .prometheus import Metrics
from .sessions import Door, Visitor
from .worker_threads import Workers

ANSWER_S = 20.0  # that a request waits for its answer at most
INSTALL_S = 600.0
MOST_STREAMS = 64


class Served:
    """An open store, and those who ask it.

    Attributes: workers: who search and teach; readers: who look up what is shown beside, while those are busy;
                installer: who installs, one at a time.
    """

    def __init__(self, store: Store, path: Path, is_local: bool = True, access: Path | None = None):
        """path: as the store was opened; is_local: only this machine can ask; access: file, None: in the device folder.

        Raises:  DeviceError: others can ask, and nobody was given a PIN or a token; or that file is damaged.
        """
        self.store, self.path = store, path
        if access is None and not path.is_dir() and not is_local:
            raise DeviceError(f"{path}: a file keeps no PINs; give --access, or install it in a device folder.")
        self.door = Door(Access(access or path / FILE), is_local)
        if not is_local and not self.door.has_secrets:
            raise DeviceError(
                f"{path}: other machines may ask only where a PIN or a token is set up; see `edgesearch access --help`."
            )
        self.metrics = Metrics()
        self.workers = Workers(max(2, os.cpu_count() or 1), ANSWER_S)
        self.readers = Workers(2, ANSWER_S, waiting_per_thread=64)  # a page shows dozens of pictures at once
        self.installer = Workers(1, INSTALL_S)
        self.counts = Counts(store, path)
        self._streams: OrderedDict[str, Stream] = OrderedDict()
        self._streaming: set[str] = set()

    @property
    def device(self) -> Path:
        """The device folder; raises DeviceError: the store is a file."""
        if self.store.overlay is None:
            raise DeviceError(f"{self.path}: is a file; install it in a device folder, and serve that.")
        return self.path

    async def look(self, name: str, frame: bytes, k: int, fast: bool | None) -> tuple[Answer, int]:
        """One more frame of a camera.

        Returns: the answer of the last ones of its scene, and how many these are.
        Raises:  BusyError: the one before is being looked at; or as `Stream.add`.
        """
        key = f"{name}/{k}/{fast}"
        if key in self._streaming:
            raise BusyError("the frame before is being looked at; send the next when it is answered.")
        stream = self._streams.pop(key, None) or self.store.stream(k=k, fast=fast)
        self._streams[key] = stream
        if len(self._streams) > MOST_STREAMS:
            self._streams.popitem(last=False)
        self._streaming.add(key)
        try:
            return await self.workers.run(stream.add, frame), len(stream)
        finally:
            self._streaming.discard(key)

    def forget(self, name: str) -> None:
        """A camera shows something else."""
        for key in [key for key in self._streams if key.startswith(f"{name}/")]:
            del self._streams[key]

    def record(self, what: str, visitor: Visitor, **detail: object) -> None:
        """A line in the device's log; raises DeviceError."""
        if self.store.overlay is not None:
            self.store.overlay.record(what, detail, visitor.name or None)

    def close(self) -> None:
        """Wait for the requests under way, and write the lists of counts; the store stays open."""
        self.workers.close()
        self.readers.close()
        self.installer.close()
        self.counts.rest(idle_s=0)
