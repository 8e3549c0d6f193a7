"""`tools/bench FIGURE`: print figures with what they were measured on."""

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

import edgesearch
from edgesearch.embedder import Embedder, default_model, read_model, runtime
from edgesearch.manifest import sha256
from edgesearch.settings import processor

from . import (
    accuracy,
    answers,
    catalogue,
    cold,
    comparing,
    desktop,
    explaining,
    indexes,
    personal,
    plot,
    prints,
    protocols,
    serving,
    vectors,
    words,
)

SEED = 0


def main() -> int:
    """Print one figure; returns the exit status."""
    options = _parser().parse_args()
    try:
        options.figure(options)
    except (edgesearch.EdgeSearchError, OSError, ValueError) as error:
        print(f"tools/bench: {error}", file=sys.stderr)
        return 1
    return 0


def _accuracy(options: argparse.Namespace) -> None:
    if options.protocol != [protocols.DRAWN]:
        _require_photos(options.data, "--data")
    weights = options.weights if options.weights.exists() else None
    if weights is None:
        print(
            f"tools/bench: {options.weights} is missing; the pretrained baseline is left out.",
            file=sys.stderr,
        )
    names = options.protocol or [n for n in protocols.PROTOCOLS if not n.endswith(protocols.AMONG_DISTRACTORS)]
    results = accuracy.accuracy(options.data, weights, options.model, names)
    context = _context(options.model)
    table = accuracy.table(results)
    found = context | {"protocols": results, "markdown": table}
    _tabled(found if options.json else None, table, "recall@1 each; the last system is what ships.", context)


def _answers(options: argparse.Namespace) -> None:
    _require_photos(options.data, "--data")
    with tempfile.TemporaryDirectory() as name:
        asked = (options.data, options.references, Path(name), SEED)
        if options.kinds:
            found = answers.kinds(options.data, Path(name), SEED)
        else:
            found = answers.learn(*asked) if options.learn else answers.measure(*asked, options.most)
            found |= {"references": options.references}
    _show(found, options.json)


def _index(options: argparse.Namespace) -> None:
    if options.data == "embeddings":
        _require_photos(options.photos, "--photos")
        x, queries = vectors.embeddings(options.photos, options.model, options.rows, options.kept, SEED)
    else:
        x, queries = vectors.synthetic(options.rows, options.dim, SEED)
    with tempfile.TemporaryDirectory() as folder:
        measured = indexes.measure(x, queries, Path(folder), options.only)
        results = list(tqdm(measured, desc="index", unit="system", disable=None))
    context = {"rows": len(x), "dim": x.shape[1], "data": options.data} | _context(options.model)
    found = context | {"results": results}
    _tabled(found if options.json else None, indexes.table(results), "one query at a time, one thread.", context)


def _made_up(measure: Callable[[int, Path, int], dict[str, float]], what: str, options: argparse.Namespace) -> None:
    """A figure of so many made-up products or pictures."""
    count = getattr(options, what)
    with tempfile.TemporaryDirectory() as folder:
        found = measure(count, Path(folder), SEED)
    _show(found | {what: count}, options.json)


def _personal(options: argparse.Namespace) -> None:
    found = personal.measure(options.kept, options.seed, options.shoppers)
    _show(found | {"shoppers": options.shoppers}, options.json, options.seed)


def _compare(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.photos == "drawn":
            source = comparing.drawn(folder, options.seed, options.families)
        else:
            _require_photos(options.data, "--data")
            source = getattr(comparing, options.photos)(options.data, options.seed, folder)
        results = comparing.measure(*source, folder)
    context = _context(default_model()) | {"seed": options.seed}
    found = context | {"verdicts": results}
    _tabled(found if options.json else None, comparing.table(results), "shares of the cases.", context)


def _serve(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = serving.measure(options.seconds, options.rate, Path(folder), SEED)
    _show(found, options.json)


def _catalogue(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as name:
        found = catalogue.run(options, Path(name))
    if "markdown" not in found:
        _show(found, options.json, options.seed)
        return
    _tabled(
        _context(default_model()) | found if options.json else None,
        found["markdown"],
        found["note"],
        _context(default_model()),
    )


def _explain(options: argparse.Namespace) -> None:
    embedder = Embedder.open(default_model())
    if options.photos == "groceries":
        _require_photos(options.data, "--data")
    pairs = explaining.pairs(options.photos, options.data, options.number, SEED)
    found = explaining.measure(embedder, pairs, SEED)
    _show(found, options.json)


def _page(options: argparse.Namespace) -> None:
    from . import page  # the other figures need no browser

    with tempfile.TemporaryDirectory() as name:
        _show(page.measure(Path(name), SEED), options.json)


def _monkey(options: argparse.Namespace) -> None:
    from . import page

    with tempfile.TemporaryDirectory() as name:
        found = page.monkey(options.actions, Path(name), options.seed)
    _show(found | {"actions": options.actions}, options.json, options.seed)


def _show(found: dict[str, float], as_json: bool, seed: int = SEED) -> None:
    table = found | _context(default_model()) | {"seed": seed}
    if as_json:
        print(json.dumps(table))
        return
    for name, value in table.items():
        digits = 3 if isinstance(value, float) and value <= 1 else 1  # a share, or a time
        print(f"{name:24} {value:.{digits}f}" if isinstance(value, float) else f"{name:24} {value}")


def _tabled(found: dict[str, Any] | None, table: str, said: str, context: dict[str, Any]) -> None:
    """A figure of many numbers; found: as one JSON object, None for people."""
    if found is not None:
        print(json.dumps(found))
        return
    print(table)
    print(f"\n{said} " + ", ".join(f"{key} {value}" for key, value in context.items()))


def _require_photos(folder: Path, option: str) -> None:
    if not (folder / "groceries").is_dir():
        raise FileNotFoundError(
            f"{folder}: no real photos there (groceries/ is missing); name their folder with {option}."
        )


def _plot(options: argparse.Namespace) -> None:
    plot.plot(options.runs, options.output)
    print(options.output)


def _context(model: Path) -> dict[str, Any]:
    """What a figure depends on, and the command that prints it again."""
    config, network = read_model(model)
    return {
        "model": f"{config.name} int8 sha256 {sha256(network)[:12]}",
        "seed": SEED,
        "device": f"{processor()}, {os.cpu_count()} cores, one thread a photo",
        "versions": f"Python {platform.python_version()}, onnxruntime {runtime()}",
        "command": f"tools/bench {' '.join(sys.argv[1:])}",
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tools/bench", description="Print the project's figures.")
    figures = parser.add_subparsers(required=True, metavar="FIGURE")
    added = figures.add_parser("accuracy", help="recall on real and drawn photos, from float to the compressed index")
    added.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of real photos")
    added.add_argument("--weights", type=Path, default=Path("../shared/models/mobilenet_v2_imagenet.npz"))
    added.add_argument("--model", type=Path, default=default_model(), help="model folder (default: the shipped one)")
    added.add_argument(
        "--protocol",
        action="append",
        choices=list(protocols.PROTOCOLS),
        help="this one (default: all without distractors, which take minutes each)",
    )
    added.add_argument("--json", action="store_true")
    added.set_defaults(figure=_accuracy)

    added = figures.add_parser("index", help="our index beside FAISS, USearch, hnswlib and sqlite-vec")
    added.add_argument("--rows", type=int, default=100_000)
    added.add_argument("--data", choices=["embeddings", "synthetic"], default="embeddings")
    added.add_argument("--dim", type=int, default=128, help="of synthetic vectors (default: 128)")
    added.add_argument("--photos", type=Path, default=Path("../shared/data"), help="folder of real photos to embed")
    added.add_argument("--kept", type=Path, default=Path("build/index"), help="folder where embeddings stay")
    added.add_argument("--model", type=Path, default=default_model(), help="model folder (default: the shipped one)")
    added.add_argument("--only", action="append", default=[], help="systems whose name begins so")
    added.add_argument("--json", action="store_true")
    added.set_defaults(figure=_index)

    added = figures.add_parser("print", help="what local features of many pictures add to a photo's time and memory")
    added.add_argument("--pictures", type=int, default=100_000, help="made up at random (default: 100,000)")
    added.add_argument("--json", action="store_true")
    added.set_defaults(figure=partial(_made_up, prints.measure, "pictures"))

    added = figures.add_parser("cold", help="a new process: to its first answer, its memory, and at rest")
    added.add_argument("--products", type=int, default=100_000, help="made up (default: 100,000)")
    added.add_argument("--json", action="store_true")
    added.set_defaults(figure=partial(_made_up, cold.measure, "products"))

    added = figures.add_parser("desktop", help="how long a window waits while others search, and how soon they stop")
    added.add_argument("--products", type=int, default=60, help="drawn (default: 60)")
    added.add_argument("--json", action="store_true")
    added.set_defaults(figure=partial(_made_up, desktop.measure, "products"))

    added = figures.add_parser("answers", help="unknown products, probabilities, photos together, categories")
    added.add_argument(
        "--references", type=int, default=5, help="photos a product; 0: its catalogue picture (default: 5)"
    )
    added.add_argument("--learn", action="store_true", help="what decisions start from, learned from photos not tested")
    added.add_argument("--kinds", action="store_true", help="the kind of clothing, by vote, instead")
    added.add_argument("--most", type=int, help="photos asked of a product (default: all)")
    added.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of real photos")
    added.add_argument("--json", action="store_true")
    added.set_defaults(figure=_answers)

    added = figures.add_parser(
        "personal", help="made-up shoppers: what a profile gains them, and what it costs a search"
    )
    added.add_argument("--shoppers", type=int, default=personal.SHOPPERS, help=f"default: {personal.SHOPPERS}")
    added.add_argument("--seed", type=int, default=SEED, help=f"of shop and shoppers (default: {SEED})")
    added.add_argument("--kept", type=Path, default=Path("build/personal"), help="folder where the drawn shop stays")
    added.add_argument("--json", action="store_true")
    added.set_defaults(figure=_personal)

    added = figures.add_parser("compare", help="how often a sound, a damaged and another product is told")
    added.add_argument("--photos", choices=["drawn", "groceries", "objects"], default="drawn")
    added.add_argument("--families", type=int, default=8, help="of drawn twins (default: 8)")
    added.add_argument("--seed", type=int, default=32, help="of products, photos and damage (default: 32)")
    added.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of real photos")
    added.add_argument("--json", action="store_true")
    added.set_defaults(figure=_compare)

    added = figures.add_parser("catalogue", help="what `check` finds of what is planted, and at how many false alarms")
    catalogue.add_arguments(added)
    added.add_argument("--json", action="store_true")
    added.set_defaults(figure=_catalogue)

    added = figures.add_parser("explain", help="whether the regions shown are what made two pictures match")
    added.add_argument("--photos", choices=["drawn", "groceries"], default="drawn")
    added.add_argument("--number", type=int, default=24, help="of photos (default: 24)")
    added.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of real photos")
    added.add_argument("--json", action="store_true")
    added.set_defaults(figure=_explain)

    added = figures.add_parser("words", help="typos, photo and words together, time and bytes among many products")
    added.add_argument("--products", type=int, default=100_000, help="made up (default: 100,000)")
    added.add_argument("--json", action="store_true")
    added.set_defaults(figure=partial(_made_up, words.measure, "products"))

    added = figures.add_parser("serve", help="photos asked of `edgesearch serve` by eight clients at a steady rate")
    added.add_argument("--seconds", type=int, default=60, help="(default: 60)")
    added.add_argument("--rate", type=float, default=20.0, help="photos a second, of all clients (default: 20)")
    added.add_argument("--json", action="store_true")
    added.set_defaults(figure=_serve)

    added = figures.add_parser("page", help="the page in Chromium: first paint, frame to answer, kilobytes")
    added.add_argument("--json", action="store_true")
    added.set_defaults(figure=_page)

    added = figures.add_parser("monkey", help="somebody who presses anything on the page of a kiosk")
    added.add_argument("--actions", type=int, default=1000, help="default: 1000")
    added.add_argument("--seed", type=int, default=SEED, help=f"of what is done (default: {SEED})")
    added.add_argument("--json", action="store_true")
    added.set_defaults(figure=_monkey)

    added = figures.add_parser("plot", help="draw what `index --json` printed")
    added.add_argument("runs", type=Path, nargs="+", help="files, with more and more rows")
    added.add_argument("-o", "--output", type=Path, default=Path("index.png"))
    added.set_defaults(figure=_plot)
    return parser


if __name__ == "__main__":
    sys.exit(main())
