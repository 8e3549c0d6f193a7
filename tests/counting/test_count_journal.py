"""The journal of a count: damage, full disks and killed processes."""

import contextlib
import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import edgesearch
from edgesearch import CountError
from edgesearch.counting import count_journal
from edgesearch.counting.photo_count import Count

from .count_folder import CountFolder


def test_one_process_counts_at_a_time(counting: CountFolder) -> None:
    with counting.count(), pytest.raises(CountError, match="another count"):
        counting.count()
    counting.count().__exit__(None)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ('{"format": 1}\n' + json.dumps(count_journal.CountEntry("p", "a", (), "kept").to_dict()), "status kept"),  # type: ignore[arg-type]
        ('{"format": 2}', "format 2"),
        ('{"format": 1}\n{}', "line 2"),
        ('{"format": 1}\nnull\n{}', "line 2"),
    ],
)
def test_a_damaged_session_is_reported(counting: CountFolder, line: str, found: str) -> None:
    counting.session.write_text(f"{line}\n")
    with pytest.raises(CountError, match=found):
        counting.count()


def test_a_truncated_session_continues(counting: CountFolder) -> None:
    counting.take(one="A1", two="B", three="?")
    counting.run()
    whole, lists = counting.session.read_bytes(), [counting.output.read_bytes(), counting.review.read_bytes()]
    for end in (*range(0, len(whole), 23), *range(12, 17), *range(len(whole) - 3, len(whole))):
        counting.session.write_bytes(whole[:end])
        counting.run()
        assert [counting.output.read_bytes(), counting.review.read_bytes()] == lists
        assert sorted(counting.session.read_bytes().split(b"\n")) == sorted(whole.split(b"\n"))


@contextlib.contextmanager
def full_after(writes: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Simulate a disk that is full after a number of writes to the session; the last line is written by half."""
    write, left = os.write, iter(range(writes))

    def half(descriptor: int, data: Any) -> int:
        if next(left, None) is None:
            write(descriptor, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", half)
        yield


@pytest.mark.parametrize("writes", range(4))
def test_a_full_disk_loses_only_the_photo_being_counted(
    counting: CountFolder, writes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting.take(one="A1", two="B", three="A3")
    with full_after(writes, monkeypatch), pytest.raises(CountError, match="No space left"):
        counting.run()
    assert writes == 0 or sum(counting.counted().values()) == writes - 1
    counting.run()
    assert counting.counted() == {"A": 2, "B": 1}
    assert counting.session.read_bytes().count(b"\n") == 4
    assert counting.store.asked == 4 - (writes == 0)


KILLED = """
import os, sys, edgesearch
from pathlib import Path
from edgesearch.counting.photo_count import Count
calls, last, sync = [], int(sys.argv[4]), os.fsync
def fsync(descriptor):
    calls.append(0)
    if len(calls) == last:
        os.kill(os.getpid(), 9)
    sync(descriptor)
os.fsync = fsync
with edgesearch.open(sys.argv[1]) as store, Count(store, Path(sys.argv[3])) as count:
    count.add_photos([Path(sys.argv[2])])
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_count_killed_at_any_step_ends_with_the_same_lists(tiny_edge: Path, shop: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for path in sorted((shop / "photos").glob("*.jpg"))[:3]:
        (folder / path.name).write_bytes(path.read_bytes())
    with edgesearch.open(tiny_edge) as store, Count(store, tmp_path / "expected.csv") as count:
        count.add_photos([folder])
    expected = [(tmp_path / f"expected{end}").read_bytes() for end in (".csv", ".review.csv")]
    output = tmp_path / "stock.csv"
    for step in range(1, 20):  # after the start, at each photo kept and counted, and at each list written and renamed
        arguments = [sys.executable, "-c", KILLED, str(tiny_edge), str(folder), str(output), str(step)]
        killed = subprocess.run(arguments, check=False, stderr=subprocess.DEVNULL).returncode
        assert not output.exists() or output.read_bytes() == expected[0]
        if killed == 0:
            break
        assert killed == -signal.SIGKILL
    assert killed == 0 and step > 5
    with edgesearch.open(tiny_edge) as store, Count(store, output) as count:
        count.add_photos([folder])
    assert [(tmp_path / f"stock{end}").read_bytes() for end in (".csv", ".review.csv")] == expected
    ids = [json.loads(line)["id"] for line in output.with_suffix(".session").read_text().splitlines()[1:]]
    assert len(ids) == len(set(ids)) == 3
