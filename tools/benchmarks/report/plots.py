"""Draw the plots of the page: SVG files that follow the reader's light or dark theme."""

import math
from collections.abc import Callable, Mapping
from itertools import accumulate, pairwise

from edgesearch.html.charts import LETTER_PX, Axis, Plot, Point, amount_axis
from edgesearch.html.markup import Markup

from ..context import Results
from ..index_libraries import LIBRARIES

STYLE = """
svg { color-scheme: light dark; --ink: #14181f; --quiet: #5a6472; --edge: #dde1e7; --paper: #fff;
  --edgesearch: #c04a00; --faiss: #0072b2; --usearch: #00765a; --hnswlib: #8a3fa0; --sqlite-vec: #6b7280; }
@media (prefers-color-scheme: dark) {
  svg { --ink: #e8ebf0; --quiet: #9da7b5; --edge: #2d343e; --paper: #0d1117;
    --edgesearch: #f0894a; --faiss: #56b4e9; --usearch: #2fc79b; --hnswlib: #d09be0; --sqlite-vec: #9da7b5; }
}
text { fill: var(--ink); font: 13px system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif; }
.tick, .axis { fill: var(--quiet); }
.label { font-weight: 600; paint-order: stroke; stroke: var(--paper); stroke-width: 4px; stroke-linejoin: round;
  fill: var(--hue, var(--ink)); }
.grid { stroke: var(--edge); fill: none; }
.line { fill: none; stroke: var(--hue, var(--ink)); stroke-width: 2; stroke-linejoin: round; }
.dot { fill: var(--hue); stroke: var(--paper); }
.bar { fill: var(--hue); }
.edgesearch.line { stroke-width: 3.5; }
"""
HUES = "\n".join(f".{kind} {{ --hue: var(--{kind}); }}" for kind in LIBRARIES)
PREFIXES = {0: "", 3: "k", 6: "M", 9: "G"}
STAGES = {  # stage of a search: the library whose hue it takes
    "image": "sqlite-vec",
    "embed": "edgesearch",
    "index": "faiss",
    "local_features": "usearch",
    "decision": "hnswlib",
    "catalog": "hnswlib",
}
BAR, WIDE = 42, 200  # px of a bar with its gap; px for the names beside bars
ROOM = 1.15  # decades to the right of the last point, for the names
APART = 0.075  # share of the height from name to name


def index_time(figures: Mapping[str, Results]) -> Markup | None:
    """Plot microseconds a query against rows."""
    return _against_rows(figures, "microseconds a query, p50, one thread", lambda one, _: one["p50_us"])


def index_memory(figures: Mapping[str, Results]) -> Markup | None:
    """Plot resident megabytes against rows."""

    def megabytes(one: Results, rows: int) -> float:
        return max(one["resident_bytes_per_row"] * rows / 1e6, 0.1)  # smaller values are below the size of pages

    return _against_rows(figures, "resident MB (0.1 and less at the bottom)", megabytes)


def index_recall(figures: Mapping[str, Results]) -> Markup | None:
    """Plot recall against microseconds for every setting, with the largest number of embeddings."""
    tables = [found for name, found in figures.items() if name.startswith("index-")]
    if not tables:
        return None
    found = max(tables, key=lambda one: one["rows"])
    results = [one for one in found["results"] if one["name"] != "sqlite-vec"]  # exact, and far to the right
    times = [math.log10(one["p50_us"]) for one in results]
    low = math.floor(min(one["recall@10"] for one in results) * 20) / 20
    ticks = [(part / 20, f"{part / 20:.2f}") for part in range(round(low * 20), 21)]
    across = _logarithmic(
        f"microseconds a query, {found['rows']:,} embeddings", min(times), max(times) + 0.1, fine=True
    )
    plot = Plot(across, Axis("recall@10", low, 1.003, ticks))
    for kind in [*LIBRARIES][::-1]:
        for one, time in zip(results, times, strict=True):
            if one["name"].startswith(kind):
                plot.dot((time, one["recall@10"]), kind, 6 if one["name"] == "edgesearch" else 3.5)
    for place, kind in enumerate(one for one in LIBRARIES if any(r["name"].startswith(one) for r in results)):
        plot.text((across.high, low), LIBRARIES[kind], kind, by=(-8, -14 - 18 * place), anchor="end")
    return _as_file(plot.svg("Recall against time of every setting"))


def photo(figures: Mapping[str, Results]) -> Markup | None:
    """Plot milliseconds of each kind of search, with its stages side by side."""
    if "photo" not in figures:
        return None
    rows = figures["photo"]["results"]
    places = [(len(rows) - place - 0.5, row["kind"]) for place, row in enumerate(rows)]
    across = amount_axis("ms, median", max(row["total"] for row in rows))
    plot = Plot(across, Axis("", 0, len(rows), places), height=BAR * len(rows) + 100, left=WIDE)
    for (middle, _), row in zip(places, rows, strict=True):
        ends = [*accumulate(row[stage] for stage in STAGES)]
        for start, end, kind in zip([0.0, *ends], ends, STAGES.values(), strict=False):
            plot.bar((start, middle - 0.3), (end, middle + 0.3), kind)
        plot.text((ends[-1], middle), f"{row['total']:.1f}", by=(5, 4))
    wide = accumulate((LETTER_PX * len(stage) + 14 for stage in STAGES), initial=6 - WIDE)
    for (stage, kind), right in zip(STAGES.items(), wide, strict=False):
        plot.text((0, len(rows)), stage, kind, by=(right, -14))
    return _as_file(plot.svg("Milliseconds by stage"))


def embedder(figures: Mapping[str, Results]) -> Markup | None:
    """Plot milliseconds a picture for every engine, ours in its own colour."""
    if "embedder" not in figures:
        return None
    rows = [row for row in figures["embedder"]["results"] if row["batch"] == 1]
    places = [(len(rows) - place - 0.5, row["engine"]) for place, row in enumerate(rows)]
    longest = amount_axis("ms a picture, p50, one thread", max(row["p50_ms"] for row in rows))
    plot = Plot(longest, Axis("", 0, len(rows), places), height=BAR * len(rows) + 100, left=WIDE)
    for (middle, name), row in zip(places, rows, strict=True):
        kind = "edgesearch" if "(ours)" in name else "faiss"
        plot.bar((0, middle - 0.3), (row["p50_ms"], middle + 0.3), kind)
        plot.text((row["p50_ms"], middle), f"{row['p50_ms']:.1f}", kind, by=(5, 4))
    return _as_file(plot.svg("Milliseconds a picture of every engine"))


def _against_rows(figures: Mapping[str, Results], label: str, value: Callable[[Results, int], float]) -> Markup | None:
    """Plot a line for each library against the number of synthetic rows; both axes are logarithmic."""
    tables = [found for name, found in figures.items() if name.startswith("synthetic-")]
    tables.sort(key=lambda one: one["rows"])
    if len(tables) < 2:
        return None
    lines: dict[str, list[Point]] = {}
    for table in tables:
        for library, one in table["best"].items():
            lines.setdefault(library, []).append((math.log10(table["rows"]), math.log10(value(one, table["rows"]))))
    heights = [y for points in lines.values() for _, y in points]
    across = _logarithmic("rows, synthetic x 128", lines["edgesearch"][0][0], lines["edgesearch"][-1][0], room=ROOM)
    up = _logarithmic(label, min(heights), max(heights))
    plot, kinds = Plot(across, up), {library: kind for kind, library in LIBRARIES.items()}
    for library, points in reversed(lines.items()):
        if len(points) > 1:
            plot.line(points, kinds[library])
        for point in points:
            plot.dot(point, kinds[library], 3.5)
    ends = {library: points[-1][1] for library, points in lines.items()}
    for library, height in _spread_labels(ends, (up.high - up.low) * APART).items():
        plot.text((across.high - ROOM, height), library, kinds[library], by=(9, 4))
    return _as_file(plot.svg(f"{label} against rows"))


def _spread_labels(ends: Mapping[str, float], least: float) -> dict[str, float]:
    """Return the heights of names, each at least so far above the one below it."""
    heights = dict(sorted(ends.items(), key=lambda one: one[1]))
    for below, name in pairwise(heights):
        heights[name] = max(heights[name], heights[below] + least)
    return heights


def _logarithmic(label: str, low: float, high: float, room: float = 0.0, fine: bool = False) -> Axis:
    """Return a logarithmic axis; low, high: logarithms; fine: ticks at 2 and 5, too; room: decades behind the last."""
    first, last = (low, high) if fine else (math.floor(low + 1e-9), math.floor(high - 1e-9) + 1)
    steps = [(exponent, times) for exponent in range(-2, 12) for times in ((1, 2, 5) if fine else (1,))]
    places = [(exponent + math.log10(times), times * 10.0**exponent) for exponent, times in steps]
    return Axis(label, first, last + room, [(at, _short(value)) for at, value in places if first <= at <= last + 1e-9])


def _short(value: float) -> str:
    """Format 1000 as 1k."""
    thousands = max((power for power in PREFIXES if value >= 10**power), default=0)
    return f"{value / 10**thousands:g}{PREFIXES[thousands]}"


def _as_file(svg: Markup) -> Markup:
    """Return the SVG as the text of a file, an element a line."""
    head, _, rest = svg.partition(">")
    head = head.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)
    return Markup(f"{head}>\n<style>{STYLE}{HUES}\n</style>\n{rest.replace('><', '>' + chr(10) + '<')}\n")


PLOTS: dict[str, Callable[[Mapping[str, Results]], Markup | None]] = {
    "photo": photo,
    "embedder": embedder,
    "index-time": index_time,
    "index-memory": index_memory,
    "index-recall": index_recall,
}
