"""numpy's matrix products on one thread.

Several threads make those of one photo hardly quicker, and then spin for a while, which takes the processors from other
photos and from the battery: of 20 photos a second that eight clients ask for a minute (`tools/bench serve`) the median
is answered after 91 ms instead of 2.5 s on two cores. And what they compute may differ with their number.
"""

import contextlib
import threading
from collections.abc import Iterator

import threadpoolctl

_lock = threading.Lock()
_limits: list[threadpoolctl.threadpool_limits] = []
_users = 0  # of the limits; those of a whole process stay


def on_one_thread() -> None:
    """From now on, in the whole process."""
    global _users
    with _lock:
        _users += 1
        _limits.append(threadpoolctl.threadpool_limits(1, "blas"))


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """In the whole process, until the last of such contexts ends."""
    global _users
    on_one_thread()
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            while _limits and not _users:
                _limits.pop().restore_original_limits()
