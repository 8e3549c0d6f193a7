"""Check the page of figures: it shows what was measured and what failed, and README and docs quote it."""

import argparse
import re
import shlex
from pathlib import Path

import pytest
from benchmarks import __main__ as bench
from benchmarks.context import NO_MODEL, SEED, Results, context
from benchmarks.report import figures_page, measure_all, quotes, templates
from benchmarks.report.sections import RUNS, Run

from edgesearch.embedding.shipped_models import default_model

from ..conftest import ROOT

pytestmark = pytest.mark.slow

MEASURED: Results = context(default_model(), SEED) | {"measured": {"on": "2026-01-02", "took_s": 61.0, "others": 0.25}}
COLD: Results = MEASURED | {
    "command": "tools/bench cold --json", "products": 1000, "bundle_bytes": 1.5e9, "first_answer_ms": 770.4,
    "quickest_first_answer_ms": 600.0, "import_ms": 1.0, "open_ms": 2.0, "answer_ms": 3.0, "resident_bytes": 9e6,
    "own_bytes": 5e6, "idle_cpu": 0.0,
}  # fmt: skip
FAILED: Results = MEASURED | {"command": "tools/bench serve --json", figures_page.FAILED: "the server did not start."}


def _index(rows: int, time_us: float) -> Results:
    one = {"p50_us": time_us, "recall@10": 0.99, "resident_bytes_per_row": 40.0, "build_s": 1.0}
    best = {"edgesearch": one | {"name": "edgesearch"}, "FAISS": one | {"name": "faiss Flat", "p50_us": 2 * time_us}}
    kinds = {"rows": rows, "dim": 128, "data": "synthetic", "results": list(best.values()), "best": best}
    return MEASURED | kinds | {"command": f"tools/bench index --rows {rows} --json"}


def _options(*arguments: str) -> argparse.Namespace:
    return bench.parse(["all", *arguments])[1]


def test_fields_are_filled_divided_and_found_by_name() -> None:
    figures = {"a": {"ms": 771.2, "results": [{"name": "x, y", "n": 0.25}]}}
    assert templates.fill("{a[ms]:/1000 .2f} s, {a[results][x, y][n]:.0%}", figures) == "0.77 s, 25%"
    for missing in ("{b[ms]:.1f}", "{a[s]:.1f}", "{a[results]:.1f}"):
        with pytest.raises(ValueError, match="was not measured"):
            templates.fill(missing, figures)


def test_sentence_is_rewritten_where_it_stands() -> None:
    figures = {"a": {"ms": 12.3, "n": 1000, "device": "a new machine"}}
    text = "It takes 9.5\nms of 25%, (`x`, an\nold one, or two). Nothing else: 9.5 ms."
    sentence = "takes {a[ms]:.1f} ms of {a[n]:,}, (`x`, {a[device]})."
    found = templates.rewrite(text, sentence, figures)
    assert found == "It takes 12.3\nms of 1,000, (`x`, a new machine). Nothing else: 9.5 ms."
    assert templates.rewrite(found, sentence, figures) == found
    for wrong in ("took {a[ms]:.1f} ms", "{a[ms]:.1f} ms"):  # nowhere, and twice
        with pytest.raises(ValueError, match="times; expected once"):
            templates.rewrite(found.replace("\n", " "), wrong, figures)


def test_page_shows_measured_failed_and_missing_runs() -> None:
    page = figures_page.format_page({"serve": FAILED, "cold": COLD}, "figures")
    assert "1,000 made-up products (1.50 GB)" in page
    assert "| first answer, median and fastest | 770, 600 ms |" in page
    assert "**Failed** after 61 s: `tools/bench serve`: the server did not start." in page
    assert "Not measured yet: `tools/bench all --only page --only monkey`." in page
    row = next(line for line in page.splitlines() if line.startswith("| `tools/bench cold` |"))
    for said in (*(COLD[name] for name in figures_page.CONTEXT), "2026-01-02"):
        assert f"| {said} |" in row
    assert row.endswith("| 61 s | 25% |")
    assert "All of it took 2 minutes." in page
    assert "to be quoted" not in page
    quick = COLD | {"measured": COLD["measured"] | {"quick": True}}
    assert "nothing here is to be quoted" in figures_page.format_page({"cold": quick}, "figures")


def test_partly_measured_section_shows_its_lines() -> None:
    page = figures_page.format_page(
        {"monkey": MEASURED | {"command": "tools/bench monkey --json", "wrong": 3}}, "figures"
    )
    assert "| wrong | 3 |" in page
    assert "`tools/bench all --only page`" in page


def test_run_without_a_newer_figure_must_be_measured_again() -> None:
    page = figures_page.format_page(
        {"kinds": MEASURED | {"command": "tools/bench answers --kinds --json", "photos": 630}}, "figures"
    )
    assert "To be measured again: `tools/bench all --only kinds`" in page


def test_plots_show_every_library_and_are_reproducible(tmp_path: Path) -> None:
    figures = {"synthetic-10000": _index(10_000, 60), "synthetic-1000": _index(1000, 20)}
    page = figures_page.write(tmp_path / "figures", figures)
    drawn = {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "figures").glob("*.svg")}
    assert set(drawn) == {"index-time.svg", "index-memory.svg"}  # no embeddings, so none of recall
    for name, drawing in drawn.items():
        assert f"](figures/{name})" in page.read_text(encoding="utf-8")
        assert ">edgesearch<" in drawing and ">FAISS<" in drawing and drawing.count("<path") > 4
    assert figures_page.read(tmp_path / "figures") == figures
    assert figures_page.draw_plots(dict(reversed(figures.items()))) == drawn
    for data in ("embeddings", "synthetic"):  # of the same, but no index
        assert figures_page.draw_plots(figures | {"budget": MEASURED | {"data": data, "products": 50_000}}) == drawn
    lines = page.read_text(encoding="utf-8").splitlines()
    assert "|  | faiss Flat | 40 us | 2.00 | 0.990 | 40 | 1 s |" in lines


def test_photo_and_embedder_are_drawn_as_bars() -> None:
    stages = ("image", "embed", "index", "local_features", "decision", "catalog")
    photos = [{"kind": "sure", **dict.fromkeys(stages, 2.0), "total": 12.0}]
    engines = [{"engine": name, "batch": batch, "p50_ms": 4.0} for name in ("x (ours)", "y") for batch in (1, 2)]
    drawn = figures_page.draw_plots(
        {"photo": MEASURED | {"results": photos}, "embedder": MEASURED | {"results": engines}}
    )
    assert drawn["photo.svg"].count("<rect") == len(stages)
    assert ">sure<" in drawn["photo.svg"] and ">12.0<" in drawn["photo.svg"]
    assert drawn["embedder.svg"].count("<rect") == 2
    assert ">y<" in drawn["embedder.svg"]


def test_failing_and_hanging_runs_are_recorded_as_failed(tmp_path: Path) -> None:
    refused = measure_all.measure("index --data synthetic --rows 9000000000", 60, tmp_path)
    assert "GB of memory" in refused[figures_page.FAILED]
    assert refused["command"] == "tools/bench index --data synthetic --rows 9000000000 --json"
    hung = measure_all.measure("cold", 0.01, tmp_path)
    assert "longer than" in hung[figures_page.FAILED]
    assert 0 <= hung["measured"]["others"] <= 1
    assert not list(tmp_path.iterdir())  # nothing is left behind


def test_measuring_one_run_keeps_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "figures"
    figures_page.write(output, {"cold": COLD, "serve": FAILED})
    monkeypatch.setitem(RUNS, "synthetic-1000", Run("", "index --data synthetic --rows 100 --only edgesearch"))
    said = measure_all.run(_options("--quick", "--only", "synthetic-1000", "-o", str(output)), tmp_path)
    assert "measured synthetic-1000" in said
    figures = figures_page.read(output)
    assert figures["cold"] == COLD
    assert figures["synthetic-1000"]["best"]["edgesearch"]["recall@10"] > 0.9
    assert figures["synthetic-1000"]["measured"]["quick"]
    monkeypatch.setattr(measure_all, "measure", lambda asked, *_: FAILED | {"command": f"tools/bench {asked}"})
    with pytest.raises(ValueError, match="serve failed"):
        measure_all.run(_options("--missing", "--only", "cold", "--only", "serve", "-o", str(output)), tmp_path)
    assert figures_page.read(output)["cold"] == COLD
    with pytest.raises(ValueError, match="page: no small size"):
        measure_all.run(_options("--quick", "--only", "page"), tmp_path)


def test_run_with_another_model_counts_as_missing() -> None:
    assert not measure_all.is_missing(COLD)
    assert not measure_all.is_missing(COLD | {"model": NO_MODEL})
    for found in (None, FAILED, COLD | {"model": "mobilenet_v0 int8 sha256 000000000000"}):
        assert measure_all.is_missing(found)


def test_every_run_is_a_command_that_exists() -> None:
    for run in RUNS.values():
        for asked in filter(None, (run.asked, run.quick)):
            assert bench.parse([*shlex.split(asked), "--json"])[1].json


def test_page_and_quotes_match_the_figures_of_the_shipped_model() -> None:
    figures = figures_page.read(ROOT / measure_all.PAGE)
    for path, text in quotes.wanted_texts(ROOT, figures).items():
        assert path.read_text(encoding="utf-8") == text, f"{path}: run `tools/bench readme`"
    shipped = MEASURED["model"]
    for name, found in figures.items():
        assert found["model"] in (shipped, NO_MODEL), f"{name}: run `tools/bench all --missing`"
        assert not found["measured"].get("quick")


def test_every_figure_of_the_readme_is_quoted() -> None:
    named = re.compile(rf"tools/bench ({'|'.join(bench.FIGURES)})\b")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert sorted(named.findall(readme)) == sorted(named.findall("\n".join(quotes.sentences()["README.md"])))
