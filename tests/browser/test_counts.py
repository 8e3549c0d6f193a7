"""Counts in a browser give what they give in Python; PINs keep people from what others may do."""

import json
from pathlib import Path

from tests.browser import count_vectors
from tests.browser.test_engine import run_node


def test_count_vectors_are_what_python_answers() -> None:
    stored = json.loads(count_vectors.PATH.read_text(encoding="utf-8"))
    assert json.loads(json.dumps(count_vectors.write())) == stored, "run python -m tests.browser.count_vectors"


def test_counts_in_javascript_are_the_same() -> None:
    run_node(Path(__file__).with_name("counts.test.mjs"))


def test_pins_keep_people_from_what_others_may_do() -> None:
    run_node(Path(__file__).with_name("access.test.mjs"))
