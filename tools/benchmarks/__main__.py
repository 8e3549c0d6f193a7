"""`tools/bench FIGURE`: print figures with what they were measured on.

A figure is a module with `add_arguments(parser)` and `run(options, folder)`, which works in an empty folder and returns
figures by name. `markdown` among them is what people read in place of a line each, `note` a sentence below it. What
`context` knows is added, unless it is among them.
"""

import argparse
import importlib
import json
import sys
import tempfile
from pathlib import Path
from types import ModuleType

import edgesearch
from edgesearch.embedding.embedder import default_model

from .context import SEED, Found, context, number

FIGURES = {  # name: its module, what it prints
    "accuracy": ("accuracy", "recall on real and drawn photos, from float to the compressed index"),
    "answers": ("answer_quality", "unknown products, probabilities, photos together, categories"),
    "index": ("index_search", "our index beside FAISS, USearch, hnswlib and sqlite-vec"),
    "embedder": ("embedders", "the network on onnxruntime, OpenVINO, LiteRT and torch, in turns"),
    "photo": ("photo_stages", "a phone's photo to its answer, by stage"),
    "print": ("local_features_cost", "what local features of many pictures add to a photo's time and memory"),
    "cold": ("cold_start", "a new process: to its first answer, its memory, and at rest"),
    "desktop": ("window_latency", "how long a window waits while others search, and how soon they stop"),
    "personal": ("made_up_shoppers", "made-up shoppers: what a profile gains them, and what it costs a search"),
    "compare": ("damage_detection", "how often a sound, a damaged and another product is told"),
    "explain": ("explanation_quality", "whether the regions shown are what made two pictures match"),
    "build": ("build_speed", "how fast a build is beside what this machine can do, and its memory"),
    "catalogue": ("catalogue_checks", "what `check` finds of what is planted, and at how many false alarms"),
    "budget": ("size_budget", "what fits into which budget, and what it then finds"),
    "words": ("word_search", "typos, photo and words together, time and bytes among many products"),
    "serve": ("server_load", "photos asked of `edgesearch serve` by eight clients at a steady rate"),
    "page": ("page_speed", "the page in Chromium: first paint, frame to answer, kilobytes"),
    "monkey": ("random_visitor", "somebody who presses anything on the page of a kiosk"),
}
COMMANDS = {  # as figures, but what they return is said as it is
    "all": ("report.measure_all", "all of these, and the page docs/figures.md of them"),
    "readme": ("report.quotes", "write what `all` measured where README.md and docs/ quote it"),
}
EVERYTHING = FIGURES | COMMANDS


def main() -> int:
    """Print one figure; returns the exit status."""
    module, options = parsed(sys.argv[1:])
    try:
        with tempfile.TemporaryDirectory() as folder:
            found: Found | str = module.run(options, Path(folder))
        print(found if isinstance(found, str) else _told(found, options))
    except (edgesearch.EdgeSearchError, OSError, ValueError) as error:
        print(f"tools/bench: {error}", file=sys.stderr)
        return 1
    return 0


def parsed(arguments: list[str]) -> tuple[ModuleType, argparse.Namespace]:
    """The module of the figure that is asked, which alone is imported, and its options."""
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


def _told(found: Found, options: argparse.Namespace) -> str:
    """One object, or for people the figures' own table, or a line each."""
    known = context(getattr(options, "model", default_model()), getattr(options, "seed", SEED))
    if options.json:
        return json.dumps(known | found)
    known |= {key: found[key] for key in known if key in found}
    if "markdown" in found:
        return f"{found['markdown']}\n\n{found['note']} " + ", ".join(f"{key} {value}" for key, value in known.items())
    return "\n".join(f"{name:24} {number(value)}" for name, value in (found | known).items())


if __name__ == "__main__":
    sys.exit(main())
