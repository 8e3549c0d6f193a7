"""`doctor` measures and chooses settings, saves them, and a store uses them."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import edgesearch
from edgesearch import DeviceError
from edgesearch.commands.cli import main
from edgesearch.device.slots import Slots
from edgesearch.embedding import run_settings
from edgesearch.embedding.run_settings import DEFAULT, FLOAT, Environment, Settings
from edgesearch.evaluation import doctor
from edgesearch.evaluation.doctor import Measurement, choose_crops, choose_kernels, choose_threads
from edgesearch.search import open_bundle

from ..conftest import TINY_MODEL

pytestmark = pytest.mark.slow

ONE = replace(DEFAULT, crops=1)
FLOATS = replace(DEFAULT, kernels=FLOAT)


def measured(median_ms: float, how: Settings = DEFAULT, agreement: float = 1.0, golden: bool = True) -> Measurement:
    return Measurement(how, median_ms, median_ms, 8, agreement, golden)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Search each of two photos once, and start one process."""
    monkeypatch.setattr(doctor, "PHOTOS", 2)
    for name in ("COMPARISON_S", "STARTS_S"):
        monkeypatch.setattr(doctor, name, 0)


@pytest.fixture
def device(tiny_edge: Path, tmp_path: Path) -> Path:
    edgesearch.install(tiny_edge, tmp_path / "device")
    return tmp_path / "device"


@pytest.mark.parametrize(
    ("int8", "floats", "chosen"),
    [
        (measured(100), measured(100, FLOATS), DEFAULT),
        (measured(100), measured(90, FLOATS), DEFAULT),
        (measured(100), measured(80, FLOATS), FLOATS),
        (measured(100), measured(50, FLOATS, agreement=0.99), DEFAULT),
        (measured(100), measured(50, FLOATS, golden=False), DEFAULT),
        (measured(100, golden=False), measured(300, FLOATS), FLOATS),
        (measured(100, golden=False), measured(50, FLOATS, golden=False), DEFAULT),
    ],
)
def test_float_kernels_are_chosen_if_clearly_faster_and_in_agreement(
    int8: Measurement, floats: Measurement, chosen: Settings
) -> None:
    choice = choose_kernels(int8, floats)
    assert choice.settings == chosen
    assert choice.reason.startswith(f"{chosen.kernels} kernels: ")


@pytest.mark.parametrize(
    ("times_ms", "threads"),
    [([100], 1), ([100, 90, 80], 1), ([100, 70], 2), ([100, 70, 60], 2), ([100, 70, 50], 4), ([100, 80, 60], 4)],
)
def test_more_threads_are_chosen_only_if_clearly_faster(times_ms: list[float], threads: int) -> None:
    measurements = [measured(ms, replace(DEFAULT, threads=2**i)) for i, ms in enumerate(times_ms)]
    assert choose_threads(measurements).settings.threads == threads


def test_one_crop_is_chosen_if_three_exceed_the_budget() -> None:
    assert choose_crops(measured(300), measured(100, ONE), 300).settings == DEFAULT
    assert choose_crops(measured(301), measured(100, ONE), 300).settings == ONE
    assert "budget is 300 ms" in choose_crops(measured(301), measured(100, ONE), 300).reason


@pytest.mark.usefixtures("quick")
def test_a_device_runs_with_the_chosen_settings(device: Path, shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", str(device), "--budget-ms", "1", "--json"]) == 0
    out, err = capsys.readouterr()
    report = json.loads(out)
    assert report["settings"]["crops"] == 1
    assert len(report["reasons"]) >= 3 + len(report["models"])
    assert report["models"][0]["name"] == "light"
    assert report["start"]["total_ms"] > 0
    assert err == f"edgesearch: {device}: uses these settings from now on.\n"
    assert (device / run_settings.FILE).stat().st_mode & 0o077 == 0
    photo = next((shop / "photos").glob("*.jpg"))
    with edgesearch.open(device) as store:
        assert store.settings == Settings(**report["settings"])
        fast_answer = store.search(photo)
        assert "local_features" not in fast_answer.elapsed_ms
        np.testing.assert_array_equal(store.embed([photo]), store.embed([photo], fast=True))
        assert [one.score for one in store.search(photo, fast=False).matches] != [
            one.score for one in fast_answer.matches
        ]
    with edgesearch.open(device, threads=3) as store:
        assert store.settings == replace(Settings(**report["settings"]), threads=3)


@pytest.mark.usefixtures("quick")
def test_a_bundle_file_is_measured_and_not_changed(tiny_edge: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(tiny_edge.parent.iterdir()), tiny_edge.read_bytes()
    assert main(["doctor", str(tiny_edge)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.splitlines()[0].startswith("kernels  threads  crops")
    assert "new process: first answer after" in out
    assert (sorted(tiny_edge.parent.iterdir()), tiny_edge.read_bytes()) == before


@pytest.mark.usefixtures("quick")
def test_without_a_store_a_drawn_one_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "default_model", lambda: TINY_MODEL)
    report = doctor.examine()
    assert {one.settings.crops for one in report.measurements} == {1, 3}


def test_settings_for_another_environment_are_ignored(device: Path) -> None:
    with edgesearch.open(device) as store:
        here = open_bundle.run_environment(store.bundle)
    two = replace(DEFAULT, threads=2)
    for part in ("model", "runtime", "processor"):
        Slots(device).save_settings(two, replace(here, **{part: "another"}))
        with edgesearch.open(device) as store:
            assert store.settings == DEFAULT
    Slots(device).save_settings(two, here)
    with edgesearch.open(device) as store:
        assert store.settings == two


def test_float_kernels_agree_with_int8_kernels(shop: Path, shop_edge: Path, tmp_path: Path) -> None:
    edgesearch.install(shop_edge, tmp_path / "device")
    photos = sorted((shop / "photos").glob("*.jpg"))
    with edgesearch.open(tmp_path / "device") as store:
        int8 = store.embed(photos, fast=True)
        Slots(tmp_path / "device").save_settings(FLOATS, open_bundle.run_environment(store.bundle))
    with edgesearch.open(tmp_path / "device") as store:
        cosines = (store.embed(photos, fast=True) * int8).sum(1)
    assert 0.995 < cosines.min() < 0.99999  # float32, rounded to the same 8 bits between the operators


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[" * 4000,
        b'{"format": 2}',
        *(
            run_settings.to_bytes(DEFAULT, Environment("", "", "")).replace(*change)
            for change in (
                (b'"int8"', b'"int4"'),
                (b'"threads": 1', b'"threads": 0'),
                (b'"threads": 1', b'"threads": true'),
                (b'"crops": 3', b'"crops": 2'),
                (b'"model"', b'"modal"'),
            )
        ),
    ],
)
def test_damaged_settings_are_an_error_until_doctor_runs_again(device: Path, content: bytes) -> None:
    (device / run_settings.FILE).write_bytes(content)
    with pytest.raises(DeviceError, match=r"settings\.json: .* run `edgesearch doctor`"):
        edgesearch.open(device)
    Slots(device).save_settings(DEFAULT, Environment("", "", ""))
    edgesearch.open(device).close()


def test_a_failed_process_is_reported(tiny_edge: Path, tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match=r"none\.edge: a new process could not open it"):
        doctor.measure_start(tmp_path / "none.edge", DEFAULT, b"")


def test_the_processor_has_a_name() -> None:
    assert run_settings.processor()


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system does not know the affinity")
def test_threads_are_measured_up_to_the_number_of_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(6)))
    assert doctor._thread_numbers() == [1, 2, 4]
