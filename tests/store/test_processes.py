"""Stores in other processes: forked, spawned, pickled."""

import multiprocessing
import os
import pickle
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

import edgesearch
from edgesearch import BundleError, DeviceError, Store

from ..conftest import TINY_MODEL

pytestmark = pytest.mark.slow

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")


def skus(store: Store, photo: Path) -> list[str]:
    return [match.sku for match in store.search(photo).matches]


def run_program(code: str, *arguments: object) -> str:
    """Run a Python program and return its output; it must succeed within a minute."""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code, *map(str, arguments)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=60).stdout


FORKING_PROGRAM = """
import edgesearch, os, sys, threading
device, photo, threads = sys.argv[1:]
store = edgesearch.open(device, threads=int(threads))
before = store.search(photo).matches
pid = os.fork()
if pid == 0:
    assert store.search(photo).matches == before
    store.enrol("CHILD", [photo], name="of the child")
    if int(threads) > 1:
        store.close()
    sys.exit(3)  # not os._exit: what the parent opened must survive the end of the child too
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3
assert "CHILD" in store.skus()
assert store.search(photo).matches
print("well")
"""


@needs_fork
@pytest.mark.parametrize("threads", [1, 4])
def test_forked_process_opens_its_own_store(device: Path, photo: Path, threads: int) -> None:
    assert run_program(FORKING_PROGRAM, device, photo, threads) == "well\n"


LOCKING_PROGRAM = """
import edgesearch, os, sys, threading
store = edgesearch.open(sys.argv[1])
held, go_on = threading.Event(), threading.Event()
def hold():
    with store._session._lock, store.overlay._file._lock:
        held.set(); go_on.wait()
thread = threading.Thread(target=hold); thread.start(); held.wait()
pid = os.fork()
if pid == 0:
    store.search(sys.argv[2])
    os._exit(0)
status = os.waitpid(pid, 0)[1]
go_on.set(); thread.join()
print(status)
"""


@needs_fork
def test_fork_while_locks_are_held_does_not_hang(device: Path, photo: Path) -> None:
    assert run_program(LOCKING_PROGRAM, device, photo) == "0\n"


@needs_fork
def test_forked_process_reports_a_missing_file(tiny_edge: Path, photo: Path, tmp_path: Path) -> None:
    path = shutil.copy(tiny_edge, tmp_path / "gone.edge")
    with edgesearch.open(path) as store, multiprocessing.get_context("fork").Pool(1) as pool:
        Path(path).unlink()
        for _ in range(2):  # the worker lives on
            with pytest.raises(BundleError, match=r"gone\.edge: cannot be read"):
                pool.apply_async(skus, (store, photo)).get(60)
        assert store.search(photo).matches  # the parent has it open


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_process_pool_searches(store: Store, photo: Path, shop: Path, method: str) -> None:
    store.enrol("NEW", [photo], name="taught here")
    photos = sorted((shop / "photos").glob("*.jpg"))[:4]
    expected = [store.search(one).matches for one in photos]
    with ProcessPoolExecutor(2, multiprocessing.get_context(method)) as pool:
        assert [answer.matches for answer in pool.map(store.search, photos, timeout=60)] == expected


def test_pickle_is_opened_once_in_a_process(store: Store, tiny_edge: Path) -> None:
    data = pickle.dumps(store)
    one, other = pickle.loads(data), pickle.loads(data)
    assert one is other
    assert one is not store
    one.close()
    again = pickle.loads(data)
    assert not again.closed
    again.close()


def test_pickle_opens_the_installed_bundle(store: Store, shop: Path, device: Path, tmp_path: Path) -> None:
    data = pickle.dumps(store)
    first = pickle.loads(data)
    before = first.bundle.digest
    later = first.bundle.manifest.sequence + 1
    edgesearch.build(shop / "catalogue.csv", tmp_path / "next.edge", TINY_MODEL, sequence=later)
    edgesearch.install(tmp_path / "next.edge", device)
    assert pickle.loads(data).bundle.digest != before
    first.close()


def test_reopen_keeps_an_unchanged_file_open(tiny_edge: Path, shop_edge: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(tiny_edge, tmp_path / "shop.edge"))
    with edgesearch.open(path) as store:
        base = store.base
        assert not store.reopen()
        assert store.base is base
        shutil.copy(shop_edge, tmp_path / "next.edge")
        os.replace(tmp_path / "next.edge", path)
        assert store.reopen()


def test_store_with_key_or_closed_store_refuses_to_pickle(store: Store, tiny_edge: Path, tmp_path: Path) -> None:
    edgesearch.install(tiny_edge, tmp_path / "sealed", encrypt=True, key=b"k" * 32)
    sealed = edgesearch.open(tmp_path / "sealed", key=b"k" * 32)
    with sealed, pytest.raises(DeviceError, match="its key is not put into a pickle"):
        pickle.dumps(sealed)
    with pytest.raises(DeviceError, match="was closed"):
        pickle.dumps(sealed)


def test_answers_can_be_pickled(store: Store, photo: Path) -> None:
    answer = store.search(photo, text="mug")
    assert pickle.loads(pickle.dumps(answer)) == answer


def test_warm_up_loads_the_words_and_stops_with_the_store(device: Path, photo: Path) -> None:
    with edgesearch.open(device) as store:
        end = store.warm_up(words=True)
        assert end.result(60) is None
        assert "words" in vars(store._gallery())
        assert store.search(photo).matches
    with edgesearch.open(device, warm=True) as store:
        store.close()  # in the middle of it, or before
    assert not [one for one in threading.enumerate() if one.name.startswith("edgesearch-warm")]
