"""An encrypted device folder: it works as a plain one with its key, and nothing can be read without it."""

import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

import edgesearch
from edgesearch import DeviceError, EdgeSearchError, SignatureError
from edgesearch._util import scratch
from edgesearch.bundle import sealing, signing
from edgesearch.commands.cli import main
from edgesearch.device import maintenance, overlay_export
from edgesearch.device.device_files import ENCRYPTED
from edgesearch.device.overlay import FILE as OVERLAY
from edgesearch.device.overlay import Overlay

from ..conftest import TINY_MODEL

KEY, OTHER = bytes(range(32)), bytes(32)


@pytest.fixture(scope="module")
def edges(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Build two bundles of the shop, with local features."""
    paths = [tmp_path_factory.mktemp("edges") / f"{number}.edge" for number in (1, 2)]
    for sequence, path in enumerate(paths, 1):
        edgesearch.build(shop / "catalogue.csv", path, TINY_MODEL, sequence=sequence)
    return paths


@pytest.fixture
def device(edges: list[Path], tmp_path: Path) -> Path:
    edgesearch.install(edges[0], tmp_path / "device", encrypt=True, key=KEY)
    return tmp_path / "device"


@pytest.mark.slow
def test_an_encrypted_folder_answers_as_a_plain_one(edges: list[Path], device: Path, shop: Path) -> None:
    with edgesearch.open(edges[0]) as plain, edgesearch.open(device, key=lambda: KEY) as store:
        for photo in sorted((shop / "photos").glob("*.jpg")):
            mine, its = plain.search(photo), store.search(photo)
            assert (mine.decision, mine.matches) == (its.decision, its.matches)
            assert plain.picture(mine.matches[0]) == store.picture(its.matches[0])


def test_updates_teaching_and_rollback_work_with_the_key(
    edges: list[Path], device: Path, shop: Path, tmp_path: Path
) -> None:
    strange = sorted((shop / "photos").glob("P12*.jpg"))[0]
    with edgesearch.open(device, key=KEY) as store:
        store.enrol("NEW-1", [strange], name="Blue mug")
        assert edgesearch.delta(*edges, tmp_path / "small.delta").sequence == 2
        edgesearch.install(tmp_path / "small.delta", device, key=KEY)
        assert store.reopen()
        assert store.search(strange, k=1).matches[0].sku == "NEW-1"
    edgesearch.rollback(device, key=KEY)
    assert [event.what for event in edgesearch.log(device, key=KEY)] == ["install", "enrol", "install", "rollback"]
    assert edgesearch.export(device, tmp_path / "taught", key=KEY).products == 1


def test_its_files_contain_no_readable_text(device: Path, shop: Path, tmp_path: Path) -> None:
    strange = sorted((shop / "photos").glob("P12*.jpg"))[0]
    before = set(Path(os.environ.get("TMPDIR", "/tmp")).glob("edgesearch-*"))
    with edgesearch.open(device, key=KEY) as store:
        store.enrol("NEW-1", [strange], name="Blue mug", who="anna")
        (name,) = {store.search(strange, k=1).matches[0].name}
        known = store.search(strange, k=5).matches[1].name
        assert set(Path(os.environ.get("TMPDIR", "/tmp")).glob("edgesearch-*")) <= before
        for path in (path for path in device.rglob("*") if path.is_file()):
            content = path.read_bytes()
            for word in (name, known, "NEW-1", "anna", "JFIF", "SQLite format 3" if "slots" in path.parts else name):
                assert word.encode() not in content, (path, word)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "says"),
    [(None, "is encrypted; give its key"), (OTHER, "with another key"), (b"short", "5 bytes, expected 32")],
)
def test_it_is_not_opened_without_its_key(
    edges: list[Path], device: Path, monkeypatch: pytest.MonkeyPatch, key: bytes | None, says: str
) -> None:
    monkeypatch.delenv(sealing.KEY, raising=False)
    monkeypatch.delenv(sealing.KEY_FILE, raising=False)
    for act in (
        lambda: edgesearch.open(device, key=key),
        lambda: edgesearch.install(edges[1], device, key=key),
        lambda: edgesearch.log(device, key=key),
    ):
        with pytest.raises(DeviceError, match=says):
            act()


def test_the_key_comes_from_the_environment_or_a_file(
    device: Path, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(sealing.KEY, KEY.hex())
    edgesearch.open(device).close()
    monkeypatch.setenv(sealing.KEY, "no hex")
    with pytest.raises(DeviceError, match="is not hex"):
        edgesearch.open(device)
    monkeypatch.delenv(sealing.KEY)
    monkeypatch.setenv(sealing.KEY_FILE, str(tmp_path / "none.secret"))
    with pytest.raises(SignatureError, match="cannot be read"):
        edgesearch.open(device)
    assert main(["keygen", str(tmp_path / "shop"), "--device"]) == 0
    assert (
        main(["--key-file", str(tmp_path / "shop.secret"), "search", str(device), str(next(shop.glob("photos/*")))])
        == 1
    )
    assert "another key" in capsys.readouterr().err
    (tmp_path / "own.secret").write_text(f"edgesearch {signing.SECRET} 1: {KEY.hex()}\n")
    assert main(["--key-file", str(tmp_path / "own.secret"), "inspect", str(device)]) == 0


def test_a_folder_in_use_cannot_be_encrypted(edges: list[Path], tmp_path: Path) -> None:
    edgesearch.install(edges[0], tmp_path / "plain")
    with pytest.raises(DeviceError, match="in use without encryption"):
        edgesearch.install(edges[1], tmp_path / "plain", encrypt=True, key=KEY)
    with pytest.raises(DeviceError, match="a key is needed"):
        edgesearch.install(edges[0], tmp_path / "new", encrypt=True)


def test_damage_is_reported_in_one_sentence(device: Path, shop: Path, tmp_path: Path) -> None:
    photo = next((shop / "photos").glob("*.jpg"))
    with edgesearch.open(device, key=KEY) as store:
        expected = store.search(photo).matches
    (edge,) = device.glob("slots/*/*.edge")
    data = edge.read_bytes()
    for place in [*range(0, len(data), 40_009), len(data) - 1]:
        edge.write_bytes(data[:place] + bytes([data[place] ^ 8]) + data[place + 1 :])
        try:
            with edgesearch.open(device, key=KEY) as store:
                assert store.search(photo).matches == expected  # the search did not need the damaged piece
        except EdgeSearchError as error:
            assert "\n" not in str(error)
    edge.write_bytes(data[:-1])
    with pytest.raises(EdgeSearchError, match="cut off"):
        edgesearch.open(device, key=KEY)
    edge.write_bytes(data)
    shutil.copy(edge, tmp_path / "stolen.edge")
    with pytest.raises(EdgeSearchError, match="not a bundle"):
        edgesearch.open(tmp_path / "stolen.edge")
    (device / ENCRYPTED).unlink()
    with pytest.raises(DeviceError, match="is gone"):
        edgesearch.open(device, key=KEY)
    (device / ENCRYPTED).write_bytes(b"x")
    with pytest.raises(DeviceError, match="another key, or damaged"):
        edgesearch.open(device, key=KEY)


def test_opening_repeatedly_leaks_no_file_descriptors(device: Path, edges: list[Path], shop: Path) -> None:
    photo = next((shop / "photos").glob("*.jpg"))
    held = []
    for _ in range(6):
        with edgesearch.open(device, key=KEY) as store:
            store.search(photo)
        held.append(len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0)
    assert held[-1] <= held[1]


def test_what_is_exported_as_a_zip_is_never_readable_in_the_folder(
    edges: list[Path], device: Path, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = sorted((shop / "photos").glob("P12*.jpg"))
    with edgesearch.open(device, key=KEY) as store:
        store.enrol("NEW-1", photos[:1], name="Blue mug")
    before = {*device.rglob("*")}
    seen: list[Path] = []
    real = overlay_export._write

    def watch(overlay: Overlay, running: object, write: Callable[[str, bytes], None]) -> overlay_export.Exported:
        def watch_one(name: str, content: bytes) -> None:
            write(name, content)
            seen.extend(path for path in device.rglob("*") if path not in before and OVERLAY not in path.name)

        return real(overlay, running, watch_one)  # type: ignore[arg-type]

    monkeypatch.setattr(overlay_export, "_write", watch)
    with tempfile.TemporaryFile(dir=device) as file:
        assert maintenance.export_zip(device, file, KEY).products == 1
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    assert {"taught/taught.json"} < set(names) and not seen


def test_what_killed_uploads_left_is_removed_and_what_is_used_stays(edges: list[Path], device: Path) -> None:
    with scratch.scratch_file(device, "uploaded.edge") as (path, file):
        file.write(b"content")
        file.flush()
        left = [device / ".upload-left", device / ".export-left"]
        for folder in left:
            folder.mkdir()
            (folder / "taught.json").write_bytes(b"secret")
        edgesearch.install(edges[0], device, key=KEY)
        assert path.read_bytes() == b"content" and not any(folder.exists() for folder in left)
        if Path("/proc/self/fd").exists():
            assert path.is_symlink() and not os.path.exists(os.path.realpath(path))
    assert not path.parent.exists()


def test_exported_files_are_private(device: Path, shop: Path, tmp_path: Path) -> None:
    with edgesearch.open(device, key=KEY) as store:
        store.enrol("NEW-1", sorted((shop / "photos").glob("P12*.jpg"))[:1], name="Blue mug")
    edgesearch.export(device, tmp_path / "taught", key=KEY)
    found = [tmp_path / "taught", *(tmp_path / "taught").rglob("*"), *device.rglob("*"), device]
    assert os.name == "nt" or not [path for path in found if path.stat().st_mode & 0o077]
