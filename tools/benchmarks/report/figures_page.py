"""The page of figures as Markdown, made of what `figures.json` holds and of nothing else."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from edgesearch._util import files

from ..context import Found, number
from .plots import PLOTS
from .sections import RUNS, SECTIONS, Section
from .templates import filled

FIGURES_FILE = "figures.json"
FAILED = "failed"  # the reason, in place of figures
CONTEXT = ("model", "seed", "device", "instructions", "versions")
HEAD = """# Figures

What `tools/bench all` measured; `tools/bench readme` wrote this page from [{file}]({folder}/{file}).
{quick}
"""
QUICK = "\nSmall sizes, to try the bench itself: nothing here is to be quoted.\n"
MEASURED = """## Measured on

| command | model | seed | device | its instructions | versions | on | took | others took of the processors |
|---|---|---|---|---|---|---|---|---|
"""


def read(folder: Path) -> dict[str, Found]:
    """What was measured, by the name of its run; nothing where nothing was."""
    file = folder / FIGURES_FILE
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def write(folder: Path, figures: Mapping[str, Found]) -> Path:
    """Write what was measured, the plots and the page beside the folder; returns the page."""
    folder.mkdir(parents=True, exist_ok=True)
    figures = {name: figures[name] for name in RUNS if name in figures}
    with files.replacing(folder / FIGURES_FILE) as file:  # what took hours
        file.write((json.dumps(figures, indent=1) + "\n").encode())
    for name, drawing in drawn(figures).items():
        (folder / name).write_text(drawing, encoding="utf-8")
    path = folder.with_suffix(".md")
    path.write_text(text(figures, folder.name), encoding="utf-8")
    return path


def drawn(figures: Mapping[str, Found]) -> dict[str, str]:
    """The plots by the names of their files; none of what was not measured."""
    good = _good(figures)
    plots = {name: PLOTS[name](good) for section in SECTIONS for name in section.plots}
    return {f"{name}.svg": plot for name, plot in plots.items() if plot}


def text(figures: Mapping[str, Found], folder: str) -> str:
    """The page; folder: of plots and figures, beside it."""
    plots = drawn(figures)
    quick = QUICK if any(found["measured"].get("quick") for found in figures.values()) else ""
    parts = [HEAD.format(file=FIGURES_FILE, folder=folder, quick=quick).rstrip("\n")]
    parts += [_section(section, figures, plots, folder) for section in SECTIONS]
    parts.append(MEASURED + "\n".join(_row(figures[name]) for name in RUNS if name in figures))
    took = sum(found["measured"]["took_s"] or 0 for found in figures.values())
    parts.append(f"All of it took {took / 60:,.0f} minutes.")
    return "\n\n".join(parts) + "\n"


def _section(section: Section, figures: Mapping[str, Found], plots: Iterable[str], folder: str) -> str:
    good = {name: found for name, found in _good(figures).items() if name in section.runs}
    parts = [f"## {section.title}"]
    if section.table:
        parts += [section.text, section.table(good.values()) if good else ""]
    elif len(good) == len(section.runs):
        parts.append(_said(section, good))
    else:  # what the text would say of those that are there
        parts += [f"`{_asked(found)}`:\n\n{found.get('markdown', found['lines'])}" for found in good.values()]
    parts += [_failed(found) for name in section.runs if FAILED in (found := figures.get(name, {}))]
    missing = [name for name in section.runs if name not in figures]
    parts.append(f"Not measured yet: `tools/bench all --only {' --only '.join(missing)}`." if missing else "")
    parts += [f"![{name}]({folder}/{name}.svg)" for name in section.plots if f"{name}.svg" in plots]
    parts.append(", ".join(f"`{_asked(found)}`" for found in good.values()))
    return "\n\n".join(part for part in parts if part)


def _said(section: Section, good: Mapping[str, Found]) -> str:
    if not section.text:
        return "\n\n".join(one["lines"] for one in good.values())
    try:
        return filled(section.text, good)
    except ValueError as error:  # it was measured before it was asked for that
        return f"To be measured again: `tools/bench all --only {' --only '.join(good)}`: {error}"


def _good(figures: Mapping[str, Found]) -> dict[str, Found]:
    """Those that were measured, in the page's order, each with its `lines`."""
    found = {name: figures[name] for name in RUNS if name in figures and FAILED not in figures[name]}
    return {name: one | {"lines": _lines(one)} for name, one in found.items()}


def _lines(found: Found) -> str:
    """A line a figure."""
    rows = [(name, value) for name, value in found.items() if isinstance(value, int | float) and name not in CONTEXT]
    return "\n".join(["| | |\n|---|---|", *(f"| {name.replace('_', ' ')} | {number(value)} |" for name, value in rows)])


def _failed(found: Found) -> str:
    return f"**Failed** after {found['measured']['took_s']:.0f} s: `{_asked(found)}`: {found[FAILED]}"


def _asked(found: Found) -> str:
    return str(found["command"]).removesuffix(" --json")


def _row(found: Found) -> str:
    """Of the table at the end; what was measured before there was `all` lacks how long and how busy."""
    when = found["measured"]
    cells = [f"`{_asked(found)}`", *(str(found[name]) for name in CONTEXT), when["on"]]
    took, others = when["took_s"], when["others"]
    cells += ["" if took is None else f"{took:,.0f} s", "" if others is None else f"{others:.0%}"]
    return f"| {' | '.join(cells)} |"
