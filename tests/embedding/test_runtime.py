"""onnxruntime and OpenVINO compute the same, and both as a store needs it."""

import contextlib
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import edgesearch
from edgesearch import BundleError, ModelError, Stop, StoppedError
from edgesearch.bundle.golden_queries import Golden
from edgesearch.commands.cli import main
from edgesearch.device.slots import Slots
from edgesearch.embedding import run_settings
from edgesearch.embedding import runtime as runtimes
from edgesearch.embedding.embedder import Embedder, default_model, read_model
from edgesearch.embedding.run_settings import DEFAULT, Settings
from edgesearch.embedding.runtime import ONNXRUNTIME, OPENVINO, RUNTIMES
from edgesearch.evaluation import doctor
from edgesearch.images import image
from edgesearch.search import open_bundle

from ..conftest import TINY_MODEL
from .make_golden_embeddings import pictures

needs_openvino = pytest.mark.skipif(not runtimes.is_installed(OPENVINO), reason="openvino is not installed")
EACH = [ONNXRUNTIME, pytest.param(OPENVINO, marks=needs_openvino)]


def embedder(runtime: str, model: Path = TINY_MODEL) -> Embedder:
    return Embedder(*read_model(model), runtime=runtime)


@pytest.fixture
def without_openvino(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(sys.modules, OPENVINO, None)  # type: ignore[arg-type]
    yield


@needs_openvino
def test_both_see_the_same() -> None:
    known, other = (embedder(runtime, default_model()) for runtime in RUNTIMES)
    assert known.space == other.space
    assert (known.embed(pictures(), fast=True) * other.embed(pictures(), fast=True)).sum(1).min() > 0.99
    assert (known.embed(pictures()) * other.embed(pictures())).sum(1).mean() > 0.98  # another object now and then


@pytest.mark.parametrize("runtime", EACH)
@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_each_picture_of_a_batch_is_seen_as_if_alone(runtime: str, count: int) -> None:
    network = embedder(runtime)
    side = network.config.preprocessing.crop
    inputs = np.random.default_rng(0).normal(size=(count, 3, side, side)).astype(np.float32)
    together, alone = network.run(inputs), [network.run(one[None]) for one in inputs]
    assert [output.dtype for output in together] == [np.dtype(np.float32)] * len(together)
    for output, parts in zip(together, zip(*alone, strict=True), strict=True):
        np.testing.assert_allclose(output, np.concatenate(parts), rtol=1e-5, atol=1e-5)  # float32


@pytest.mark.parametrize("runtime", EACH)
def test_threads_share_it(runtime: str) -> None:
    network = embedder(runtime)
    expected = network.embed(pictures())
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: network.embed(pictures()), range(12)):
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("runtime", EACH)
def test_it_stops_and_goes_on(runtime: str) -> None:
    network = embedder(runtime, default_model())
    many = np.zeros((64, 3, 224, 224), np.float32)
    expected = network.run(many[:2])
    with Stop() as stop, pytest.raises(StoppedError):
        threading.Timer(0.02, stop.set).start()
        network.run(many)
    with Stop():
        np.testing.assert_array_equal(network.run(many[:2])[0], expected[0])


class Turned:
    """Embeds as golden queries were, turned so that their cosines to what they were are these."""

    def __init__(self, cosines: list[float]):
        self._cosines = np.array(cosines, np.float32)

    def embed(self, pictures: list[np.ndarray]) -> np.ndarray:
        return np.stack([self._cosines, np.sqrt(1 - self._cosines**2)], 1)


@pytest.mark.parametrize(
    ("cosines", "alike", "otherwise"),
    [
        ([1.0, 0.995], True, True),
        ([1.0, 0.97], False, True),  # another object was found
        ([1.0, 0.89], False, False),
        ([0.97, 0.97], False, False),
    ],
)
def test_other_arithmetic_may_round_otherwise(cosines: list[float], alike: bool, otherwise: bool) -> None:
    golden = Golden(
        np.arange(2), np.array([[1, 0], [1, 0]], np.float32), np.zeros(2, np.int64), np.zeros(2, np.float32)
    )
    index = SimpleNamespace(search=lambda asked, k: SimpleNamespace(rows=np.zeros((2, 1)), scores=np.zeros((2, 1))))
    picture = image.thumbnail(np.zeros((9, 9, 3), np.uint8), 9)
    for how, passes in ((True, alike), (False, otherwise)):
        with contextlib.nullcontext() if passes else pytest.raises(BundleError, match="sees other things"):
            golden.check(Turned(cosines), index, lambda row: picture, how)  # type: ignore[arg-type]
    assert [DEFAULT.as_built, DEFAULT.on(OPENVINO).as_built] == [True, False]


@needs_openvino
def test_what_it_cannot_load_is_our_error() -> None:
    with pytest.raises(ModelError, match="model x: openvino cannot load it") as raised:
        runtimes.load(OPENVINO, b"", "model x")
    assert "\n" not in str(raised.value)


@needs_openvino
def test_it_reads_onnx_alone() -> None:
    """Bytes 4 to 8 would tell OpenVINO that this is of TensorFlow Lite."""
    config, network = read_model(TINY_MODEL)
    Embedder(config, b"\x12\x06xxTFL3" + network, runtime=OPENVINO)


@needs_openvino
def test_importing_it_reports_nothing() -> None:
    code = (
        "import sys\n"
        "def hook(event, arguments):\n"
        "    assert not event.startswith('socket.'), event\n"
        "sys.addaudithook(hook)\n"
        "from edgesearch import runtimes\n"
        "runtimes.version('openvino')\n"
        "print(*[name for name in sys.modules if name.startswith(runtimes.TALKATIVE)])\n"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded.split() == []


@pytest.mark.usefixtures("without_openvino")
def test_without_its_extra_it_says_so(tiny_edge: Path, shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo = next((shop / "photos").glob("*.jpg"))
    assert main(["search", str(tiny_edge), str(photo), "--runtime", OPENVINO]) == 1
    said = capsys.readouterr().err
    assert "pip install 'edgesearch[openvino]'" in said
    assert said.count("\n") == 1
    assert main(["search", str(tiny_edge), str(photo), "--runtime", ONNXRUNTIME]) == 0


def test_there_are_no_others(tiny_edge: Path) -> None:
    with pytest.raises(ValueError, match="runtime 'torch'; expected onnxruntime or openvino"):
        edgesearch.open(tiny_edge, runtime="torch")
    with pytest.raises(ValueError, match="settings"):
        Settings(kernels=run_settings.FLOAT, runtime=OPENVINO)
    assert Settings(kernels=run_settings.FLOAT).on(OPENVINO) == DEFAULT.on(OPENVINO)


def test_settings_of_before_name_none() -> None:
    file = run_settings.to_bytes(DEFAULT, run_settings.Place("", "", "")).replace(b', "runtime": "onnxruntime"', b"", 1)
    assert run_settings.parse(file, "x")[0] == DEFAULT


@needs_openvino
def test_a_store_runs_on_it(tiny_edge: Path, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with edgesearch.open(tiny_edge) as known, edgesearch.open(tiny_edge, runtime=OPENVINO) as other:
        assert other.settings == DEFAULT.on(OPENVINO)
        other.self_test()
        assert other.search(photo).matches[0].sku == known.search(photo).matches[0].sku
        with pickle.loads(pickle.dumps(other)) as again:
            assert again.settings.runtime == OPENVINO
    edgesearch.install(tiny_edge, tmp_path / "device")
    with edgesearch.open(tmp_path / "device") as store:
        chosen = replace(DEFAULT.on(OPENVINO), threads=2)
        Slots(tmp_path / "device").settle(chosen, open_bundle.place(store.bundle, OPENVINO))
    with edgesearch.open(tmp_path / "device") as store:
        assert store.settings == chosen
    with edgesearch.open(tmp_path / "device", runtime=ONNXRUNTIME) as store:
        assert store.settings == replace(DEFAULT, threads=2)
    monkeypatch.setitem(sys.modules, OPENVINO, None)  # type: ignore[arg-type]
    with edgesearch.open(tmp_path / "device") as store:  # it was uninstalled
        assert store.settings == DEFAULT


FORK = """
import os, sys, edgesearch
store = edgesearch.open(sys.argv[1], runtime="openvino")
expected = store.search(sys.argv[2]).matches[0].sku
pid = os.fork()
assert store.search(sys.argv[2]).matches[0].sku == expected
if pid:
    assert os.waitpid(pid, 0)[1] == 0
"""


@needs_openvino
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
@pytest.mark.filterwarnings("ignore:This process.*multi-threaded:DeprecationWarning")
def test_a_forked_process_has_its_own(tiny_edge: Path, photo: Path) -> None:
    subprocess.run([sys.executable, "-c", FORK, tiny_edge, photo], check=True, timeout=60)


@needs_openvino
def test_doctor_measures_it(tiny_edge: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CONTEST_S", "SETTLE_S", "STARTS_S"):
        monkeypatch.setattr(doctor, name, 0)
    report = doctor.examine(tiny_edge, runtime=OPENVINO)
    assert report.settings.runtime == OPENVINO
    assert report.place.runtime == runtimes.version(OPENVINO)
    assert {trial.settings.runtime for trial in report.trials} == {*RUNTIMES}
