"""Find the models that ship: `light` with the package, `accurate` with the package `edgesearch-accurate`."""

from importlib import util
from pathlib import Path

from ..errors import ModelError

LIGHT, ACCURATE = "light", "accurate"
MODELS = {LIGHT: "mobilenet_v2_v4", ACCURATE: "mobilenet_v2_lite2_v2"}
_ACCURATE_PACKAGE = "edgesearch_accurate"


def find_model(model: str | Path | None = None) -> Path:
    """Return the folder of a model.

    Args:
        model: `light` or `accurate`, the name of a model that ships, or a model folder; None means `light`.
    Raises:
        ModelError: There is no such model here.
    """
    if model is None:
        return default_model()
    name = MODELS.get(str(model), str(model))
    if name in MODELS.values() and not Path(model).is_dir():
        folder = artifact_folder(name)
        if name == MODELS[ACCURATE] and not folder.is_dir() and (found := util.find_spec(_ACCURATE_PACKAGE)):
            folder = Path(*(found.submodule_search_locations or ()))
        if not folder.is_dir():
            raise ModelError(f"--model {model}: {name} is not installed; install its wheel, edgesearch-accurate.")
        return folder
    if not Path(model).is_dir():
        raise ModelError(
            f"--model {model}: no such model; give {LIGHT}, {ACCURATE}, {' or '.join(MODELS.values())}, or a folder."
        )
    return Path(model)


def default_model() -> Path:
    """Return the folder of the light model."""
    return artifact_folder(MODELS[LIGHT])


def artifact_folder(name: str) -> Path:
    """Return a folder that ships with the package: inside an installed package, beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "artifacts" / name
    return inside if inside.is_dir() else package.parent / "artifacts" / name
