"""numpy's matrix products are kept to one thread while anybody asks for it."""

import pytest
import threadpoolctl

from edgesearch._util import blas


def threads() -> set[int]:
    return {one["num_threads"] for one in threadpoolctl.threadpool_info() if one["user_api"] == "blas"}


def test_it_ends_with_the_last_who_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blas, "_users", 0)  # other tests ask for the whole process
    monkeypatch.setattr(blas, "_limits", [])
    with threadpoolctl.threadpool_limits(2, "blas"):
        one, other = blas.one_thread(), blas.one_thread()
        one.__enter__()
        other.__enter__()
        one.__exit__(None, None, None)
        assert threads() == {1}
        other.__exit__(None, None, None)
        assert threads() == {2}
