"""numpy's matrix products on one thread, for processes of our own.

Several threads make those of one photo hardly quicker, and then spin for a while, which takes the processors from other
photos and from the battery: of 20 photos a second that eight clients ask for a minute (`tools/bench serve`) the median
is answered after 91 ms instead of 2.5 s on two cores.
"""

import threadpoolctl


def on_one_thread() -> None:
    """From now on, in the whole process."""
    threadpoolctl.threadpool_limits(1, "blas")
