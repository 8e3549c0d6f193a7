"""numpy's matrix products are kept to one thread while anybody asks for it."""

import threadpoolctl

from edgesearch import blas


def threads() -> set[int]:
    return {one["num_threads"] for one in threadpoolctl.threadpool_info() if one["user_api"] == "blas"}


def test_it_ends_with_the_last_who_asked() -> None:
    with threadpoolctl.threadpool_limits(2, "blas"):
        one, other = blas.one_thread(), blas.one_thread()
        one.__enter__()
        other.__enter__()
        one.__exit__(None, None, None)
        assert threads() == {1}
        other.__exit__(None, None, None)
        assert threads() == {2}
