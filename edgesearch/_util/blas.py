"""Limit numpy's matrix products to one thread.

Several threads hardly speed up the products of one photo. Afterwards they spin for a while, which costs other photos
processor time and a device battery. With eight clients asking 20 photos a second for a minute (`tools/bench serve`) on
two cores, the median answer takes 91 ms with one thread and 2.5 s with several. Also, results may depend on the number
of threads.
"""

import contextlib
import threading
from collections.abc import Iterator

import threadpoolctl

_lock = threading.Lock()
_limits: list[threadpoolctl.threadpool_limits] = []
_users = 0  # contexts that hold the limit; a limit for the whole process counts for ever


def use_one_thread() -> None:
    """Use one thread in this process from now on."""
    global _users
    with _lock:
        _users += 1
        _limits.append(threadpoolctl.threadpool_limits(1, "blas"))


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Use one thread in this process until the last such context ends."""
    global _users
    use_one_thread()
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            while _limits and not _users:
                _limits.pop().restore_original_limits()
