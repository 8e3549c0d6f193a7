"""Stopping running work, and awaiting it."""

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import edgesearch
from edgesearch import AsyncStore, BusyError, DeviceError, Stop, StoppedError, Store
from edgesearch._util import stopping


def test_a_stop_stops_the_calls_inside_it(store: Store, photo: Path) -> None:
    with Stop() as stop:
        expected = store.search(photo).matches
        stop.set()
        with pytest.raises(StoppedError, match="call was stopped"):
            store.search(photo)
    assert store.search(photo).matches == expected


def test_a_stop_has_a_time_limit(store: Store, photo: Path) -> None:
    with Stop(after_s=0), pytest.raises(StoppedError, match="longer than its 0 s"):
        store.search(photo)
    with Stop(after_s=0), Stop(), pytest.raises(StoppedError):  # that around it counts too
        store.search(photo)
    with Stop(after_s=600) as stop, stop:
        assert store.search(photo).matches


def test_other_threads_are_not_stopped(store: Store, photo: Path) -> None:
    with Stop() as stop:
        stop.set()
        found: list[int] = []
        thread = threading.Thread(target=lambda: found.append(len(store.search(photo).matches)))
        thread.start()
        thread.join()
    assert found == [5]


def test_the_network_is_interrupted(shop_edge: Path) -> None:
    with edgesearch.open(shop_edge) as store, Stop() as stop:
        embedder = store.base.embedder
        many = np.zeros((32, 3, 224, 224), np.float32)
        threading.Timer(0.02, stop.set).start()
        start = time.monotonic()
        with pytest.raises(StoppedError):
            embedder.run(many)
        stopped_s = time.monotonic() - start
    start = time.monotonic()
    embedder.run(many)
    assert stopped_s < time.monotonic() - start


@pytest.mark.slow
def test_each_stage_can_be_stopped(store: Store, photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checks = 0
    real = stopping.check

    def count() -> None:
        nonlocal checks
        checks += 1
        real()

    monkeypatch.setattr(stopping, "check", count)
    store.search(photo)
    assert checks > 6  # at each stage, and at each picture whose local features are compared
    for last in range(1, checks):
        left = last

        def fail() -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise StoppedError("here")

        monkeypatch.setattr(stopping, "check", fail)
        with pytest.raises(StoppedError, match="here"):
            store.search(photo)
    monkeypatch.undo()
    assert store.search(photo).matches


def test_a_stopped_enrolment_changes_nothing(store: Store, photo: Path) -> None:
    with Stop() as stop:
        stop.set()
        with pytest.raises(StoppedError):
            store.enrol("NEW", [photo], name="new")
    assert "NEW" not in store.skus()
    assert store.enrol("NEW", [photo], name="new").pictures == 1


def test_all_calls_can_be_awaited(device: Path, photo: Path) -> None:
    async def ask() -> None:
        async with await AsyncStore.open(device, warm=True) as store:
            answer = await store.search(photo, k=3)
            assert answer.matches == store.store.search(photo, k=3).matches
            enrolled = await store.enrol("NEW", [photo], name="new")
            assert enrolled.product.name == "new"
            assert (await store.edit("NEW", price=2)).price == 2.0
            assert "NEW" in await store.skus()
            assert (await store.picture(answer.matches[0])).startswith(b"\xff\xd8")
            assert await store.similar(answer.matches[0].sku, k=1)
            assert (await store.undo()).what == "undo"
            stream = store.stream(frames=2)
            assert [(await stream.add(photo)).photo.count("jpg") for _ in range(3)] == [1, 2, 2]
            with pytest.raises(ValueError, match="k is 0"):
                await store.search(photo, k=0)
        with pytest.raises(DeviceError, match="was closed"):
            store.store.search(photo)

    asyncio.run(ask())


def until_stopped(begun: threading.Event, ended: threading.Event) -> Callable[[], None]:
    """Return a function that works until it is stopped."""

    def work() -> None:
        begun.set()
        try:
            while True:
                stopping.check()
                time.sleep(0.001)
        finally:
            ended.set()

    return work


def test_a_cancelled_call_frees_its_worker(store: Store, photo: Path) -> None:
    async def ask() -> None:
        async with AsyncStore(store, workers=1) as awaited:
            begun, ended = threading.Event(), threading.Event()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(awaited.run(until_stopped(begun, ended)), 0.05)
            assert (await asyncio.wait_for(awaited.search(photo), 30)).matches
            assert begun.is_set()
            assert ended.is_set()

    asyncio.run(ask())


def test_a_waiting_call_can_be_cancelled(store: Store, photo: Path) -> None:
    async def ask() -> None:
        async with AsyncStore(store, workers=1) as awaited:
            begun, ended = threading.Event(), threading.Event()
            first = asyncio.create_task(awaited.run(until_stopped(begun, ended)))
            second = asyncio.create_task(awaited.search(photo))
            await asyncio.sleep(0.01)
            assert awaited.waiting == 1
            second.cancel()
            first.cancel()
            results = await asyncio.gather(first, second, return_exceptions=True)
            assert [type(one) for one in results] == [asyncio.CancelledError] * 2
            assert (await awaited.search(photo)).matches
            assert awaited.waiting == 0

    asyncio.run(ask())


def test_calls_beyond_the_limit_are_refused(store: Store, photo: Path) -> None:
    async def ask() -> None:
        async with AsyncStore(store, workers=2, most_waiting=3) as awaited:
            asked = [awaited.search(photo) for _ in range(9)]
            results = await asyncio.gather(*asked, return_exceptions=True)
            refused = [one for one in results if isinstance(one, BusyError)]
            assert len(refused) == 4
            assert "3 calls wait already for 2" in str(refused[0])
            assert len(await asyncio.gather(*[awaited.search(photo) for _ in range(5)])) == 5

    asyncio.run(ask())
    with pytest.raises(ValueError, match="workers is 0"):
        AsyncStore(store, workers=0)
