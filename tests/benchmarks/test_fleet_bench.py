"""Check the simulation of many devices whose pictures are merged."""

import argparse
from pathlib import Path

import pytest
from benchmarks import fleet_learning

from ..conftest import TINY_MODEL


@pytest.mark.slow
def test_devices_export_and_their_pictures_are_merged(tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    fleet_learning.add_arguments(parser)
    given = ["--model", str(TINY_MODEL), "--devices", "6", "--pictures", "240", "--products", "20", "--poisoned", "1"]
    found = fleet_learning.run(parser.parse_args(given), tmp_path)
    assert found["pictures"] == 240
    assert found["wrong"] >= 40  # all of one device, and some of the others
    assert found["wrong_used"] < found["wrong"] / 10
    assert found["recall@1"] > found["recall@1_before"]
    assert found["used"] > 40
