"""Shared by all benchmarks: the seed, the folders they read, and the circumstances of a measurement."""

import argparse
import os
import platform
import shlex
import sys
from pathlib import Path
from typing import Any

from edgesearch._util.hashing import sha256
from edgesearch.embedding.embedder import read_model
from edgesearch.embedding.run_settings import processor
from edgesearch.embedding.runtime import version
from edgesearch.embedding.shipped_models import default_model

from . import older_cpu

SEED = 0
NO_MODEL = "none"  # value of `model` for a benchmark without a model
Results = dict[str, Any]


def number(value: object) -> str:
    """Format a single figure."""
    if not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) else str(value)
    return f"{value:.3f}" if value <= 1 else f"{value:,.1f}"


def context(model: Path, seed: int) -> Results:
    """Return what a figure depends on, and the command that measures it again."""
    config, network = read_model(model)
    return {
        "model": f"{config.name} int8 sha256 {sha256(network)[:12]}",
        "seed": seed,
        "device": f"{processor().replace('(R)', '')}, {os.cpu_count()} cores, one thread a photo",
        "instructions": older_cpu.visible_instructions(),
        "versions": f"Python {platform.python_version()}, onnxruntime {version()}",
        "command": f"tools/bench {shlex.join(sys.argv[1:])}",
    }


def add_data(parser: argparse.ArgumentParser, option: str = "--data") -> None:
    """Add the option for the folder of real photos."""
    parser.add_argument(option, type=Path, default=Path("../shared/data"), help="folder of real photos")


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add the option for a model other than the shipped one."""
    parser.add_argument("--model", type=Path, default=default_model(), help="model folder (default: the shipped one)")


def require_photos(folder: Path, option: str = "--data") -> None:
    """Check that the real photos are there.

    Raises: FileNotFoundError: they are not.
    """
    if not (folder / "groceries").is_dir():
        raise FileNotFoundError(f"{folder}: no real photos (groceries/ is missing); name their folder with {option}.")
