"""The report page of an evaluation."""

import html.parser
import os
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

import edgesearch
from edgesearch import ReportError, Store
from edgesearch.catalog.loader import read_queries
from edgesearch.commands.cli import main
from edgesearch.evaluation import report, report_misses
from edgesearch.evaluation.evaluate import UNNAMED, Evaluation, QueryResult, evaluate
from edgesearch.html import charts, markup
from edgesearch.html import html_page as pages

from ..conftest import TINY_MODEL

NASTY = "<script>alert(\"1\")</script> & 'co' </style> \u202e"
LONELY = {"br", "img", "meta", "wbr"}


class ParsedPage(html.parser.HTMLParser):
    """The elements of a page with their attributes, and its text; an unbalanced tag is an error."""

    def __init__(self, page: str):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text, self._open = "", list[str]()
        self.feed(page)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in LONELY:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data if "style" not in self._open else ""

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def nasty(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Open a store of four products whose names contain HTML; one has no category."""
    folder = tmp_path_factory.mktemp("nasty")
    quoted = '"' + NASTY.replace('"', '""') + '"'
    lines = [f"P00000{n},{quoted},{shop}/pictures/P00000{n}.jpg,{quoted if n else ''}" for n in range(4)]
    (folder / "c.csv").write_text("\n".join(["sku,name,images,category", *lines]), encoding="utf-8")
    edgesearch.build(folder / "c.csv", folder / "c.edge", TINY_MODEL)
    return edgesearch.open(folder / "c.edge")


@pytest.fixture(scope="module")
def queries(shop: Path) -> list[tuple[Path, str]]:
    """Return photos of the four products, and of others, which are unknown in that store."""
    asked = read_queries(shop / "queries.csv")
    return [(photo, sku if sku in {f"P00000{n}" for n in range(4)} else "") for photo, sku in asked]


@pytest.fixture(scope="module")
def evaluation(nasty: Store, queries: list[tuple[Path, str]]) -> Evaluation:
    found = evaluate(nasty, queries)  # an untrained network is never sure
    decided = [replace(one, decision=("match", "ambiguous")[n % 2]) for n, one in enumerate(found.results)]
    return replace(found, results=(*decided, replace(decided[0], decision="unknown")))


def test_a_page_loads_nothing(nasty: Store, evaluation: Evaluation) -> None:
    read = ParsedPage(report.page(evaluation, nasty, "edgesearch eval"))
    assert not {"script", "link", "iframe", "object", "form", "base"} & {name for name, _ in read.elements}
    for _, attributes in read.elements:
        assert (attributes.get("src") or "data:image/jpeg;base64,").startswith("data:image/jpeg;base64,")
        assert (attributes.get("href") or "#").startswith("#")
        assert not any(name.startswith("on") for name in attributes)
    style = (Path(pages.__file__).parent / pages.STYLE).read_text(encoding="utf-8")
    assert not re.search(r"url\(|@import|https?:", style)


def test_a_page_is_readable_by_screen_readers(nasty: Store, evaluation: Evaluation) -> None:
    read = ParsedPage(report.page(evaluation, nasty))
    assert len(read.all("img")) >= len(evaluation.results) // 2
    assert all(image["alt"] for image in read.all("img"))
    assert len(read.all("caption")) == len(read.all("table")) > 3
    assert all(
        svg.get("aria-hidden") or (svg["role"], bool(svg["aria-label"])) == ("img", True) for svg in read.all("svg")
    )
    anchors = [attributes["id"] for _, attributes in read.elements if "id" in attributes]
    assert [f"#{anchor}" for anchor in anchors] == [link["href"] for link in read.all("a")]
    assert max(Counter(anchors).values()) == 1


def test_html_in_names_is_escaped(nasty: Store, evaluation: Evaluation, tmp_path: Path) -> None:
    read = ParsedPage(report.page(replace(evaluation, skipped=(NASTY,)), nasty, NASTY))
    assert not read.all("script")
    assert read.text.count(NASTY) > 5
    assert any(NASTY in (image["alt"] or "") for image in read.all("img"))


def test_a_page_contains_the_figures(nasty: Store, evaluation: Evaluation) -> None:
    figures, read = evaluation.to_dict(), ParsedPage(report.page(evaluation, nasty, "edgesearch eval x"))
    for name in ("recall@1", "precision", "false_accept_rate", "false_reject_rate"):
        assert f"{figures[name]:.1%}" in read.text
    for name in ("map", "auroc", "ece"):
        assert f"{figures[name]:.3f}" in read.text
    manifest = nasty.bundle.manifest
    for text in (manifest.created[:10], manifest.hashes["model"][:12], "edgesearch eval x", UNNAMED):
        assert text in read.text


@pytest.mark.parametrize("skus", ["none", "all", "one"])
def test_a_page_states_what_could_not_be_measured(nasty: Store, evaluation: Evaluation, skus: str) -> None:
    kept = {
        "none": [one for one in evaluation.results if not one.known],
        "all": [one for one in evaluation.results if one.known],
        "one": [one for one in evaluation.results if one.sku == "P000001"],
    }[skus]
    read = ParsedPage(report.page(replace(evaluation, results=tuple(kept)), nasty))
    assert "This needs photos of products in the catalogue and of others" in read.text
    assert ("None of the photos is of a product in the catalogue" in read.text) == (skus == "none")
    assert ("By category" in read.text) == (skus != "none")


def test_a_page_without_categories_says_so(
    tiny_edge: Path, queries: list[tuple[Path, str]], evaluation: Evaluation
) -> None:
    bare = {sku: replace(m, product=replace(m.product, category=None)) for sku, m in evaluation.products.items()}
    with edgesearch.open(tiny_edge) as store:
        read = ParsedPage(report.page(replace(evaluation, products=bare), store))
    assert "has no categories" in read.text
    assert replace(evaluation, products=bare).to_dict()["by_category"] == {}


def test_a_page_recommends_own_photos_where_few_are_right(nasty: Store, evaluation: Evaluation) -> None:
    for rank, is_advised in ((2, True), (1, False)):
        ranked = tuple(replace(one, rank=rank if one.known else 0) for one in evaluation.results)
        read = ParsedPage(report.page(replace(evaluation, results=ranked), nasty))
        assert ("take a few photos of each product" in read.text) == is_advised


def test_a_page_says_what_to_do(nasty: Store, evaluation: Evaluation) -> None:
    first = evaluation.results[0]
    make = [("P000000", "P000001", 0.9)] * 3 + [("P000002", "P000002", 0.9)] * 2 + [("", "P000000", 0.9)]
    results = tuple(alter_result(first, *one) for one in make)

    def read(*results: QueryResult) -> str:
        text = ParsedPage(report.page(replace(evaluation, results=results), nasty)).text
        return text.partition("What to do")[2].partition("What to do")[2].partition("How much can be answered")[0]

    text = read(*results)
    assert "take a few photos of each product" in text and "Add pictures that show how these differ" in text
    assert "66.7% of the matches are wrong, 100.0% of the photos of unknown products get a match" in text
    assert "Add photos of" not in text and "Improve the light" not in text
    blurred = [replace(one, decision="ambiguous", flaw="blurred") for one in results[3:5]]
    assert "2 of 2 photos without a match are flawed (blurred 2)" in read(*blurred)
    assert "Add photos of products that the catalogue lacks" in read(*blurred)
    assert "Add photos of products in the catalogue" in read(results[5])
    sound = [replace(one, probability=1.0) for one in results[3:5]]
    assert read(*sound, replace(results[5], decision="unknown", probability=0.0, known_probability=0.0)) == (
        "Nothing stands out."
    )


def test_a_deleted_photo_is_replaced_by_its_description(nasty: Store, evaluation: Evaluation, tmp_path: Path) -> None:
    gone = tuple(replace(one, photo=tmp_path / "gone.jpg") for one in evaluation.results)
    read = ParsedPage(report.page(replace(evaluation, results=gone), nasty))
    assert "Photo: gone.jpg (the picture is gone)" in read.text


@pytest.mark.slow
def test_a_page_with_thousands_of_misses_stays_small(nasty: Store, evaluation: Evaluation) -> None:
    few = evaluation.results
    wrong = [one for one in few if not one.right] or [replace(few[0], rank=2)]
    many = [
        replace(wrong[n % len(wrong)], probability=n / 3000, sku=f"P00000{n % 4}" if n % 2 else "") for n in range(3000)
    ]
    many = [replace(one, decision=("match", "unknown")[n % 3 == 0]) for n, one in enumerate(many)]
    page = report.page(replace(evaluation, results=tuple(many)), nasty)
    assert len(ParsedPage(page).all("article")) <= 4 * report_misses.MAX_SHOWN
    assert len(page) < 3_000_000


def alter_result(one: QueryResult, sku: str, found: str, probability: float, decision: str = "match") -> QueryResult:
    assert one.best
    best = replace(one.best, product=replace(one.best.product, sku=found))
    return replace(one, sku=sku, best=best, rank=int(found == sku), probability=probability, decision=decision)  # type: ignore[arg-type]


def test_the_worst_misses_are_selected(evaluation: Evaluation) -> None:
    make = [("A", "B", 0.7), ("A", "B", 0.9), ("A", "A", 0.95), ("B", "A", 0.99), ("", "A", 0.3), ("", "B", 0.4)]
    some = [alter_result(evaluation.results[0], *one) for one in make]
    some += [alter_result(evaluation.results[0], "C", "C", chance, "unknown") for chance in (0.5, 0.2)]
    made = replace(evaluation, results=tuple(some))
    (pair,) = report_misses.confusions(made)
    assert (pair.sku, pair.found.sku, pair.photos, [one.probability for one in pair.results]) == (
        "A",
        "B",
        3,
        [0.9, 0.7],
    )
    assert [one.probability for one in report_misses.wrong_products(made)] == [0.99, 0.9, 0.7]
    assert [one.probability for one in report_misses.false_rejects(made)] == [0.2, 0.5]
    assert [one.probability for one in report_misses.false_accepts(made)] == [0.4, 0.3]


def test_a_report_is_written_completely_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "r.html"
    pages.check_path(target)
    assert not target.exists()
    pages.write(target, "one \udcff")
    assert target.read_text(encoding="utf-8") == "one ?"
    monkeypatch.setattr("os.fsync", lambda file: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(ReportError, match=r"r\.html: cannot be written \(No space left on device\)"):
        pages.write(target, "two")
    assert target.read_text(encoding="utf-8") == "one ?"
    assert [path.name for path in tmp_path.iterdir()] == ["r.html"]


@pytest.mark.parametrize(
    "where", ["missing/r.html", "file/r.html", "folder.html", "pipe.html", "/proc/r.html", "x" * 250 + ".html"]
)
def test_an_unwritable_path_is_reported(where: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder.html").mkdir()
    os.mkfifo(tmp_path / "pipe.html")
    with pytest.raises(ReportError, match=re.escape(where)):
        pages.check_path(tmp_path / where)


@pytest.mark.parametrize("name", ["store.edge", "q.csv", "photo.jpg"])
def test_inputs_are_not_overwritten(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("kept")
    for writes in (pages.check_path, lambda path: pages.write(path, "lost")):
        with pytest.raises(ReportError, match=r"written as \.html"):
            writes(tmp_path / name)
    assert (tmp_path / name).read_text() == "kept"


def test_eval_writes_a_report(shop: Path, tiny_edge: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    known = sorted((shop / "photos").glob("P00*.jpg"))[0]
    lines = ["image,sku", f"{known},{known.stem.split('-')[0]}", "bad.jpg,", "none.jpg,"]
    (tmp_path / "q.csv").write_text("\n".join(lines))
    command = ["eval", str(tiny_edge), str(tmp_path / "q.csv"), "--report", str(tmp_path / "r.html")]
    assert main(command) == 1
    assert "bad.jpg: no picture" in capsys.readouterr().err
    assert not (tmp_path / "r.html").exists()
    assert main([*command, "--skip-bad", "--fast"]) == 0
    out, err = capsys.readouterr()
    assert "auroc                    -" in out
    assert err.count("left out") == 2
    text = ParsedPage((tmp_path / "r.html").read_text(encoding="utf-8")).text
    assert "2 photos could not be read" in text
    assert f"eval {tiny_edge} {tmp_path}/q.csv --fast --skip-bad --report" in text


def test_eval_checks_the_report_path_first(tiny_edge: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "q.csv").write_text("image,sku\nnone.jpg,\n")
    assert main(["eval", str(tiny_edge), str(tmp_path / "q.csv"), "--report", str(tmp_path / "no" / "r.html")]) == 1
    assert capsys.readouterr().err.endswith("give a path such as report.html.\n")
    assert main(["eval", str(tiny_edge), str(tmp_path / "q.csv"), "--skip-bad"]) == 1
    assert "none of the 1 photos can be read" in capsys.readouterr().err


def test_marks_are_placed_by_the_axes() -> None:
    plot = charts.Plot(charts.share_axis("x"), charts.amount_axis("y", 37))
    plot.line([(0, 0), (1, 40)], "right")
    right, bottom = charts.WIDTH - charts.RIGHT, charts.HEIGHT - charts.BOTTOM
    path = f'd="M{charts.LEFT:.1f} {bottom:.1f}L{right:.1f} {charts.TOP:.1f}"'
    assert path in plot.svg("x")


@pytest.mark.parametrize(("highest", "end"), [(37, 40), (0.9, 1.0), (101, 150), (5000, 5000)])
def test_an_axis_ends_at_a_round_number(highest: float, end: float) -> None:
    axis = charts.amount_axis("ms", highest)
    assert axis.high == pytest.approx(end, abs=1e-8)
    assert 1 < len(axis.ticks) <= 6


def test_a_long_line_is_thinned_but_keeps_its_ends() -> None:
    plot = charts.Plot(charts.share_axis("x"), charts.share_axis("y"))
    plot.line([(n / 9999, n / 9999) for n in range(10_000)], "right")
    (path,) = re.findall(r'<path d="(M[^"]*L[^"]*)"', plot.svg("x"))
    assert path.count("L") <= charts.MAX_POINTS
    assert path.endswith(f"L{charts.WIDTH - charts.RIGHT:.1f} {charts.TOP:.1f}")


def test_text_is_escaped_and_markup_is_not() -> None:
    inner = markup.tag("b", "<i>", 2.50)
    assert (
        markup.tag("p", inner, "&", None, class_='"', data_x=None) == '<p class="&quot;"><b>&lt;i&gt;2.5</b>&amp;</p>'
    )
    assert markup.tag("img", alt="") == '<img alt="">'
