"""Words and filters in JavaScript, run by node, find what Python finds."""

import json
from pathlib import Path

import pytest

from edgesearch.browser.runtime_files import find_runtime_files
from edgesearch.errors import SiteError
from tests.browser import grammar, word_vectors
from tests.browser.test_engine import run_node


def test_word_vectors_are_what_python_answers() -> None:
    stored = json.loads(word_vectors.PATH.read_text(encoding="utf-8"))
    assert json.loads(json.dumps(word_vectors.make())) == stored, "run python -m tests.browser.word_vectors"


def test_grammar_is_that_of_python() -> None:
    assert grammar.PATH.read_text(encoding="utf-8") == grammar.make(), "run python -m tests.browser.grammar"


@pytest.mark.slow
def test_javascript_finds_the_same_by_words(tmp_path: Path) -> None:
    try:
        files = find_runtime_files([])
    except SiteError as error:
        pytest.skip(str(error))
    for name in ("index.mjs", "sqlite3.wasm"):
        (tmp_path / name).write_bytes(files[name])
    run_node(Path(__file__).with_name("words.test.mjs"), SQLITE=tmp_path)
