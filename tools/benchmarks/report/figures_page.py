"""Format the page of figures as Markdown, from `figures.json` alone."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from edgesearch._util import files

from ..context import Results, number
from .plots import PLOTS
from .sections import RUNS, SECTIONS, Section
from .templates import fill

FIGURES_FILE = "figures.json"
FAILED = "failed"  # key of the reason, in place of figures
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


def read(folder: Path) -> dict[str, Results]:
    """Read the figures by the names of their runs; return nothing if the file is missing."""
    file = folder / FIGURES_FILE
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def write(folder: Path, figures: Mapping[str, Results]) -> Path:
    """Write figures, plots, and the page beside the folder; return the path of the page."""
    folder.mkdir(parents=True, exist_ok=True)
    figures = {name: figures[name] for name in RUNS if name in figures}
    with files.replacing(folder / FIGURES_FILE) as file:  # the figures took hours
        file.write((json.dumps(figures, indent=1) + "\n").encode())
    for name, drawing in draw_plots(figures).items():
        (folder / name).write_text(drawing, encoding="utf-8")
    path = folder.with_suffix(".md")
    path.write_text(format_page(figures, folder.name), encoding="utf-8")
    return path


def draw_plots(figures: Mapping[str, Results]) -> dict[str, str]:
    """Draw the plots of the measured figures; return them by the names of their files."""
    good = _successful(figures)
    plots = {name: PLOTS[name](good) for section in SECTIONS for name in section.plots}
    return {f"{name}.svg": plot for name, plot in plots.items() if plot}


def format_page(figures: Mapping[str, Results], folder: str) -> str:
    """Return the page; folder: the name of the folder of plots and figures beside it."""
    plots = draw_plots(figures)
    quick = QUICK if any(found["measured"].get("quick") for found in figures.values()) else ""
    parts = [HEAD.format(file=FIGURES_FILE, folder=folder, quick=quick).rstrip("\n")]
    parts += [_section(section, figures, plots, folder) for section in SECTIONS]
    parts.append(MEASURED + "\n".join(_row(figures[name]) for name in RUNS if name in figures))
    took = sum(found["measured"]["took_s"] or 0 for found in figures.values())
    parts.append(f"All of it took {took / 60:,.0f} minutes.")
    return "\n\n".join(parts) + "\n"


def _section(section: Section, figures: Mapping[str, Results], plots: Iterable[str], folder: str) -> str:
    good = {name: found for name, found in _successful(figures).items() if name in section.runs}
    parts = [f"## {section.title}"]
    if section.table:
        parts += [section.text, section.table(good.values()) if good else ""]
    elif len(good) == len(section.runs):
        parts.append(_fill_text(section, good))
    else:  # some runs of the section are missing
        parts += [f"`{_command_of(found)}`:\n\n{found.get('markdown', found['lines'])}" for found in good.values()]
    parts += [_failed(found) for name in section.runs if FAILED in (found := figures.get(name, {}))]
    missing = [name for name in section.runs if name not in figures]
    parts.append(f"Not measured yet: `tools/bench all --only {' --only '.join(missing)}`." if missing else "")
    parts += [f"![{name}]({folder}/{name}.svg)" for name in section.plots if f"{name}.svg" in plots]
    parts.append(", ".join(f"`{_command_of(found)}`" for found in good.values()))
    return "\n\n".join(part for part in parts if part)


def _fill_text(section: Section, good: Mapping[str, Results]) -> str:
    if not section.text:
        return "\n\n".join(one["lines"] for one in good.values())
    try:
        return fill(section.text, good)
    except ValueError as error:  # it was measured before the text asked for that figure
        return f"To be measured again: `tools/bench all --only {' --only '.join(good)}`: {error}"


def _successful(figures: Mapping[str, Results]) -> dict[str, Results]:
    """Return the runs that succeeded, in the page's order, each with its `lines`."""
    found = {name: figures[name] for name in RUNS if name in figures and FAILED not in figures[name]}
    return {name: one | {"lines": _lines(one)} for name, one in found.items()}


def _lines(found: Results) -> str:
    """Return a table with a line for each figure."""
    rows = [(name, value) for name, value in found.items() if isinstance(value, int | float) and name not in CONTEXT]
    return "\n".join(["| | |\n|---|---|", *(f"| {name.replace('_', ' ')} | {number(value)} |" for name, value in rows)])


def _failed(found: Results) -> str:
    return f"**Failed** after {found['measured']['took_s']:.0f} s: `{_command_of(found)}`: {found[FAILED]}"


def _command_of(found: Results) -> str:
    return str(found["command"]).removesuffix(" --json")


def _row(found: Results) -> str:
    """Return a row of the last table; runs older than `tools/bench all` lack duration and load."""
    when = found["measured"]
    cells = [f"`{_command_of(found)}`", *(str(found[name]) for name in CONTEXT), when["on"]]
    took, others = when["took_s"], when["others"]
    cells += ["" if took is None else f"{took:,.0f} s", "" if others is None else f"{others:.0%}"]
    return f"| {' | '.join(cells)} |"
