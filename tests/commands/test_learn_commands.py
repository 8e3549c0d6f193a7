"""The commands of a device that learns."""

import json
from pathlib import Path

import pytest
from PIL import Image

from edgesearch.commands.cli import main
from edgesearch.learning import contradiction, diverse_memory

from ..conftest import coarse_pattern


@pytest.fixture(autouse=True)
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tell pictures apart that the untrained network embeds nearly alike, and trust its labels."""
    monkeypatch.setattr(diverse_memory, "NOTHING_NEW", 0.9999995)
    monkeypatch.setattr(contradiction, "UNSUPPORTED", 1.0)


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{seed}.png" for seed in range(3)]
    for seed, path in enumerate(paths):
        pixels = coarse_pattern(seed)
        Image.fromarray(pixels).save(path)
    return paths


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    status = main([str(argument) for argument in arguments])
    return status, *capsys.readouterr()


def test_learn_and_learned(
    device: Path, photos: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(capsys, "learn", device, "from", photos[0], "--sku", "P000003")[1] == (
        "P000003: not learned; learning is off.\n"
    )
    _, out, _ = run(capsys, "learn", device, "on", "--max-mb", "5", "--who", "Ada")
    assert out.endswith("learns from staff; it keeps 16 pictures a product, up to 5 MB of pictures.\n")
    for photo, who in zip(photos, ("Ada", "Ben", "Ben"), strict=True):
        status, out, _ = run(capsys, "learn", device, "from", photo, "--sku", "P000003", "--who", who)
        assert status == 0
        assert out.startswith("P000003: learned, number ")
    _, out, err = run(capsys, "learned", device, "--person", "Ben", "--json", "--pictures", tmp_path / "out")
    assert [json.loads(line)["number"] for line in out.splitlines()] == [2, 3]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["2-P000003.jpg", "3-P000003.jpg"]
    assert "2 pictures" in err
    assert "new folder" in run(capsys, "learned", device, "--pictures", tmp_path / "out")[2]
    assert "  P000003  used  choice  Ada  70%" in run(capsys, "learned", device)[1]
    assert "set aside 0 of 3" in run(capsys, "learned", device, "--check")[2]
    assert run(capsys, "learned", device, "--take-back")[0] == 1
    assert "took back 1 " in run(capsys, "learned", device, "--take-back", "1")[2]
    assert "took back 2 " in run(capsys, "learned", device, "--take-back", "--person", "Ben")[2]
    run(capsys, "learn", device, "from", photos[0], "--sku", "P000003")
    assert "100%" in run(capsys, "learned", device, "--accept", "4")[1]
    assert run(capsys, "learned", device, "--erase")[1].endswith("1 learned pictures are erased.\n")
    assert "learns nothing" in run(capsys, "learn", device, "off")[1]
    lines = run(capsys, "log", device)[1].splitlines()
    assert any("Ben  learn  P000003  choice  used" in line for line in lines)


def test_a_correction_of_a_count_teaches(
    device: Path, photos: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    count = ["count", device, photos[0], "-o", tmp_path / "stock.csv"]
    run(capsys, *count)
    assert "learned" not in run(capsys, *count, "--correct", f"{photos[0].name}=P000002")[2]
    run(capsys, "learn", device, "on")
    assert "P000005: learned, number 1." in run(capsys, *count, "--correct", f"{photos[0].name}=P000005")[2]
