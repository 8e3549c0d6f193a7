"""`edgesearch web` writes a site that a browser can keep, or says what is missing."""

import io
import json
import tarfile
from pathlib import Path

import pytest

from edgesearch._util.hashing import sha256
from edgesearch.browser import runtime_files, site
from edgesearch.browser.runtime_files import Package
from edgesearch.commands.cli import main
from edgesearch.errors import BundleError, SiteError

LIBRARY = b"export default 1;\n"
PACKAGES = (Package("library@1", {"dist/library.mjs": sha256(LIBRARY)}),)


@pytest.fixture(autouse=True)
def small_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in for the libraries, the compiled engine and the user's cache."""
    for name in ("engine.wasm", site.RELAXED, site.JPEG):
        (tmp_path / name).write_bytes(b"\0asm")
    monkeypatch.setattr(site, "ENGINE_FILE", tmp_path / "engine.wasm")
    monkeypatch.setattr(runtime_files, "PACKAGES", PACKAGES)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """Return the folder of the package with the library."""
    (tmp_path / "library" / "dist").mkdir(parents=True)
    (tmp_path / "library" / "dist" / "library.mjs").write_bytes(LIBRARY)
    return tmp_path / "library"


def pack(library: Path) -> Path:
    """Return the package as `npm pack` writes it."""
    with tarfile.open(library.with_suffix(".tgz"), "w:gz") as archive:
        archive.add(library, "package")
    return library.with_suffix(".tgz")


def test_files_json_has_the_hash_of_every_file(tiny_edge: Path, library: Path, tmp_path: Path) -> None:
    size = site.write_site(tiny_edge, tmp_path / "site", runtime=[library])
    files = [path for path in (tmp_path / "site").rglob("*") if path.is_file()]
    found = {path.relative_to(tmp_path / "site").as_posix(): sha256(path.read_bytes()) for path in files}
    assert size == sum(path.stat().st_size for path in files)
    listed = json.loads((tmp_path / "site" / "files.json").read_bytes())
    assert listed == {name: found[name] for name in found.keys() - {"files.json", "sw.js"}}
    assert {"index.html", "app.js", "i18n/en.json", "icons/icon.svg", "engine.js"} <= listed.keys()
    assert {"engine.wasm", site.RELAXED, site.JPEG, "runtime/library.mjs", "store.edge"} <= listed.keys()


@pytest.mark.parametrize(("content", "parts"), [(b"", 1), (b"1234", 1), (b"12345", 2)])
def test_a_large_file_is_hashed_in_parts(content: bytes, parts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "PART_BYTES", 4)
    joined = content if parts == 1 else b"".join(bytes.fromhex(sha256(part)) for part in (content[:4], content[4:]))
    assert site.hash_parts(io.BytesIO(content)) == sha256(joined)


def test_the_page_speaks_to_the_engine(tiny_edge: Path, library: Path, tmp_path: Path) -> None:
    site.write_site(tiny_edge, tmp_path / "site", runtime=[library])
    for name in ("host.js", "sw.js"):
        assert sha256((tmp_path / "site" / name).read_bytes()) != sha256((site.PAGE / name).read_bytes())
    for path in sorted(site.PAGE.glob("*.js")):
        assert path.name in {"host.js", "sw.js"} or not (site.STATIC / path.name).exists(), "two modules of one name"


def test_other_content_is_another_version(tiny_edge: Path, library: Path, tmp_path: Path) -> None:
    made = []
    for with_bundle in (True, True, False):
        site.write_site(tiny_edge, tmp_path / "site", runtime=[library], with_bundle=with_bundle)
        made.append((tmp_path / "site" / "sw.js").read_text(encoding="utf-8"))
    assert made[0] == made[1] != made[2]


def test_a_site_without_the_bundle_asks_for_one(tiny_edge: Path, library: Path, tmp_path: Path) -> None:
    site.write_site(tiny_edge, tmp_path / "site", runtime=[library], with_bundle=False)
    assert not (tmp_path / "site" / "store.edge").exists()
    settings = json.loads((tmp_path / "site" / "site.json").read_bytes())
    assert settings["bundle"] is None and settings["trusted"] == [] and "en" in settings["languages"]


def test_libraries_are_asked_for_once(tiny_edge: Path, library: Path, tmp_path: Path) -> None:
    with pytest.raises(SiteError, match=r"npm pack library@1"):
        site.write_site(tiny_edge, tmp_path / "site")
    assert not (tmp_path / "site").exists()
    site.write_site(tiny_edge, tmp_path / "site", runtime=[pack(library)])
    site.write_site(tiny_edge, tmp_path / "second")
    assert (tmp_path / "second" / "runtime" / "library.mjs").read_bytes() == LIBRARY


def test_another_library_is_refused(tiny_edge: Path, library: Path, tmp_path: Path) -> None:
    (library / "dist" / "library.mjs").write_bytes(LIBRARY + b"steal();")
    for given in (library, pack(library)):
        with pytest.raises(SiteError, match="not there"):
            site.write_site(tiny_edge, tmp_path / "site", runtime=[given])


@pytest.mark.parametrize("content", [None, b"", b"\x1f\x8b broken"])
def test_an_unreadable_package_is_named(content: bytes | None, tiny_edge: Path, tmp_path: Path) -> None:
    package = tmp_path / "package.tgz"
    if content is not None:
        package.write_bytes(content)
    with pytest.raises(SiteError, match=r"package.tgz: cannot be read"):
        site.write_site(tiny_edge, tmp_path / "site", runtime=[package])


def test_a_damaged_cache_is_not_used(tiny_edge: Path, library: Path, tmp_path: Path) -> None:
    site.write_site(tiny_edge, tmp_path / "site", runtime=[library])
    (tmp_path / "cache" / "edgesearch" / "browser" / "library.mjs").write_bytes(LIBRARY[::-1])
    with pytest.raises(SiteError, match="not given yet"):
        site.write_site(tiny_edge, tmp_path / "second")


def test_a_folder_with_something_else_is_left_alone(tiny_edge: Path, library: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(SiteError, match="not a site"):
        site.write_site(tiny_edge, tmp_path / "mine", runtime=[library])
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["letter.txt"]


def test_a_damaged_or_untrusted_bundle_is_refused(tiny_edge: Path, keys: Path, tmp_path: Path) -> None:
    damaged = bytearray(tiny_edge.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (tmp_path / "damaged.edge").write_bytes(damaged)
    with pytest.raises(BundleError, match="sha256"):
        site.write_site(tmp_path / "damaged.edge", tmp_path / "site")
    with pytest.raises(BundleError, match="not signed"):
        site.write_site(tiny_edge, tmp_path / "site", [(keys / "shop.pub").read_text().split()[-1]])
    assert not (tmp_path / "site").exists()


@pytest.mark.parametrize("name", ["engine.wasm", site.RELAXED, site.JPEG])
def test_an_engine_that_is_not_compiled_is_named(name: str, tiny_edge: Path, library: Path, tmp_path: Path) -> None:
    site.ENGINE_FILE.with_name(name).unlink()
    with pytest.raises(SiteError, match=rf"{name}: is not compiled"):
        site.write_site(tiny_edge, tmp_path / "site", runtime=[library])


def test_the_command_says_how_to_try_the_site(
    tiny_edge: Path, library: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["web", str(tiny_edge), "-o", str(tmp_path / "site"), "--runtime", str(library)]) == 0
    assert "python -m http.server" in capsys.readouterr().out
    assert main(["web", str(tmp_path / "missing.edge"), "-o", str(tmp_path / "site")]) == 1
    assert "missing.edge" in capsys.readouterr().err


def test_an_index_too_large_for_a_browser_is_refused(
    tiny_edge: Path, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site, "LARGEST_INDEX", 1000)
    with pytest.raises(SiteError, match="too many for a browser"):
        site.write_site(tiny_edge, tmp_path / "site", runtime=[library])
    assert not (tmp_path / "site").exists()
