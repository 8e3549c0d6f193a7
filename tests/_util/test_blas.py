"""Limit numpy's matrix products to one thread."""

import pytest
import threadpoolctl

from edgesearch._util import blas


def list_thread_counts() -> set[int]:
    return {pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"}


def test_limit_ends_with_the_last_context(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blas, "_users", 0)  # other tests limit the whole process
    monkeypatch.setattr(blas, "_limits", [])
    with threadpoolctl.threadpool_limits(2, "blas"):
        first, second = blas.one_thread(), blas.one_thread()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert list_thread_counts() == {1}
        second.__exit__(None, None, None)
        assert list_thread_counts() == {2}
