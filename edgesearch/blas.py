"""numpy's matrix products on one thread.

Several threads make those of one photo hardly quicker, and then spin for a while, which takes the processors from other
photos and from the battery: of 20 photos a second that eight clients ask for a minute (`tools/bench serve`) the median
is answered after 91 ms instead of 2.5 s on two cores. And what they compute may differ with their number.
"""

import threadpoolctl


def on_one_thread() -> threadpoolctl.threadpool_limits:
    """From now on, in the whole process; as a context, until it ends."""
    return threadpoolctl.threadpool_limits(1, "blas")
