"""Check the simulation of a device that learns."""

import argparse
from pathlib import Path

import numpy as np
import pytest
from benchmarks import learning
from PIL import Image

from ..conftest import TINY_MODEL


def test_coverage_is_the_largest_share_with_the_precision() -> None:
    right = np.array([True] * 19 + [False, False])
    assert learning.coverage(np.linspace(1, 0, 21), right) == 20 / 21
    assert learning.coverage(np.linspace(0, 1, 21), right) == 0.0
    assert learning.coverage(np.array([0.5]), np.array([True])) == 1.0


def write_groceries(folder: Path) -> None:
    """Write pictures of three made-up products, listed as the real photos are."""
    folder.mkdir()
    classes = ["Class ID (int),Class Name (str),Iconic Image Path (str)"]
    lists: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    for number in range(3):
        classes.append(f"{number},Product-{number},{number}-0.png")
        for photo in range(9):
            pixels = np.random.default_rng([number, photo]).integers(0, 256, (9, 9, 3), np.uint8)
            Image.fromarray(pixels.repeat(30, 0).repeat(30, 1)).save(folder / f"{number}-{photo}.png")
            part = "test" if photo > 6 else "val" if photo > 5 else "train"
            lists[part].append(f"{number}-{photo}.png, {number}, 0")
    (folder / "classes.csv").write_text("\n".join(classes))
    for part, lines in lists.items():
        (folder / f"{part}.txt").write_text("\n".join(lines))


@pytest.mark.slow
def test_photos_arrive_are_learned_and_asked(tmp_path: Path) -> None:
    write_groceries(tmp_path / "groceries")
    parser = argparse.ArgumentParser()
    learning.add_arguments(parser)
    options = parser.parse_args(["--data", str(tmp_path), "--model", str(TINY_MODEL), "--stages", "0", "2"])
    (tmp_path / "work").mkdir()
    found = learning.run(options, tmp_path / "work")
    assert [row["scans"] for row in found["results"]] == [0, 2, "all"]
    for row in found["results"]:
        assert all(0 <= row[name] <= 1 for name in ("recall@1", "coverage@95", "missed"))
    assert sum(found["lessons"].values()) == 21
