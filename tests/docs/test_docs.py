"""Check that the documentation says what the package does: every example runs, every command and link exists."""

import re
import shutil
from pathlib import Path

import pytest

import edgesearch
from edgesearch.commands.cli import COMMANDS

from ..conftest import ROOT, TINY_MODEL

PAGES = sorted(path for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")))
MAX_WORDS = 600  # of the README


def code_blocks(page: Path, language: str) -> list[str]:
    """Return the fenced blocks of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)


@pytest.fixture
def examples_folder(shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working folder that docs/python.md describes; builds there use the tiny model."""
    for name, photo in (("photo.jpg", "P000001-1.jpg"), ("other.jpg", "P000002-1.jpg")):
        shutil.copy(shop / "photos" / photo, tmp_path / name)
    shutil.copy(shop / "catalogue.csv", tmp_path)
    shutil.copytree(shop / "pictures", tmp_path / "pictures")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("edgesearch.embedding.shipped_models.default_model", lambda: TINY_MODEL)
    return tmp_path


@pytest.mark.slow
@pytest.mark.usefixtures("examples_folder")
def test_examples_of_the_python_page_run() -> None:
    names: dict[str, object] = {"__name__": "python"}
    for block in code_blocks(ROOT / "docs" / "python.md", "python"):
        exec(compile(block, "docs/python.md", "exec"), names)


def test_python_page_shows_every_public_call() -> None:
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    functions = {name for name in edgesearch.__all__ if name.islower()}
    methods = {name for name in vars(edgesearch.Store) if not name.startswith("_")}
    methods -= {"base", "bundle", "overlay"}  # parts of the engine, for edgesearch itself
    missing = [name for name in sorted(functions) if f"edgesearch.{name}(" not in page]
    missing += [name for name in sorted(methods) if not re.search(rf"\bstore\.{name}\b", page)]
    assert missing == []


def test_start_page_shows_every_command() -> None:
    page = (ROOT / "docs" / "start.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\$ edgesearch (\w+)", page, re.M)) == set(COMMANDS)


def test_readme_is_short_and_shows_six_commands() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(readme.split()) <= MAX_WORDS
    commands = re.findall(r"^\$ edgesearch (\w+)", readme, re.M)
    assert len(commands) == 6
    assert set(commands) <= set(COMMANDS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    targets = [target.split("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in target]
    assert [target for target in targets if target and not (page.parent / target).exists()] == []


def test_files_named_for_changes_exist() -> None:
    """Check the table "Where does my change go?", but for files that the change itself would add."""
    table = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("## How we write")[0]
    named = re.findall(r"`((?:edgesearch|tools)/[^`]+)`", table)
    assert len(named) >= 10
    assert [name for name in named if not (ROOT / name).exists()] == ["edgesearch/web/i18n/pl.json"]


def test_every_docs_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    pages = {path.name for path in ROOT.glob("docs/*.md")} - {"README.md"}
    assert pages <= set(re.findall(r"\(([\w.-]+\.md)\)", index))
