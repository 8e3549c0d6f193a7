"""Write the static files of a site that searches one bundle in a browser.

`site.json` names the bundle and the keys that may sign it; `files.json` has the hash of every file, from which the
service worker keeps the site on the device.
"""

import hashlib
import io
import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from .._util.hashing import sha256
from ..bundle.bundle_file import Bundle
from ..errors import SiteError
from ..version import __version__
from .runtime_files import find_runtime_files

STATIC = Path(__file__).parent / "static"  # the engine, and what replaces files of the page
PAGE = Path(__file__).parent.parent / "web"
LANGUAGES = "i18n"  # folder of the page
OF_THE_SERVER = {"docs.css"}  # files that only `serve` shows
ENGINE_FILE = STATIC / "engine.wasm"  # compiled by tools/release/browser_engine; not in the repository
RELAXED = "engine_relaxed.wasm"  # beside it, for browsers with a fused multiply-add
JPEG = "jpeg.wasm"  # beside it, compiled by tools/release/jpeg_decoder
SETTINGS, FILES, BUNDLE, WORKER = "site.json", "files.json", "store.edge", "sw.js"
PART_BYTES = 1 << 20  # of a large file, which the service worker has in memory at once
VERSION_LINE = 'const VERSION = "";'  # of the service worker
INDEX, PACKED = "index/index.arrays", "catalog.columns.xz"
LARGEST_INDEX = 1 << 30  # bytes; a browser holds it in memory


def write_site(
    store: Path,
    target: Path,
    trusted: Sequence[str] = (),
    runtime: Sequence[Path] = (),
    with_bundle: bool = True,
) -> int:
    """Write a site, or replace one; what is at `target` stays as it is until the new one is complete.

    Args:
        store: The bundle.
        target: Folder of the site.
        trusted: Hex keys, one of which must have signed the bundle; without any, it may be unsigned.
        runtime: Packages with the libraries, as `find_runtime_files` takes them.
        with_bundle: Whether the site holds the bundle; otherwise the person opens one.
    Returns:
        The size of the site in bytes.
    Raises:
        BundleError: The bundle is damaged, not trusted, or no browser can search it.
        SiteError: A part of the site is missing, or the folder is something else or cannot be written.
    """
    check_bundle(store, trusted)
    _check_target(target)
    contents = _static_files() | {f"runtime/{name}": data for name, data in find_runtime_files(runtime).items()}
    contents[SETTINGS] = _describe_site(trusted, with_bundle)
    try:
        return _replace_site(target, contents, store if with_bundle else None)
    except OSError as error:
        raise SiteError(f"{target}: cannot be written ({error}); check the folder and its free space.") from error


def check_bundle(store: Path, trusted: Sequence[str] = ()) -> None:
    """Verify every byte of a bundle; raise BundleError if one is wrong, or if no browser can search it."""
    bundle = Bundle(store, trusted)
    try:
        if len(bundle.member(INDEX)) > LARGEST_INDEX:
            raise SiteError(f"{store}: has millions of pictures, too many for a browser; use `edgesearch serve`.")
        if PACKED in bundle:
            raise SiteError(
                f"{store}: its catalogue is packed, which a browser cannot read; build it with a larger --budget-mb."
            )
    finally:
        bundle.close()


def _check_target(target: Path) -> None:
    if target.exists() and not (target / FILES).is_file() and (not target.is_dir() or any(target.iterdir())):
        raise SiteError(f"{target}: holds something that is not a site; give a new folder.")


def _static_files() -> dict[str, bytes]:
    engines = ENGINE_FILE, ENGINE_FILE.with_name(RELAXED), ENGINE_FILE.with_name(JPEG)
    for path in engines:
        if not path.is_file():
            compiler = "jpeg_decoder" if path.name == JPEG else "browser_engine"
            raise SiteError(f"{path}: is not compiled; run tools/release/{compiler}, or install a wheel.")
    page = {path.relative_to(PAGE).as_posix(): path.read_bytes() for path in PAGE.rglob("*") if path.is_file()}
    engine = {path.name: path.read_bytes() for path in (*STATIC.iterdir(), *engines)}
    return {name: content for name, content in (page | engine).items() if name not in OF_THE_SERVER}


def _describe_site(trusted: Sequence[str], with_bundle: bool) -> bytes:
    languages = sorted(path.stem for path in (PAGE / LANGUAGES).glob("*.json"))
    settings = {"bundle": BUNDLE if with_bundle else None, "trusted": list(trusted)}
    return json.dumps(settings | {"languages": languages, "version": __version__}, indent=1).encode()


def _replace_site(target: Path, contents: Mapping[str, bytes], store: Path | None) -> int:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as beside:
        made, replaced = Path(beside) / "new", Path(beside) / "old"
        _write_files(made, contents, store)
        if target.exists():
            os.rename(target, replaced)
        try:
            os.rename(made, target)
        except OSError:
            if replaced.exists():
                os.rename(replaced, target)
            raise
    return sum(path.stat().st_size for path in target.rglob("*") if path.is_file())


def hash_parts(file: BinaryIO) -> str:
    """Return the hash of a file; of one that is larger than a part, that of the hashes of its parts."""
    parts = [hashlib.sha256(part).digest() for part in iter(lambda: file.read(PART_BYTES), b"")]
    return parts[0].hex() if len(parts) == 1 else sha256(b"".join(parts))


def _write_files(folder: Path, contents: Mapping[str, bytes], store: Path | None) -> None:
    hashes = {name: hash_parts(io.BytesIO(data)) for name, data in contents.items() if name != WORKER}
    for name, data in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    if store:
        shutil.copyfile(store, folder / BUNDLE)
        with (folder / BUNDLE).open("rb") as file:
            hashes[BUNDLE] = hash_parts(file)
    listed = json.dumps(dict(sorted(hashes.items())), indent=1).encode()
    (folder / FILES).write_bytes(listed)
    worker = contents[WORKER].decode()
    assert VERSION_LINE in worker
    (folder / WORKER).write_text(worker.replace(VERSION_LINE, f'const VERSION = "{sha256(listed)[:16]}";'), "utf-8")
