"""What figures have in common: their seed, the folders they read, and what they were measured on."""

import argparse
import os
import platform
import shlex
import sys
from pathlib import Path
from typing import Any

from edgesearch._util.hashing import sha256
from edgesearch.embedding.embedder import default_model, read_model
from edgesearch.embedding.run_settings import processor
from edgesearch.embedding.runtime import version

from . import older_cpu

SEED = 0
NO_MODEL = "none"  # `model` of a figure that no model is part of
Found = dict[str, Any]


def number(value: object) -> str:
    """A figure by itself: a share, or a time."""
    if not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) else str(value)
    return f"{value:.3f}" if value <= 1 else f"{value:,.1f}"


def context(model: Path, seed: int) -> Found:
    """What a figure depends on, and the command that prints it again."""
    config, network = read_model(model)
    return {
        "model": f"{config.name} int8 sha256 {sha256(network)[:12]}",
        "seed": seed,
        "device": f"{processor().replace('(R)', '')}, {os.cpu_count()} cores, one thread a photo",
        "instructions": older_cpu.instructions(),
        "versions": f"Python {platform.python_version()}, onnxruntime {version()}",
        "command": f"tools/bench {shlex.join(sys.argv[1:])}",
    }


def add_data(parser: argparse.ArgumentParser, option: str = "--data") -> None:
    """The folder of real photos."""
    parser.add_argument(option, type=Path, default=Path("../shared/data"), help="folder of real photos")


def add_model(parser: argparse.ArgumentParser) -> None:
    """Another model than the shipped one."""
    parser.add_argument("--model", type=Path, default=default_model(), help="model folder (default: the shipped one)")


def require_photos(folder: Path, option: str = "--data") -> None:
    """That the real photos are there; raises FileNotFoundError."""
    if not (folder / "groceries").is_dir():
        raise FileNotFoundError(
            f"{folder}: no real photos there (groceries/ is missing); name their folder with {option}."
        )
