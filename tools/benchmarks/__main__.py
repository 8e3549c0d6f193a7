"""`tools/bench FIGURE`: print figures with the circumstances under which they were measured.

A benchmark is a module with `add_arguments(parser)` and `run(options, folder)`, which works in an empty folder and
returns figures by name. If `markdown` is among them, it is printed instead of a line for each figure, with `note` below
it. The values of `context` are added unless the benchmark returns its own.
"""

import argparse
import importlib
import json
import sys
import tempfile
from pathlib import Path
from types import ModuleType

import edgesearch
from edgesearch.embedding.shipped_models import default_model

from .context import SEED, Results, context, number

FIGURES = {  # command: module, description
    "accuracy": ("accuracy", "recall on real and drawn photos, from float to the compressed index"),
    "groceries": ("accuracy_by_kind", "recall on groceries by kind: packages, vegetables, fruit"),
    "answers": ("answer_quality", "unknown products, probabilities, several photos of a product, categories"),
    "index": ("index_search", "our index compared with FAISS, USearch, hnswlib and sqlite-vec"),
    "embedder": ("embedders", "the network on onnxruntime, OpenVINO, LiteRT and torch, in turns"),
    "photo": ("photo_stages", "time from a phone's photo to its answer, by stage"),
    "print": ("local_features_cost", "time and memory that local features of many pictures add to a photo"),
    "cold": ("cold_start", "a new process: time to its first answer, memory, and load at rest"),
    "desktop": ("window_latency", "how long a window waits while other threads search, and how soon a search stops"),
    "personal": ("made_up_shoppers", "what a profile gains made-up shoppers, and what it costs a search"),
    "fleet": ("fleet_learning", "what merging the pictures that many devices learned costs, and what it gains"),
    "learning": ("learning", "how recognition grows with scans that teach a device"),
    "compare": ("damage_detection", "how often `compare` recognizes sound, damaged and other products"),
    "explain": ("explanation_quality", "whether the regions shown by --explain are those that made pictures match"),
    "build": ("build_speed", "speed of a build, compared with this machine's limit, and its memory"),
    "catalogue": ("catalogue_checks", "planted mistakes that `check` finds, and its false alarms"),
    "budget": ("size_budget", "what fits into a budget, and the recall it leaves"),
    "words": ("word_search", "typos, photo and words together, time and bytes with many products"),
    "serve": ("server_load", "latency of `edgesearch serve` with eight clients at a steady rate"),
    "page": ("page_speed", "the page in Chromium: first paint, frame to answer, kilobytes"),
    "web": ("web_site", "a site without a server in Chromium: answers compared with Python's, speed, start, memory"),
    "hands": ("hands_free", "photos shown by a trembling hand: how many the page answers, and old answers that stay"),
    "monkey": ("random_visitor", "a visitor who acts at random on the page of a kiosk"),
}
COMMANDS = {  # like benchmarks, but they return a text to print
    "all": ("report.measure_all", "run all of these and write docs/figures.md"),
    "readme": ("report.quotes", "write the figures of `all` where README.md and docs/ quote them"),
}
EVERYTHING = FIGURES | COMMANDS


def main() -> int:
    """Run one benchmark; return the exit status."""
    module, options = parse(sys.argv[1:])
    try:
        with tempfile.TemporaryDirectory() as folder:
            found: Results | str = module.run(options, Path(folder))
        print(found if isinstance(found, str) else _format_output(found, options))
    except (edgesearch.EdgeSearchError, OSError, ValueError) as error:
        print(f"tools/bench: {error}", file=sys.stderr)
        return 1
    return 0


def parse(arguments: list[str]) -> tuple[ModuleType, argparse.Namespace]:
    """Import the module of the requested benchmark; return it with its options."""
    listed = "\n".join(f"  {name:10} {said}" for name, (_, said) in EVERYTHING.items())
    parser = argparse.ArgumentParser(
        prog="tools/bench",
        description=f"Print the project's figures:\n\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("figure", choices=EVERYTHING, metavar="FIGURE")
    parser.add_argument("options", nargs=argparse.REMAINDER, help="see tools/bench FIGURE --help")
    asked = parser.parse_args(arguments)
    name, said = EVERYTHING[asked.figure]
    module = importlib.import_module(f".{name}", __package__)
    own = argparse.ArgumentParser(prog=f"tools/bench {asked.figure}", description=said)
    module.add_arguments(own)
    if asked.figure in FIGURES:
        own.add_argument("--json", action="store_true", help="one JSON object")
    return module, own.parse_args(asked.options)


def _format_output(found: Results, options: argparse.Namespace) -> str:
    """Return the figures as one JSON object, as the benchmark's own table, or as a line each."""
    known = context(getattr(options, "model", default_model()), getattr(options, "seed", SEED))
    if options.json:
        return json.dumps(known | found)
    known |= {key: found[key] for key in known if key in found}
    if "markdown" in found:
        return f"{found['markdown']}\n\n{found['note']} " + ", ".join(f"{key} {value}" for key, value in known.items())
    return "\n".join(f"{name:24} {number(value)}" for name, value in (found | known).items())


if __name__ == "__main__":
    sys.exit(main())
