"""Pictures of `tools/bench index --json`: recall against latency, and memory against rows."""

import json
from pathlib import Path
from typing import Any

KINDS = {"edgesearch": "C3", "faiss": "C0", "usearch": "C2", "hnswlib": "C1", "sqlite-vec": "C7"}


def plot(runs: list[Path], out: Path) -> None:
    """Draw the last run's recall and latency, and every run's memory; runs: files, with more and more rows."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    tables = [json.loads(run.read_text(encoding="utf-8")) for run in runs]
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
    last = tables[-1]
    for kind, color in KINDS.items():
        found = [r for r in last["results"] if r["name"].startswith(kind)]
        left.scatter([r["p50_us"] for r in found], [r["recall@10"] for r in found], s=18, color=color, label=kind)
    left.set(xscale="log", xlabel="microseconds a query, p50, one thread", ylabel="recall@10")
    left.set_title(f"{last['rows']:,} {last['data']} x {last['dim']}")
    left.legend()
    names = [r["name"] for r in last["results"] if not r["name"].startswith("faiss IVF")]
    for name in names:
        points = sorted((table["rows"], r["resident_bytes_per_row"] * table["rows"]) for table, r in _of(name, tables))
        color = next(color for kind, color in KINDS.items() if name.startswith(kind))
        right.plot([n for n, _ in points], [size / 1e6 for _, size in points], ".-", color=color, lw=1)
    right.set(xscale="log", yscale="log", xlabel="rows", ylabel="resident MB at rest")
    right.set_title("memory")
    figure.savefig(out, dpi=110)


def _of(name: str, tables: list[dict[str, Any]]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    return [(table, r) for table in tables for r in table["results"] if r["name"] == name]
