"""A store for asyncio: what is awaited runs in a few threads, and stops there when nobody waits for it any more.

asyncio is imported by who uses this: to import it takes a tenth of what edgesearch takes.
"""

import contextlib
import functools
import os
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from .._util.stopping import Stop
from ..answer import Answer
from ..bundle.sealing import Key
from ..errors import BusyError
from ..images.image import Photo
from ..search.frame_stream import Stream
from .store import Store
from .store import open as open_store

if TYPE_CHECKING:
    import asyncio

MOST_WAITING = 64
P = ParamSpec("P")
T = TypeVar("T")


class Workers:
    """A few threads for what is awaited in one event loop: as many run at once, so many wait, and no more."""

    def __init__(self, threads: int | None = None, most_waiting: int = MOST_WAITING):
        """
        Args:    threads: that run at once, None for as many as there are cores, 4 at most; most_waiting: for their
                 turn; who comes then is refused at once.
        Raises:  ValueError: fewer than one thread, or than none waiting.
        """
        import asyncio

        threads = min(4, os.cpu_count() or 1) if threads is None else threads
        if threads < 1 or most_waiting < 0:
            raise ValueError(f"workers is {threads} and most_waiting {most_waiting}; expected at least 1 and 0.")
        self._threads, self.places = threads, threads + most_waiting
        self._pool = ThreadPoolExecutor(threads, "edgesearch")
        self._turn, self._asked = asyncio.Semaphore(threads), 0

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return max(0, self._asked - self._threads)

    async def run(self, work: Callable[[], T]) -> T:
        """What a function returns, called in a thread; where it asks a store, it may be stopped as that may be.

        Raises:  BusyError: too many wait already; and what it raises.
        """
        import asyncio

        if self._asked >= self.places:
            raise BusyError(
                f"{self.places - self._threads} questions wait already for {self._threads} to be answered; ask again "
                "later."
            )
        loop, stop = asyncio.get_running_loop(), Stop()
        self._asked += 1
        try:
            await self._turn.acquire()
        except BaseException:
            self._asked -= 1
            raise
        running = self._pool.submit(_stopped_by, stop, work)
        running.add_done_callback(lambda _: _soon(loop, self._done))
        try:
            return await asyncio.wrap_future(running)
        except asyncio.CancelledError:
            stop.set()
            raise

    def close(self) -> None:
        """Wait for what runs."""
        self._pool.shutdown()

    def _done(self) -> None:
        """Not before the thread is free, which may be after nobody waits for it any more."""
        self._asked -= 1
        self._turn.release()


def _awaitable(
    method: Callable[Concatenate[Store, P], T],
) -> Callable[Concatenate["AsyncStore", P], Coroutine[Any, Any, T]]:
    """A method of a store, as one to be awaited."""

    @functools.wraps(method)
    async def call(self: "AsyncStore", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.run(functools.partial(method, self.store, *args, **kwargs))

    return call


class AsyncStore:
    """A store whose methods are awaited, in one event loop; what each does and raises is said of `Store`.

    async with await edgesearch.AsyncStore.open("device/") as store:
        answer = await asyncio.wait_for(store.search("photo.jpg"), timeout=0.5)

    As many as there are workers run at once, the others wait for their turn. One that is cancelled, or timed out, stops
    at its next stage, and gives its worker to the next then.

    Attributes: store: whose methods may be called as well, and hold up the loop.
    """

    search = _awaitable(Store.search)
    similar = _awaitable(Store.similar)
    feedback = _awaitable(Store.feedback)
    skus = _awaitable(Store.skus)
    named = _awaitable(Store.named)
    products = _awaitable(Store.products)
    references = _awaitable(Store.references)
    facets = _awaitable(Store.facets)
    embed = _awaitable(Store.embed)
    picture = _awaitable(Store.picture)
    enrol = _awaitable(Store.enrol)
    edit = _awaitable(Store.edit)
    remove = _awaitable(Store.remove)
    undo = _awaitable(Store.undo)
    reopen = _awaitable(Store.reopen)
    explain = _awaitable(Store.explain)
    compare = _awaitable(Store.compare)

    def __init__(self, store: Store, workers: int | None = None, most_waiting: int = MOST_WAITING):
        """store: is closed with this; workers, most_waiting: as `Workers` has them."""
        self.store, self._workers = store, Workers(workers, most_waiting)

    @classmethod
    async def open(
        cls,
        path: str | os.PathLike[str],
        threads: int | None = None,
        trust: Path | None = None,
        key: Key | None = None,
        *,
        warm: bool = False,
        workers: int | None = None,
        most_waiting: int = MOST_WAITING,
    ) -> "AsyncStore":
        """As `edgesearch.open`, which reads and verifies much, in a thread; workers, most_waiting: as `AsyncStore`."""
        import asyncio

        store = await asyncio.to_thread(open_store, path, threads, trust, key, warm=warm)
        return cls(store, workers, most_waiting)

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return self._workers.waiting

    def stream(self, *args: Any, **kwargs: Any) -> "AsyncStream":
        """As `Store.stream`, of frames to be awaited."""
        return AsyncStream(self, self.store.stream(*args, **kwargs))

    async def run(self, work: Callable[[], T]) -> T:
        """What a function returns that asks the store; as `Workers.run`."""
        return await self._workers.run(work)

    async def close(self) -> None:
        """Wait for what runs, and close the store."""
        import asyncio

        await asyncio.to_thread(self._workers.close)
        await asyncio.to_thread(self.store.close)

    async def __aenter__(self) -> "AsyncStore":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class AsyncStream:
    """A camera's frames, each to be awaited; as `Stream`."""

    def __init__(self, store: AsyncStore, stream: Stream):
        """stream: of that store."""
        self._store, self._stream = store, stream

    async def add(self, frame: Photo) -> Answer:
        """As `Stream.add`."""
        return await self._store.run(functools.partial(self._stream.add, frame))

    def clear(self) -> None:
        """As `Stream.clear`."""
        self._stream.clear()


def _stopped_by(stop: Stop, work: Callable[[], T]) -> T:
    with stop:
        stop.check()
        return work()


def _soon(loop: "asyncio.AbstractEventLoop", act: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop was closed, and nobody waits
        loop.call_soon_threadsafe(act)
