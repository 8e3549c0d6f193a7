"""Pretrained weights: from a file, or from torchvision's own publisher where there is a network."""

import pickle
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from edgesearch._util.hashing import sha256
from edgesearch.errors import ModelError

from .torchvision_cpu import torchvision


@dataclass(frozen=True)
class Weights:
    """A checkpoint.

    Attributes: tensors: under torchvision's keys; source: the file's name and hash.
    """

    tensors: dict[str, Tensor]
    source: str


def pretrained(backbone: str, convention: str, file: Path | None = None) -> Weights:
    """Read weights, or fetch them.

    Args:    file: a checkpoint in torchvision's format, or `.npz` of arrays under its keys; None: the ones that
             torchvision publishes, kept where `torch.hub` keeps its downloads.
    Raises:  ModelError: no such file, it holds no weights, or they cannot be fetched.
    """
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


def _fetch(backbone: str) -> Path:
    """The checkpoint of torchvision's best ImageNet weights, downloaded where it is not there yet."""
    url = torchvision.models.get_model_weights(backbone).DEFAULT.url
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    kept = folder / url.rsplit("/", 1)[1]
    if not kept.exists():
        # The file's name ends in the first characters of its hash, which are compared.
        try:
            torch.hub.load_state_dict_from_url(url, str(folder), check_hash=True, weights_only=True)
        except (OSError, RuntimeError) as error:
            raise ModelError(
                f"{backbone}: its weights cannot be fetched ({error}); bring {kept.name}, which torchvision publishes "
                f"at {url}, and put it into {folder}, or name it with --weights."
            ) from error
    return kept
