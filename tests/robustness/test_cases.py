"""Check that readers survive the inputs that the fuzzer found, and read sound inputs."""

from pathlib import Path

import pytest
from robustness import reader_inputs, readers

pytestmark = pytest.mark.slow

CASES = sorted(path for path in (Path(__file__).parent / "cases").rglob("*") if path.is_file())


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}/{case.name}")
def test_readers_survive_found_inputs(case: Path) -> None:
    readers.attack(case.parent.name, case.read_bytes())


@pytest.mark.parametrize("name", readers.READERS)
def test_sound_inputs_are_read(name: str) -> None:
    for seed in reader_inputs.seeds(name):
        readers.attack(name, seed)
