"""Fixtures of counts."""

from pathlib import Path

import pytest

from .count_folder import CountFolder


@pytest.fixture
def counting(tmp_path: Path) -> CountFolder:
    """Return an empty folder of photos."""
    return CountFolder(tmp_path)
