"""`tools/bench readme`: write the figures of `tools/bench all` where README.md and docs/ quote them.

The text stays as a person wrote it. Each sentence of `quotes.md` must stand exactly once in the file under whose name
it is listed; its lines may be broken anywhere. Only its fields are written. To change such a sentence, change it in
both files.
"""

import argparse
import re
from collections.abc import Mapping
from pathlib import Path

from ..context import Results
from . import figures_page
from .measure_all import PAGE
from .templates import rewrite


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""


def run(options: argparse.Namespace, folder: Path) -> str:
    """Write page, plots and sentences.

    Raises: ValueError: a sentence or a figure is missing.
    """
    root = Path()
    texts = wanted_texts(root, figures_page.read(root / PAGE))
    changed = [path for path, text in texts.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in changed:
        path.write_text(texts[path], encoding="utf-8")
    return f"written: {', '.join(map(str, changed)) or 'nothing, all files are up to date'}"


def sentences() -> dict[str, list[str]]:
    """Return the sentences of `quotes.md` by the file in which they stand."""
    text = Path(__file__).with_suffix(".md").read_text(encoding="utf-8")
    files = (part.strip().split("\n\n") for part in re.split(r"^# ", text, flags=re.M)[1:])
    return {name: templates for name, *templates in files}


def wanted_texts(root: Path, figures: Mapping[str, Results]) -> dict[Path, str]:
    """Return the text that each file with figures should have.

    Raises: ValueError: a sentence or a figure is missing.
    """
    good = {name: found for name, found in figures.items() if figures_page.FAILED not in found}
    texts = {root / PAGE / name: drawing for name, drawing in figures_page.draw_plots(figures).items()}
    texts[root / PAGE.with_suffix(".md")] = figures_page.format_page(figures, PAGE.name)
    for name, templates in sentences().items():
        path = root / name
        text = path.read_text(encoding="utf-8")
        for template in templates:
            try:
                text = rewrite(text, template, good)
            except ValueError as error:
                raise ValueError(f"{path}: {error}") from error
        texts[path] = text
    return texts
