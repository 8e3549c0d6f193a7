"""numpy's matrix products on one thread, for processes of our own.

Several threads make those of one photo hardly quicker, and then spin for a while, which takes the processors from other
photos and from the battery: two threads that search drawn photos on two cores answer 25.9 a second instead of 18.2, for
71 ms of a processor each instead of 103.
"""

import threadpoolctl


def on_one_thread() -> None:
    """From now on, in the whole process."""
    threadpoolctl.threadpool_limits(1, "blas")
