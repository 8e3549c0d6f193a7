"""Make a model step by step:

PYTHONPATH=tools python -m demo_shop.make_pictures build/drawn --products 1600 --unknown 0 --photos 3 --seed 7
python -m export train export/recipes/mobilenet_v2.toml --data DATA --drawn build/drawn \\
    --weights mobilenet_v2_imagenet.npz --run build/run
python -m export to_onnx artifacts/mobilenet_v2_v4 --data DATA --run build/run
python -m export quantize artifacts/mobilenet_v2_v4 --data DATA
python -m export verify artifacts/mobilenet_v2_v4 --data DATA
python -m export whiten artifacts/mobilenet_v2_v4 --data DATA
tools/bench accuracy --json >accuracy.json && python -m export card artifacts/mobilenet_v2_v4 accuracy.json

The accurate model joins two towers: recipes/mobilenet_v2+efficientnet_lite2.toml; `project` then fits its projection
again. `remove_float` keeps the repository small. Other backbones have their own recipes; `compare` prints size, latency
and int8 loss of each. `codebook` writes artifacts/local_features_v1, which encodes local features.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
from tqdm import tqdm

from edgesearch.errors import EdgeSearchError

from . import model_folder
from .training_pictures import Source, drawn_sources, training_sources

PARITY_PICTURES = 32
CODEBOOK_PICTURES = 600
COMPARED_PICTURES = 256  # calibrate each compared backbone

Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def main() -> int:
    """Run one verb; returns the exit status."""
    options = _parser().parse_args()
    try:
        options.verb(options)
    except (EdgeSearchError, OSError) as error:
        print(f"export: {error}", file=sys.stderr)
        return 1
    return 0


def _train(options: argparse.Namespace) -> None:
    from .recipe import Recipe
    from .train import Trainer
    from .training_pictures import pack

    recipe = Recipe.read(options.recipe)
    pictures = pack(options.data, options.drawn, options.pictures or options.run / "pictures")
    teacher = np.load(options.teacher) if options.teacher else None
    print(Trainer(recipe, pictures, options.weights, options.run, teacher).run())


def _teacher(options: argparse.Namespace) -> None:
    from .recipe import Recipe
    from .sampler import projected_rows
    from .teacher import Member, teacher
    from .training_pictures import pack

    members = [Member.parse(text) for text in options.members]
    pictures = pack(options.data, options.drawn, options.pictures)
    rows = projected_rows(pictures, Recipe.read(options.recipe))
    np.save(options.file, teacher(members, pictures, rows, options.dim))
    print(options.file)


def _to_onnx(options: argparse.Namespace) -> None:
    from .to_onnx import export

    held_out = [s for s in training_sources(options.data) if s.held_out]
    inputs = model_folder.inputs([s.path for s in held_out[:: len(held_out) // PARITY_PICTURES]])
    difference = export(options.run, options.folder, inputs)
    print(f"{options.folder}: ONNX and torch agree to {difference:.1e}")


def _quantize(options: argparse.Namespace) -> None:
    from .quantize import quantize
    from .recipe import Quantization
    from .verify import HeldBack, verify

    sources = list(training_sources(options.data))
    settings = Quantization.read(options.recipe)
    calibration = model_folder.inputs([s.path for s in _sample(sources, settings.pictures, settings.seed)])
    quantize(options.folder, calibration, settings)
    found = verify(options.folder, HeldBack.from_sources(sources))
    facts = {"calibrated": settings.pictures, "float_convolutions": settings.float_convolutions, **found}
    model_folder.add_provenance(options.folder, {"int8": facts})
    print(json.dumps(found))


def _verify(options: argparse.Namespace) -> None:
    from .verify import HeldBack, verify

    print(json.dumps(verify(options.folder, HeldBack.from_sources(list(training_sources(options.data))))))


def _whiten(options: argparse.Namespace) -> None:
    from .whiten import whiten

    print(whiten(options.folder, list(training_sources(options.data))).digest)


def _project(options: argparse.Namespace) -> None:
    from .project import project

    project(options.folder, options.out, list(training_sources(options.data)), options.weights)
    print(options.out)


def _remove_float(options: argparse.Namespace) -> None:
    model_folder.remove_float(options.folder)


def _compare(options: argparse.Namespace) -> None:
    from .backbone_comparison import compare, table
    from .verify import HeldBack

    sources = list(training_sources(options.data))
    calibration = model_folder.inputs([s.path for s in _sample(sources, COMPARED_PICTURES, seed=0)])
    rows = compare(options.weights, calibration, HeldBack.from_sources(sources))
    print(table(list(tqdm(rows, desc="compare", unit="backbone", disable=None))))


def _codebook(options: argparse.Namespace) -> None:
    from edgesearch.local_features.descriptors import CODEBOOK_FILE

    from .codebook import codebook

    sources = [*training_sources(options.data), *drawn_sources(options.drawn)]
    learned = codebook([s.path for s in _sample(sources, CODEBOOK_PICTURES, seed=0)], seed=0)
    options.folder.mkdir(parents=True, exist_ok=True)
    learned.write(options.folder / CODEBOOK_FILE)
    print(options.folder / CODEBOOK_FILE)


def _card(options: argparse.Namespace) -> None:
    from .model_card import write_card

    accuracy = json.loads(options.accuracy.read_text(encoding="utf-8"))
    print(write_card(options.folder, accuracy, options.runs))


def _sample(sources: list[Source], count: int, seed: int) -> list[Source]:
    """Choose training pictures to calibrate on, uniformly from all except the bare surfaces."""
    usable = [s for s in sources if not s.held_out and s.group != "background"]
    chosen = np.random.default_rng(seed).choice(len(usable), count, replace=False)
    return [usable[i] for i in np.sort(chosen)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m export", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    _add_training(verbs)
    _add_quantization(verbs)
    _add_others(verbs)
    return parser


def _add_training(verbs: Verbs) -> None:
    added = _add_verb(verbs, "train", _train, "train a network, or continue a stopped run")
    added.add_argument("recipe", type=Path)
    _add_pictures(added)
    added.add_argument(
        "--weights",
        type=Path,
        nargs="*",
        default=[],
        help="pretrained weights, or folders of models or runs to go on from (default: what is published)",
    )
    added.add_argument("--teacher", type=Path, help="file made by `teacher` (default: the pretrained backbone)")
    added.add_argument("--run", type=Path, required=True, help="folder for checkpoints and results")

    added = _add_verb(verbs, "teacher", _teacher, "compute the vectors that a student learns from several networks")
    added.add_argument("recipe", type=Path, help="of the student: which pictures it trains on")
    added.add_argument("file", type=Path, help="the .npy file to write")
    added.add_argument("members", nargs="+", metavar="NETWORK=WEIGHT", help="backbones, runs or model folders")
    added.add_argument("--dim", type=int, default=256, help="components (default: %(default)s)")
    _add_pictures(added)

    added = _add_verb(
        verbs, "to_onnx", _to_onnx, "write a model folder with the float network, and check it against torch"
    )
    added.add_argument("folder", type=Path)
    added.add_argument("--data", type=Path, required=True)
    added.add_argument("--run", type=Path, required=True)


def _add_pictures(added: argparse.ArgumentParser) -> None:
    added.add_argument("--data", type=Path, required=True, help="folder of training pictures")
    added.add_argument("--drawn", type=Path, help="folder made by `demo_shop.make_pictures`")
    added.add_argument("--pictures", type=Path, help="folder of the packed pictures (default: in the run's)")


def _add_quantization(verbs: Verbs) -> None:
    recipe = Path(__file__).parent / "recipes" / "mobilenet_v2.toml"
    added = _add_verb(verbs, "quantize", _quantize, "add the int8 network; fails if it differs too much from float")
    added.add_argument("folder", type=Path)
    added.add_argument("--data", type=Path, required=True)
    added.add_argument("--recipe", type=Path, default=recipe)

    added = _add_verb(verbs, "verify", _verify, "compare int8 with float again")
    added.add_argument("folder", type=Path)
    added.add_argument("--data", type=Path, required=True)

    added = _add_verb(verbs, "project", _project, "fit the projection again, to photos as a device crops them")
    added.add_argument("folder", type=Path)
    added.add_argument("out", type=Path, help="folder of the new model")
    added.add_argument("--data", type=Path, required=True)
    added.add_argument("--weights", type=float, nargs="*", default=[], help="of the towers (default: 1 each)")

    added = _add_verb(verbs, "whiten", _whiten, "learn the map that evens out how pictures of one product differ")
    added.add_argument("folder", type=Path)
    added.add_argument("--data", type=Path, required=True)

    added = _add_verb(verbs, "remove_float", _remove_float, "remove the float network, which no device uses")
    added.add_argument("folder", type=Path)

    added = _add_verb(verbs, "compare", _compare, "print size, latency and int8 loss of each backbone")
    added.add_argument("--data", type=Path, required=True)
    added.add_argument("--weights", type=Path, help="folder of checkpoints (default: what torchvision publishes)")


def _add_others(verbs: Verbs) -> None:
    added = _add_verb(verbs, "codebook", _codebook, "learn the codebook of local features")
    added.add_argument("folder", type=Path)
    added.add_argument("--data", type=Path, required=True)
    added.add_argument("--drawn", type=Path, required=True, help="folder made by `demo_shop.make_pictures`")

    added = _add_verb(verbs, "card", _card, "write MODEL_CARD.md from the config and measured figures")
    added.add_argument("folder", type=Path)
    added.add_argument("accuracy", type=Path, help="output of `tools/bench accuracy --json`")
    added.add_argument("--runs", type=Path, nargs="*", default=[], help="runs with more and more groceries, to compare")


def _add_verb(verbs: Verbs, name: str, run: Callable[[argparse.Namespace], None], text: str) -> argparse.ArgumentParser:
    """Add a verb that calls `run` with its options."""
    added = verbs.add_parser(name, help=text)
    added.set_defaults(verb=run)
    return added


if __name__ == "__main__":
    sys.exit(main())
