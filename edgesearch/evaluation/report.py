"""Write an evaluation as an HTML page."""

import datetime
import os
import platform
from collections.abc import Iterable

import numpy as np

from ..embedding.run_settings import ONE_CROP, processor
from ..embedding.runtime import version
from ..html.html_page import document
from ..html.markup import Markup, join, tag
from ..html.parts import facts, pluralize, section
from ..store.store import Store
from ..version import __version__
from . import report_advice, report_charts, report_misses, report_tables
from .evaluate import Evaluation
from .report_cases import confusion_cards, miss_cards

MAX_SKIPPED = 12
DIGITS = 12  # shown of a hash
SECTIONS = {
    "summary": "Summary", "do": "What to do", "answered": "At once", "found": "Found", "confused": "Confused",
    "misses": "Worst misses", "decided": "Known or not", "meant": "Calibration", "time": "Time", "bundle": "The store",
}  # fmt: skip


def page(evaluation: Evaluation, store: Store, command: str = "") -> str:
    """Return the page of an evaluation.

    Args:
        store: The evaluated store.
        command: Command line to show in the footer.
    """
    name = store.bundle.manifest.name
    body = [
        _header(evaluation, name),
        tag("main", *_sections(evaluation, store)),
        _footer(evaluation, store, command),
    ]
    return document(f"{name}: how well it answers", *body)


def _header(evaluation: Evaluation, name: str) -> Markup:
    links = (tag("a", text, href=f"#{anchor}") for anchor, text in SECTIONS.items())
    return tag(
        "header",
        tag("p", "edgesearch", class_="brand"),
        tag("h1", "How well ", tag("bdi", name), " answers"),
        tag("p", *_summarize(evaluation), class_="lead"),
        tag("nav", *links, aria_label="Sections"),
    )


def _summarize(evaluation: Evaluation) -> Iterable[str]:
    """Yield a summary of two or three sentences."""
    known, right = int(evaluation.known.sum()), evaluation.ranks == 1
    first, matched = int(right.sum()), int((right & evaluation.accepted).sum())
    shown = round((evaluation.answers.figures()["shown"] or 0.0) * known)
    unknown = len(evaluation.results) - known
    false_accepts = int((evaluation.accepted & ~evaluation.known).sum())
    if known:
        yield (
            f"Of {pluralize(known, 'photo')} of products in the catalogue, the right one came first in {first:,}; in "
            f"{matched:,} it was the match, in {shown - matched:,} more among the choices. "
        )
    if unknown:
        yield f"Of {pluralize(unknown, 'photo')} of other products, {false_accepts:,} were taken for a known one. "
    if evaluation.skipped:
        yield f"{pluralize(len(evaluation.skipped), 'photo')} could not be read and were left out."


def _sections(evaluation: Evaluation, store: Store) -> Iterable[Markup]:
    has_known, errors = bool(evaluation.known.any()), evaluation.errors
    yield section(
        "summary", "Summary", *report_tables.outcomes(evaluation), report_tables.figure_tiles(evaluation.to_dict())
    )
    yield section("do", "What to do", report_advice.steps(evaluation))
    yield section("answered", "How much can be answered at once?", report_charts.risk_coverage(evaluation))
    yield section(
        "found", "Is the right product found?", *(_recall_section(evaluation) if has_known else [_NONE_KNOWN])
    )
    yield section(
        "confused",
        "Which products are confused?",
        *confusion_cards(report_misses.confusions(evaluation), evaluation, store),
    )
    yield section("misses", "Worst misses", *miss_cards(evaluation, store))
    curves = _row(report_charts.known_curves(errors), report_charts.roc_curve(errors)) if errors else _ONE_KIND
    yield section("decided", "Are unknown products recognized?", curves)
    reliability = evaluation.reliability
    yield section(
        "meant",
        "Are the stated probabilities right?",
        _row(report_charts.reliability_diagram(reliability), report_charts.probability_histogram(reliability)),
    )
    times = _row(report_charts.stage_times(evaluation), report_charts.time_histogram(evaluation))
    yield section("time", "How long does it take?", times)
    yield section("bundle", "The store", tag("div", *_store_cards(store), class_="card"))


_NONE_KNOWN = tag("p", "None of the photos is of a product in the catalogue: give queries with a SKU to measure this.")
_ONE_KIND = tag(
    "p",
    "This needs photos of products in the catalogue and of others: give queries of both, those of other products with "
    "an empty SKU.",
)


def _recall_section(evaluation: Evaluation) -> Iterable[Markup]:
    return [
        _row(report_charts.recall_curve(evaluation), report_tables.most_missed(evaluation)),
        *report_tables.category_table(evaluation),
    ]


def _row(*content: Markup) -> Markup:
    """Place content side by side, if the page is wide enough."""
    return tag("div", *content, class_="charts")


def _store_cards(store: Store) -> Iterable[Markup]:
    manifest, signer = store.bundle.manifest, store.bundle.signer
    made = {
        "name": manifest.name,
        "sequence": str(manifest.sequence),
        "created": manifest.created.replace("T", " ").replace("+00:00", " UTC"),
    }
    groups: dict[str, dict[str, object]] = {
        "Bundle": {**made, "signed by": signer[:DIGITS] if signer else "nobody", **manifest.counts},
        "Measured at build": dict(manifest.accuracy),
        "Calibrated at build": dict(manifest.calibration),
        "sha256": {part: digest[:DIGITS] for part, digest in manifest.hashes.items()},
    }
    return [
        tag("div", tag("h3", title), facts((name.replace("_", " "), value) for name, value in group.items()))
        for title, group in groups.items()
    ]


def _footer(evaluation: Evaluation, store: Store, command: str) -> Markup:
    settings, fast = store.settings, evaluation.fast
    is_one_crop = settings.crops == ONE_CROP if fast is None else fast
    features = ", no local features" if is_one_crop or store.base.local is None else " and local features"
    search = ("one crop" if is_one_crop else "three crops") + features
    threads = pluralize(settings.threads, "thread")
    known = int(evaluation.known.sum())
    facts_of_run = {
        "Photos": f"{known:,} of products in the catalogue, {len(evaluation.results) - known:,} of others",
        "Device": f"{processor()}, {pluralize(os.cpu_count() or 1, 'core')}, {platform.system()} {platform.machine()}",
        "Settings": f"{settings.kernels} kernels, {threads}, {search}",
        "Versions": f"edgesearch {__version__}, onnxruntime {version()}, "
        f"numpy {np.__version__}, Python {platform.python_version()}",
        "Seed": "none: nothing is random",
        "Made": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }
    command_line = tag("p", "Command: ", tag("code", command)) if command else None
    left_out = [tag("li", reason) for reason in evaluation.skipped[:MAX_SKIPPED]]
    more = len(evaluation.skipped) - len(left_out)
    left_out += [tag("li", f"and {more:,} more")] if more > 0 else []
    skipped = join(tag("h3", "Photos that were left out"), tag("ul", *left_out)) if left_out else None
    return tag("footer", skipped, facts(facts_of_run.items()), command_line)
