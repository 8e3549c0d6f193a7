"""Make a model, step by step:

PYTHONPATH=tools python -m demo_shop.make_pictures build/drawn --products 1600 --unknown 0 --photos 3 --seed 7
python -m export train export/recipes/mobilenet_v2.toml --data DATA --drawn build/drawn \\
    --weights mobilenet_v2_imagenet.npz --run build/run
python -m export to_onnx artifacts/mobilenet_v2_v4 --data DATA --run build/run
python -m export quantize artifacts/mobilenet_v2_v4 --data DATA
python -m export verify artifacts/mobilenet_v2_v4 --data DATA
tools/bench accuracy --json >accuracy.json && python -m export card artifacts/mobilenet_v2_v4 accuracy.json

Other backbones have recipes of their own; `compare` prints what each weighs, takes and loses. `codebook` makes
artifacts/local_features_v1, by which features of the print are kept.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from tqdm import tqdm

from edgesearch.errors import EdgeSearchError

from . import model_folder
from .training_pictures import Source, drawn_sources, training_sources

PARITY_PICTURES = 32
CODEBOOK_PICTURES = 600
COMPARED_PICTURES = 256  # to calibrate on


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
    pictures = pack(options.data, options.drawn, options.run / "pictures")
    print(Trainer(recipe, pictures, options.weights, options.run).run())


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
    how = Quantization.read(options.recipe)
    calibration = model_folder.inputs([s.path for s in _sample(sources, how.pictures, how.seed)])
    quantize(options.folder, calibration, how)
    found = verify(options.folder, HeldBack.of(sources))
    facts = {"calibrated": how.pictures, "float_convolutions": how.float_convolutions, **found}
    model_folder.note(options.folder, {"int8": facts})
    print(json.dumps(found))


def _verify(options: argparse.Namespace) -> None:
    from .verify import HeldBack, verify

    print(json.dumps(verify(options.folder, HeldBack.of(list(training_sources(options.data))))))


def _compare(options: argparse.Namespace) -> None:
    from .backbone_comparison import compare, table
    from .verify import HeldBack

    sources = list(training_sources(options.data))
    calibration = model_folder.inputs([s.path for s in _sample(sources, COMPARED_PICTURES, seed=0)])
    rows = compare(options.weights, calibration, HeldBack.of(sources))
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
    """Training pictures to calibrate on, drawn evenly from all of them but the bare surfaces."""
    usable = [s for s in sources if not s.held_out and s.group != "background"]
    chosen = np.random.default_rng(seed).choice(len(usable), count, replace=False)
    return [usable[i] for i in np.sort(chosen)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m export", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    recipe = Path(__file__).parent / "recipes" / "mobilenet_v2.toml"

    added = verbs.add_parser("train", help="train an embedder; continues where a run was stopped")
    added.add_argument("recipe", type=Path)
    added.add_argument("--data", type=Path, required=True, help="folder of training pictures")
    added.add_argument("--drawn", type=Path, help="folder made by `demo_shop.make_pictures`")
    added.add_argument("--weights", type=Path, help="pretrained weights (default: what torchvision publishes)")
    added.add_argument("--run", type=Path, required=True, help="folder of checkpoints and results")
    added.set_defaults(verb=_train)

    added = verbs.add_parser("to_onnx", help="write a model folder with the float network, checked against torch")
    added.add_argument("folder", type=Path)
    added.add_argument("--data", type=Path, required=True)
    added.add_argument("--run", type=Path, required=True)
    added.set_defaults(verb=_to_onnx)

    added = verbs.add_parser("quantize", help="add the int8 network; fails where it is too far from float")
    added.add_argument("folder", type=Path)
    added.add_argument("--data", type=Path, required=True)
    added.add_argument("--recipe", type=Path, default=recipe)
    added.set_defaults(verb=_quantize)

    added = verbs.add_parser("verify", help="measure int8 against float again")
    added.add_argument("folder", type=Path)
    added.add_argument("--data", type=Path, required=True)
    added.set_defaults(verb=_verify)

    added = verbs.add_parser("compare", help="print what each backbone weighs, takes and loses by int8")
    added.add_argument("--data", type=Path, required=True)
    added.add_argument("--weights", type=Path, help="folder of checkpoints (default: what torchvision publishes)")
    added.set_defaults(verb=_compare)

    added = verbs.add_parser("codebook", help="learn how features of the print are coded")
    added.add_argument("folder", type=Path)
    added.add_argument("--data", type=Path, required=True)
    added.add_argument("--drawn", type=Path, required=True, help="folder made by `demo_shop.make_pictures`")
    added.set_defaults(verb=_codebook)

    added = verbs.add_parser("card", help="write MODEL_CARD.md from the config and measured figures")
    added.add_argument("folder", type=Path)
    added.add_argument("accuracy", type=Path, help="what `tools/bench accuracy --json` printed")
    added.add_argument("--runs", type=Path, nargs="*", default=[], help="runs with more and more groceries, to compare")
    added.set_defaults(verb=_card)
    return parser


if __name__ == "__main__":
    sys.exit(main())
