"""An evaluation as a page that people look at."""

import datetime
import os
import platform
from collections.abc import Iterable
from importlib import metadata

import numpy as np

from ..embedding.run_settings import ONE_CROP, processor
from ..embedding.runtime import version
from ..html.html_page import document
from ..html.markup import Markup, join, tag
from ..html.parts import facts, pluralize, section
from ..store.store import Store
from . import report_charts, report_misses, report_tables
from .evaluate import Evaluation
from .report_cases import confused, missed

SKIPPED_SHOWN = 12
DIGITS = 12  # of a hash
SECTIONS = {
    "summary": "Summary", "found": "Found", "confused": "Confused", "misses": "Worst misses", "decided": "Known or not",
    "meant": "Sureness", "time": "Time", "bundle": "The store",
}  # fmt: skip


def page(evaluation: Evaluation, store: Store, command: str = "") -> str:
    """The whole page; store: which was evaluated; command: which asked for it, for the foot."""
    name = store.bundle.manifest.name
    body = [
        _header(evaluation, name),
        tag("main", *_sections(evaluation, store)),
        _foot(evaluation, store, command),
    ]
    return document(f"{name}: how well it answers", *body)


def _header(evaluation: Evaluation, name: str) -> Markup:
    links = (tag("a", text, href=f"#{anchor}") for anchor, text in SECTIONS.items())
    return tag(
        "header",
        tag("p", "edgesearch", class_="brand"),
        tag("h1", "How well ", tag("bdi", name), " answers"),
        tag("p", *_lead(evaluation), class_="lead"),
        tag("nav", *links, aria_label="Sections"),
    )


def _lead(evaluation: Evaluation) -> Iterable[str]:
    """What there is to know, in two or three sentences."""
    known, right = int(evaluation.known.sum()), evaluation.ranks == 1
    first, accepted = int(right.sum()), int((right & evaluation.accepted).sum())
    strangers = len(evaluation.asked) - known
    taken = int((evaluation.accepted & ~evaluation.known).sum())
    if known:
        yield (
            f"Asked {pluralize(known, 'photo')} of products that it has, it named the right one first in {first:,}, and "
            f"was sure enough to accept it in {accepted:,}. "
        )
    if strangers:
        yield f"Of {pluralize(strangers, 'photo')} of products that it lacks, it took {taken:,} for one that it has. "
    if evaluation.skipped:
        yield f"{pluralize(len(evaluation.skipped), 'photo')} could not be read: left out."


def _sections(evaluation: Evaluation, store: Store) -> Iterable[Markup]:
    has_known, errors = bool(evaluation.known.any()), evaluation.errors
    yield section("summary", "Summary", *report_tables.outcomes(evaluation), report_tables.tiles(evaluation.to_dict()))
    yield section("found", "Is the right product found?", *(_found(evaluation) if has_known else [_NONE_KNOWN]))
    yield section(
        "confused", "What is taken for what?", *confused(report_misses.confusions(evaluation), evaluation, store)
    )
    yield section("misses", "Worst misses", *missed(evaluation, store))
    curves = (
        _row(report_charts.thresholds(errors, evaluation), report_charts.roc(errors, evaluation))
        if errors
        else _ONE_KIND
    )
    yield section("decided", "Does it know what it does not know?", curves)
    meant = evaluation.reliability
    yield section(
        "meant", "Is it as sure as it says?", _row(report_charts.meaning(meant), report_charts.sureness(meant))
    )
    times = _row(report_charts.stages(evaluation), report_charts.times(evaluation))
    yield section("time", "How long does it take?", times)
    yield section("bundle", "The store", tag("div", *_card(store), class_="card"))


_NONE_KNOWN = tag("p", "None of the photos is of a product in the catalogue: give queries with a SKU to measure this.")
_ONE_KIND = tag(
    "p",
    "Measured only where some photos are of products in the catalogue and others are not: give queries of both, those "
    "of other products with an empty SKU.",
)


def _found(evaluation: Evaluation) -> Iterable[Markup]:
    return [
        _row(report_charts.recall(evaluation), report_tables.missed_most(evaluation)),
        *report_tables.categories(evaluation),
    ]


def _row(*content: Markup) -> Markup:
    """Where there is room."""
    return tag("div", *content, class_="charts")


def _card(store: Store) -> Iterable[Markup]:
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


def _foot(evaluation: Evaluation, store: Store, command: str) -> Markup:
    settings, fast = store.settings, evaluation.fast
    one_look = settings.crops == ONE_CROP if fast is None else fast
    looks = "one look" if one_look else "three looks"
    looks += ", no print" if one_look or store.base.local is None else " and the print"
    threads = pluralize(settings.threads, "thread")
    known = int(evaluation.known.sum())
    said = {
        "Photos": f"{known:,} of products in the catalogue, {len(evaluation.asked) - known:,} of others",
        "Device": f"{processor()}, {pluralize(os.cpu_count() or 1, 'core')}, {platform.system()} {platform.machine()}",
        "Settings": f"{settings.kernels} kernels, {threads}, {looks}",
        "Versions": f"edgesearch {_version()}, onnxruntime {version()}, "
        f"numpy {np.__version__}, Python {platform.python_version()}",
        "Seed": "none: nothing here is drawn at random",
        "Made": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }
    commanded = tag("p", "Command: ", tag("code", command)) if command else None
    left_out = [tag("li", reason) for reason in evaluation.skipped[:SKIPPED_SHOWN]]
    more = len(evaluation.skipped) - len(left_out)
    left_out += [tag("li", f"and {more:,} more")] if more > 0 else []
    skipped = join(tag("h3", "Photos that were left out"), tag("ul", *left_out)) if left_out else None
    return tag("footer", skipped, facts(said.items()), commanded)


def _version() -> str:
    try:
        return metadata.version("edgesearch")
    except metadata.PackageNotFoundError:
        return "not installed"
