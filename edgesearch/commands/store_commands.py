"""eval, inspect, verify: the commands that examine a store."""

import argparse
import contextlib
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._util import progress
from ..catalog import loader
from ..device import maintenance
from ..device.slots import Slots, open_bundle
from ..embedding.run_settings import DEFAULT
from ..errors import several
from ..search.open_bundle import open_catalog, open_embedder
from ..store.opening import open as open_store
from .arguments import FAST, STORE, Adder
from .output import print_line, print_note, print_table


def add(command: Adder) -> None:
    """Add the commands."""
    _add_eval(command)
    parser = command("inspect", _inspect, "Show the contents of a store.", "store.edge")
    parser.add_argument("store", type=Path, help=STORE)
    parser.add_argument("--json", action="store_true", help="print one JSON object")

    parser = command(
        "verify", _verify, "Check every byte of a store, and that its parts belong together.", "store.edge"
    )
    parser.add_argument("store", type=Path, help=STORE)
    parser.add_argument("--trust", type=Path, metavar="PUB", help="public key that must have signed it")


def _add_eval(command: Adder) -> None:
    text = "Measure a store's accuracy and speed on photos of known products."
    parser = command("eval", _eval, text, "store.edge queries.csv --json")
    parser.add_argument("store", type=Path, help=STORE)
    parser.add_argument("queries", type=Path, help="CSV of image,sku; an empty sku means not in this catalogue")
    parser.add_argument("--fast", action=argparse.BooleanOptionalAction, help=FAST)
    parser.add_argument("--skip-bad", action="store_true", help="skip unreadable photos, and list them")
    parser.add_argument("--report", type=Path, metavar="HTML", help="write a page with charts and the missed photos")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _eval(options: argparse.Namespace) -> None:
    from ..evaluation import evaluate, report  # here, so that other commands do not load them
    from ..html import html_page

    queries = loader.read_queries(options.queries)
    if options.report:
        html_page.check_path(options.report)
    with open_store(options.store) as store:
        evaluation = evaluate.evaluate(store, queries, options.fast, options.skip_bad)
        if options.report:
            with progress.stage("write the report"):
                html_page.write(options.report, report.page(evaluation, store, _command_line(options)))
    for reason in evaluation.skipped:
        print_note(f"left out {reason}")
    figures = evaluation.to_dict()
    if options.json:
        print_table(figures, True)
    else:
        by_category = figures.pop("by_category")
        print_table(figures, False)
        for line in format_categories(by_category):
            print_line(line)


def format_categories(by_category: Mapping[str, Mapping[str, float | None]]) -> list[str]:
    """Return figures by category as lines, and what to do if one is low; none for no categories."""
    from ..evaluation import report_tables  # here, so that other commands do not load it

    if not by_category:
        return []
    names = {"queries": "photos"} | {name: name for name in ("recall@1", "recall@5", "match", "shown", "unknown")}
    lines = [f"{'by category':24} {' '.join(f'{title:>8}' for title in names.values())}"]
    for category, row in list(by_category.items())[: report_tables.MAX_CATEGORIES]:
        cells = [f"{row['queries']:8,}", *(f"{row[name] or 0.0:8.4f}" for name in [*names][1:])]
        lines.append(f"  {category:22} {' '.join(cells)}")
    more = len(by_category) - report_tables.MAX_CATEGORIES
    lines += [f"  and {more:,} more, which --json prints"] * (more > 0)
    return lines + [report_tables.ADVICE] * report_tables.needs_photos(by_category)


def _command_line(options: argparse.Namespace) -> str:
    """Return the shell command that these options came from."""
    fast = {None: [], True: ["--fast"], False: ["--no-fast"]}[options.fast]
    flags = [*fast, *["--skip-bad"] * options.skip_bad, "--report"]
    return shlex.join(["edgesearch", "eval", *map(str, (options.store, options.queries, *flags, options.report))])


def _inspect(options: argparse.Namespace) -> None:
    from ..evaluation import model_costs  # here, so that other commands do not load it

    bundle = open_bundle(options.store)
    manifest, size = bundle.manifest, bundle.path.stat().st_size
    with contextlib.closing(bundle), contextlib.closing(open_catalog(bundle)) as catalog:
        without, embedder = catalog.skus_without_picture(), open_embedder(bundle, DEFAULT)
    crop_ms = model_costs.crop_ms(embedder)
    table: dict[str, Any] = {
        "name": manifest.name,
        "sequence": manifest.sequence,
        "created": manifest.created,
        "signed": bundle.signer is not None,
        "signed_by": bundle.signer,
        "next_key": manifest.next_key or None,
        "size_bytes": size,
        **_describe_device(options.store),
        "model": embedder.config.name,
        "crop ms": crop_ms if options.json else f"{crop_ms:.1f}",
        **manifest.counts,
        "without picture": without if options.json else several(without, len(without)) or None,
        **manifest.accuracy,
        **_describe_decision(manifest.calibration, options.json),
        **{f"{part} sha256": digest for part, digest in manifest.hashes.items()},
        **{f"{name} bytes": entry.size for name, entry in manifest.files.items()},
    }
    print_table(table, options.json)


def _describe_decision(stored: Mapping[str, Any], as_json: bool) -> dict[str, Any]:
    """Return the decision of a bundle: all of it as JSON, else the thresholds and what to expect."""
    if as_json or "expected" not in stored:
        return {f"decision {name}": value for name, value in stored.items()}
    rows = {f"decision {name}": stored[name] for name in ("match_from", "known_from", "source", "questions")}
    rows |= {f"expected {name}": value for name, value in stored["expected"].items()}
    return rows | {"confused": "; ".join(f"{sku} / {other}" for sku, other, _ in stored["confused"]) or None}


def _describe_device(store: Path) -> dict[str, Any]:
    """Return what a device folder holds besides its bundle; nothing for a file."""
    if not store.is_dir():
        return {}
    taught = maintenance.overlay_snapshot(store)
    return {"encrypted": Slots(store).encrypted, "taught products": len(taught.changes), "log lines": taught.version}


def _verify(options: argparse.Namespace) -> None:
    with open_store(options.store, trust=options.trust) as store:
        store.bundle.verify()
        store.self_test()
        manifest, signer = store.bundle.manifest, store.bundle.signer
    by = f"signed by {signer[:8]}" if signer else "not signed"
    print_line(f"{options.store}: sound; {len(manifest.files)} files, {manifest.counts['products']} products, {by}.")
