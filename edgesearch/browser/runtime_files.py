"""Find the libraries of a site: SQLite and a reader of barcodes, and signatures for browsers without Ed25519.

They take 2.5 MB, which no scanner that runs Python needs, so they are not part of this package. They come from the
packages that their makers publish for npm, and each file is known by its hash, so it does not matter who brings them. A
cache keeps them for the next site.
"""

import os
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .._util.hashing import sha256
from ..errors import SiteError

MAX_FILE_BYTES = 100_000_000


@dataclass(frozen=True)
class Package:
    """A package for npm.

    Attributes:
        name: Its name and version, as `npm pack` takes them.
        files: SHA-256 of each file that a site needs, by its path in the package.
        names: Name of a file in a site, by its path in the package, where it is not that of the path.
    """

    name: str
    files: Mapping[str, str]
    names: Mapping[str, str] = field(default_factory=dict)

    def name_of(self, path: str) -> str:
        """Return the name in a site of a file, given by its path in the package."""
        return self.names.get(path, path.rpartition("/")[2])


PACKAGES = (
    Package(
        "@sqlite.org/sqlite-wasm@3.51.2-build9",
        {
            "dist/index.mjs": "b5150ce5686ff316d37a582c3fcb2957d4788a88b1c3ce62e3376c62270001dd",
            "dist/sqlite3.wasm": "2d8049756d9d3765f3afac6eb4766457152fb5f417d2febe2836ee3c2223b3e2",
        },
    ),
    Package(
        "@noble/ed25519@3.2.0",
        {"index.js": "a4f631d1876b5d9e43a86cd71194ca27b5e1451edf4ba4db9a418f40a475569a"},
        {"index.js": "ed25519.js"},
    ),
    Package(
        "zxing-wasm@3.1.6",
        {
            "dist/es/reader/index.js": "368838c01a37be49b8daa833c3d9d253950fd9c29b8c98b9092018c9fd43b03c",
            "dist/es/share.js": "b595f0f4c1060b5e2a45aecf0331e576181dc281b168cb22e98f8db69d16457a",
            "dist/reader/zxing_reader.wasm": "5003fb4b88c4fbd1fd518a2fd8c8ad365c519e183a08c03a322dddfea3cea84e",
        },
        {"dist/es/reader/index.js": "zxing/reader/index.js", "dist/es/share.js": "zxing/share.js"},
    ),
)


def find_runtime_files(given: Sequence[Path], cache: Path | None = None) -> dict[str, bytes]:
    """Return the content of the libraries' files by name, and keep it in a cache.

    Args:
        given: Packages as `npm pack` writes them, or folders that hold them unpacked.
        cache: Folder of the cache; None takes the user's.
    Raises:
        SiteError: A package cannot be read, or a file is neither in one nor in the cache.
    """
    cache = cache or _cache_folder()
    found: dict[str, bytes] = {}
    for package in PACKAGES:
        for path, digest in package.files.items():
            name = package.name_of(path)
            candidates = (_read(source, path, digest) for source in given)
            content = next((one for one in candidates if one is not None), None) or _read_cached(cache / name, digest)
            if content is None:
                raise SiteError(_describe_missing(package, given))
            found[name] = content
    _keep(cache, found)
    return found


def _describe_missing(package: Package, given: Sequence[Path]) -> str:
    sources = f"{', '.join(map(str, given))}: not there" if given else "not given yet"
    return (
        f"a site needs {package.name}, {sources}; get it with `npm pack {package.name}` and give the file it writes "
        "with --runtime, once."
    )


def _read(source: Path, path: str, digest: str) -> bytes | None:
    """Return a file of a package if it has this hash; raise SiteError if the package cannot be read."""
    try:
        content = _read_packed(source, path) if source.is_file() else _read_unpacked(source, path)
    except (OSError, EOFError, tarfile.TarError) as error:
        raise SiteError(f"{source}: cannot be read ({error}); give what `npm pack` wrote, or its folder.") from error
    return content if content is not None and sha256(content) == digest else None


def _read_packed(source: Path, path: str) -> bytes | None:
    with tarfile.open(source) as archive:
        for member in archive:
            if member.name == f"package/{path}" and member.isfile() and member.size <= MAX_FILE_BYTES:
                file = archive.extractfile(member)
                return file.read() if file else None
    return None


def _read_unpacked(source: Path, path: str) -> bytes | None:
    if not source.is_dir():
        raise FileNotFoundError("no such file")
    return (source / path).read_bytes() if (source / path).is_file() else None


def _cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgesearch" / "browser"


def _read_cached(path: Path, digest: str) -> bytes | None:
    try:
        content = path.read_bytes()
    except OSError:
        return None
    return content if sha256(content) == digest else None


def _keep(cache: Path, found: Mapping[str, bytes]) -> None:
    """Write the files into the cache; a cache that cannot be written is none."""
    try:
        for name, content in found.items():
            (cache / name).parent.mkdir(parents=True, exist_ok=True)
            if not (cache / name).is_file() or (cache / name).stat().st_size != len(content):
                (cache / f"{name}.part").write_bytes(content)
                os.replace(cache / f"{name}.part", cache / name)
    except OSError:
        return
