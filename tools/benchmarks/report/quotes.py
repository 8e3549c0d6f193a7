"""`tools/bench readme`: the figures that README.md and docs/ quote, written from what `tools/bench all` measured.

The text stays as a person wrote it. Each sentence of `quoted.md` must stand once in the file below whose name it is,
lines broken anywhere; its fields are what is written. Whoever changes such a sentence changes it there too.
"""

import argparse
import re
from collections.abc import Mapping
from pathlib import Path

from ..context import Found
from . import figures_page
from .measure_all import PAGE
from .templates import rewritten


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """None."""


def run(options: argparse.Namespace, folder: Path) -> str:
    """Write page, plots and sentences; raises ValueError as `wanted`."""
    root = Path()
    texts = wanted(root, figures_page.read(root / PAGE))
    changed = [path for path, text in texts.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in changed:
        path.write_text(texts[path], encoding="utf-8")
    return f"written: {', '.join(map(str, changed)) or 'nothing, all is as it was measured'}"


def sentences() -> dict[str, list[str]]:
    """Those of `quoted.md`, by the file in which they stand."""
    text = Path(__file__).with_suffix(".md").read_text(encoding="utf-8")
    files = (part.strip().split("\n\n") for part in re.split(r"^# ", text, flags=re.M)[1:])
    return {name: templates for name, *templates in files}


def wanted(root: Path, figures: Mapping[str, Found]) -> dict[Path, str]:
    """What each file that shows figures should hold; raises ValueError: a sentence or a figure is missing."""
    good = {name: found for name, found in figures.items() if figures_page.FAILED not in found}
    texts = {root / PAGE / name: drawing for name, drawing in figures_page.drawn(figures).items()}
    texts[root / PAGE.with_suffix(".md")] = figures_page.text(figures, PAGE.name)
    for name, templates in sentences().items():
        path = root / name
        text = path.read_text(encoding="utf-8")
        for template in templates:
            try:
                text = rewritten(text, template, good)
            except ValueError as error:
                raise ValueError(f"{path}: {error}") from error
        texts[path] = text
    return texts
