"""Check that onnxruntime computes what a store needs: batches, threads, stopping."""

import contextlib
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest

from edgesearch import BundleError, ModelError, Stop, StoppedError
from edgesearch.bundle.golden_queries import GoldenQueries
from edgesearch.embedding import run_settings, runtime
from edgesearch.embedding.embedder import Embedder
from edgesearch.embedding.run_settings import DEFAULT, Settings
from edgesearch.embedding.shipped_models import default_model
from edgesearch.images import image

from ..conftest import TINY_MODEL
from .make_golden_embeddings import pictures


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_a_batch_gives_the_outputs_of_its_pictures_alone(count: int) -> None:
    embedder = Embedder.open(TINY_MODEL)
    side = embedder.config.preprocessing.crop
    inputs = np.random.default_rng(0).normal(size=(count, 3, side, side)).astype(np.float32)
    together, alone = embedder.run(inputs), [embedder.run(row[None]) for row in inputs]
    assert [output.dtype for output in together] == [np.dtype(np.float32)] * len(together)
    for output, parts in zip(together, zip(*alone, strict=True), strict=True):
        np.testing.assert_allclose(output, np.concatenate(parts), rtol=1e-5, atol=1e-5)  # float32


def test_threads_share_one_network() -> None:
    embedder = Embedder.open(TINY_MODEL)
    expected = embedder.embed(pictures())
    with ThreadPoolExecutor(4) as pool:
        for embeddings in pool.map(lambda _: embedder.embed(pictures()), range(12)):
            np.testing.assert_array_equal(embeddings, expected)


def test_a_network_that_cannot_run_is_an_error_of_one_sentence() -> None:
    embedder = Embedder.open(TINY_MODEL)
    with pytest.raises(ModelError, match="model tiny: onnxruntime cannot run it") as raised:
        embedder.run(np.zeros((1, 3, 5, 5), np.float32))
    assert "\n" not in str(raised.value)


def test_a_stopped_network_can_run_again() -> None:
    embedder = Embedder.open(default_model())
    inputs = np.zeros((64, 3, 224, 224), np.float32)
    expected = embedder.run(inputs[:2])
    with Stop() as stop, pytest.raises(StoppedError):
        threading.Timer(0.02, stop.set).start()
        embedder.run(inputs)
    with Stop():
        np.testing.assert_array_equal(embedder.run(inputs[:2])[0], expected[0])


class FixedCosines:
    """An embedder whose embeddings have the given cosines to the golden ones."""

    def __init__(self, cosines: list[float]):
        self._cosines = np.array(cosines, np.float32)
        self.plain = self

    def whiten(self, rows: np.ndarray) -> np.ndarray:
        return rows

    def embed(self, pictures: list[np.ndarray]) -> np.ndarray:
        return np.stack([self._cosines, np.sqrt(1 - self._cosines**2)], 1)


@pytest.mark.parametrize(
    ("cosines", "passes_as_built", "passes_otherwise"),
    [
        ([1.0, 0.995], True, True),
        ([1.0, 0.97], False, True),  # the crop around the object differed
        ([1.0, 0.89], False, False),
        ([0.97, 0.97], False, False),
    ],
)
def test_golden_queries_allow_more_rounding_with_other_kernels(
    cosines: list[float], passes_as_built: bool, passes_otherwise: bool
) -> None:
    golden = GoldenQueries(
        np.arange(2), np.array([[1, 0], [1, 0]], np.float32), np.zeros(2, np.int64), np.zeros(2, np.float32)
    )
    index = SimpleNamespace(search=lambda rows, k: SimpleNamespace(rows=np.zeros((2, 1)), scores=np.zeros((2, 1))))
    picture = image.thumbnail(np.zeros((9, 9, 3), np.uint8), 9)
    for as_built, passes in ((True, passes_as_built), (False, passes_otherwise)):
        with contextlib.nullcontext() if passes else pytest.raises(BundleError, match="computes other embeddings"):
            golden.check(FixedCosines(cosines), index, lambda row: picture, as_built)  # type: ignore[arg-type]
    assert [DEFAULT.as_built, Settings(kernels=run_settings.FLOAT).as_built] == [True, False]


def test_a_network_that_cannot_be_loaded_is_one_sentence() -> None:
    with pytest.raises(ModelError, match="model x: onnxruntime cannot load it") as raised:
        runtime.load(b"", "model x")
    assert "\n" not in str(raised.value)


def test_a_missing_onnxruntime_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="pip install"):
        Embedder.open(TINY_MODEL)


@pytest.mark.slow
def test_importing_onnxruntime_opens_no_connection() -> None:
    code = (
        "import sys\n"
        "def hook(event, arguments):\n"
        "    assert not event.startswith('socket.'), event\n"
        "sys.addaudithook(hook)\n"
        "from edgesearch.embedding import runtime\n"
        "runtime.version()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_unknown_kernels_are_refused() -> None:
    with pytest.raises(ValueError, match="settings"):
        Settings(kernels="int4")
