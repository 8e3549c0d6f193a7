"""A store for asyncio: its calls run in a few threads, and stop when nobody waits for them any more.

Functions import asyncio when they need it: the import takes a tenth as long as that of edgesearch.
"""

import contextlib
import functools
import os
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from .._util.stopping import Stop, run_until_stopped
from ..answer import Answer
from ..bundle.sealing import Key
from ..errors import BusyError
from ..images.image import Photo
from ..search.frame_stream import Stream
from .opening import open as open_store
from .store import Store

if TYPE_CHECKING:
    import asyncio

MAX_WAITING = 64
P = ParamSpec("P")
T = TypeVar("T")


class Workers:
    """A few threads that run the work of one event loop; a limited number of calls may wait for their turn.

    Attributes:
        capacity: Number of calls that may run or wait.
    """

    def __init__(self, threads: int | None = None, most_waiting: int = MAX_WAITING):
        """Start the threads.

        Args:
            threads: Number of threads; None takes one a core, 4 at most.
            most_waiting: Number of calls that may wait; further ones are refused at once.
        Raises:
            ValueError: threads is below 1, or most_waiting below 0.
        """
        import asyncio

        threads = min(4, os.cpu_count() or 1) if threads is None else threads
        if threads < 1 or most_waiting < 0:
            raise ValueError(f"workers is {threads} and most_waiting {most_waiting}; expected at least 1 and 0.")
        self._threads, self.capacity = threads, threads + most_waiting
        self._pool = ThreadPoolExecutor(threads, "edgesearch")
        self._turn, self._pending = asyncio.Semaphore(threads), 0

    @property
    def waiting(self) -> int:
        """Number of calls that wait for their turn."""
        return max(0, self._pending - self._threads)

    async def run(self, work: Callable[[], T]) -> T:
        """Call a function in a thread and return its result; cancelling stops a search inside it at its next stage.

        Raises:
            BusyError: Too many calls wait already.
            Exception: Whatever the function raises.
        """
        import asyncio

        if self._pending >= self.capacity:
            raise BusyError(
                f"{self.capacity - self._threads} calls wait already for {self._threads} that run; ask again later."
            )
        loop, stop = asyncio.get_running_loop(), Stop()
        self._pending += 1
        try:
            await self._turn.acquire()
        except BaseException:
            self._pending -= 1
            raise
        running = self._pool.submit(run_until_stopped, stop, work)
        running.add_done_callback(lambda _: _call_soon(loop, self._release))
        try:
            return await asyncio.wrap_future(running)
        except asyncio.CancelledError:
            stop.set()
            raise

    def close(self) -> None:
        """Wait for the calls that run, and end the threads."""
        self._pool.shutdown()

    def _release(self) -> None:
        """Give the turn to the next call, once the thread is free: possibly after its caller stopped waiting."""
        self._pending -= 1
        self._turn.release()


def _awaitable(
    method: Callable[Concatenate[Store, P], T],
) -> Callable[Concatenate["AsyncStore", P], Coroutine[Any, Any, T]]:
    """Return a method of a store as a coroutine function."""

    @functools.wraps(method)
    async def call(self: "AsyncStore", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.run(functools.partial(method, self.store, *args, **kwargs))

    return call


class AsyncStore:
    """A store whose methods are awaited in one event loop; `Store` documents each of them.

    async with await edgesearch.AsyncStore.open("device/") as store:
        answer = await asyncio.wait_for(store.search("photo.jpg"), timeout=0.5)

    As many calls run at once as there are workers; the others wait for their turn. A call that is cancelled or times
    out stops at its next stage, and then frees its worker.

    Attributes:
        store: The store itself; calling its methods directly blocks the loop.
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
    learn = _awaitable(Store.learn)
    reopen = _awaitable(Store.reopen)
    explain = _awaitable(Store.explain)
    compare = _awaitable(Store.compare)

    def __init__(self, store: Store, workers: int | None = None, most_waiting: int = MAX_WAITING):
        """Wrap a store, which `close` closes too; workers and most_waiting are as for `Workers`."""
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
        most_waiting: int = MAX_WAITING,
    ) -> "AsyncStore":
        """Open a store in a thread, for that may take a while; arguments as for `edgesearch.open` and `Workers`."""
        import asyncio

        store = await asyncio.to_thread(open_store, path, threads, trust, key, warm=warm)
        return cls(store, workers, most_waiting)

    @property
    def waiting(self) -> int:
        """Number of calls that wait for their turn."""
        return self._workers.waiting

    def stream(self, *args: Any, **kwargs: Any) -> "AsyncStream":
        """Return a stream whose frames are awaited; arguments as for `Store.stream`."""
        return AsyncStream(self, self.store.stream(*args, **kwargs))

    async def run(self, work: Callable[[], T]) -> T:
        """Call a function that uses the store, and return its result; as `Workers.run`."""
        return await self._workers.run(work)

    async def close(self) -> None:
        """Wait for the calls that run, and close the store."""
        import asyncio

        await asyncio.to_thread(self._workers.close)
        await asyncio.to_thread(self.store.close)

    async def __aenter__(self) -> "AsyncStore":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class AsyncStream:
    """A camera's frames, each to be awaited; see `Stream`."""

    def __init__(self, store: AsyncStore, stream: Stream):
        """Wrap a stream of the store."""
        self._store, self._stream = store, stream

    async def add(self, frame: Photo) -> Answer:
        """Add a frame and answer the last ones; see `Stream.add`."""
        return await self._store.run(functools.partial(self._stream.add, frame))

    def clear(self) -> None:
        """Forget the frames; see `Stream.clear`."""
        self._stream.clear()


def _call_soon(loop: "asyncio.AbstractEventLoop", act: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed, and nobody waits
        loop.call_soon_threadsafe(act)
