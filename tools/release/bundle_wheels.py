"""Collect every wheel that a device without a network needs, and print the installed size of each.

    tools/release/bundle-wheels --machine aarch64 --slim -o wheels
    pip install --no-index --find-links wheels edgesearch          # on the device

`--slim` leaves out files that are never loaded to answer a photo: the C library in onnxruntime's wheel (its Python
module does not link it), its converters and the packages that only these import; numpy's tests, headers and compilers;
Pillow's AVIF, which edgesearch does not read. Such a wheel gets the version X+slim, so that nobody takes it for the
original. `sbom.cdx.json` beside the wheels lists them for those who look up known faults (CycloneDX 1.6).
"""

import argparse
import base64
import email
import email.message
import fnmatch
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SBOM = "sbom.cdx.json"
GLIBC = (28, 27, 26, 24, 17)  # manylinux_2_28 and what runs there too
UNUSED = {
    "onnxruntime": (
        "onnxruntime/capi/libonnxruntime.so*",
        "onnxruntime/transformers/*",
        "onnxruntime/quantization/*",
        "onnxruntime/tools/*",
        "onnxruntime/datasets/*",
        "onnxruntime/backend/*",
    ),
    "numpy": (
        "numpy/*tests/*",
        "numpy/f2py/*",
        "numpy/distutils/*",
        "numpy/_core/include/*",
        "numpy/_core/lib/*",
        "numpy/random/lib/*",
        "numpy/random/_examples/*",
        "numpy/_core/_simd.*",
        "numpy/*.pyi",
    ),
    "pillow": ("PIL/_avif.*", "PIL/AvifImagePlugin.py", "pillow.libs/libavif-*", "PIL/*.pyi"),
}
UNNEEDED = {"onnxruntime": ("flatbuffers", "packaging", "protobuf")}  # imported only by files in `UNUSED`


def main() -> None:
    """Run the command line."""
    options = _options()
    own = _build_own_wheel(options.machine)
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        _download(folder, own, options.machine, options.python, options.extra)
        if options.slim:
            for wheel in sorted(folder.glob("*.whl")):
                _slim(wheel)
        _keep_needed(folder, options.extra)
        shutil.rmtree(options.output, ignore_errors=True)
        shutil.copytree(folder, options.output)
    (options.output / SBOM).write_text(json.dumps(describe_contents(options.output), indent=1), encoding="utf-8")
    _print_sizes(options.output)
    if options.check:
        _check(options.output, options.extra, *options.check)


def _options() -> argparse.Namespace:
    assert __doc__
    parser = argparse.ArgumentParser(
        prog="bundle-wheels", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--machine", choices=("x86_64", "aarch64"), default=platform.machine())
    parser.add_argument("--python", default="3.11", help="of the device (default: 3.11)")
    parser.add_argument("--extra", action="append", default=[], metavar="NAME", help="camera, barcode, server")
    parser.add_argument("--slim", action="store_true", help="leave out files that are never loaded")
    parser.add_argument("-o", "--output", type=Path, help="folder to replace (default: dist/wheels-MACHINE)")
    parser.add_argument(
        "--check",
        nargs=2,
        metavar=("STORE", "PHOTO"),
        help="install the wheels here, without an index, and search this photo",
    )
    options = parser.parse_args()
    options.output = options.output or ROOT / "dist" / f"wheels-{options.machine}"
    if options.output.exists() and any(
        path.suffix != ".whl" and path.name != SBOM for path in options.output.iterdir()
    ):
        parser.error(f"{options.output}: holds files other than wheels; name a folder that may be replaced")
    return options


def _build_own_wheel(machine: str) -> Path:
    """Return the project's own wheel; let `tools/release/wheels` build it if it is missing or outdated."""
    pattern = f"edgesearch-*manylinux*_{machine}.whl"
    sources = [ROOT / "pyproject.toml", *ROOT.glob("edgesearch/**/*"), *ROOT.glob("artifacts/**/*")]
    newest_s = max(path.stat().st_mtime for path in sources if path.suffix not in (".so", ".pyc", ""))
    if not any(path.stat().st_mtime > newest_s for path in (ROOT / "dist").glob(pattern)):
        subprocess.run([ROOT / "tools" / "release" / "wheels"], check=True, stdout=sys.stderr)  # noqa: S603  # ours
    return max((ROOT / "dist").glob(pattern), key=lambda path: path.stat().st_mtime)


def _download(folder: Path, own: Path, machine: str, python: str, extras: Sequence[str]) -> None:
    tag = f"cp{python.replace('.', '')}"
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in GLIBC] + [f"manylinux2014_{machine}"]
    wanted = [f"--platform={one}" for one in platforms] + [f"--abi={one}" for one in (tag, "abi3", "none")]
    fixed = ["--quiet", "--only-binary=:all:", "--implementation=cp", f"--python-version={python}"]
    name = f"{own}[{','.join(extras)}]" if extras else str(own)
    command = [sys.executable, "-m", "pip", "download", *fixed, *wanted, f"--dest={folder}", name]
    done = subprocess.run(command, check=False, stdout=sys.stderr)  # noqa: S603  # ours
    if done.returncode:
        sys.exit(f"bundle-wheels: not all wheels for {machine}, Python {python} were found; see above.")


def _slim(wheel: Path) -> None:
    """Rewrite a wheel without unused files, under a version of its own."""
    name, version = wheel.name.split("-")[:2]
    if name not in UNUSED:
        return
    before, after = f"{name}-{version}.dist-info", f"{name}-{version}+slim.dist-info"
    slim = wheel.with_name(wheel.name.replace(f"-{version}-", f"-{version}+slim-", 1))
    record = []
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(slim, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.infolist():
            path = member.filename.replace(before, after, 1)
            if member.is_dir() or path == f"{after}/RECORD" or _is_unused(name, path):
                continue
            content = old.read(member)
            if path == f"{after}/METADATA":
                content = _edit_metadata(name, version, content)
            member.filename = path
            new.writestr(member, content, zipfile.ZIP_DEFLATED)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
            record.append(f"{path},sha256={digest},{len(content)}\n")
        new.writestr(f"{after}/RECORD", "".join([*record, f"{after}/RECORD,,\n"]))
    wheel.unlink()


def _is_unused(name: str, path: str) -> bool:
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in UNUSED[name])


def _edit_metadata(name: str, version: str, metadata: bytes) -> bytes:
    """Return the metadata with the new version, and without requirements that are no longer needed."""
    head, blank, text = metadata.decode().partition("\n\n")
    unneeded = UNNEEDED.get(name, ())
    lines = [line for line in head.split("\n") if _required_package(line) not in unneeded]
    said = [f"Version: {version}+slim" if line == f"Version: {version}" else line for line in lines]
    return ("\n".join(said) + blank + text).encode()


def _keep_needed(folder: Path, extras: Sequence[str]) -> None:
    """Remove wheels that no other wheel requires any more."""
    wheels = {_normalize_name(wheel.name.split("-")[0]): wheel for wheel in folder.glob("*.whl")}
    needed, waiting = set[str](), ["edgesearch"]
    while waiting:
        name = waiting.pop()
        if name in wheels and name not in needed:
            needed.add(name)
            waiting += _requirements(wheels[name], extras if name == "edgesearch" else ())
    for name in wheels.keys() - needed:
        wheels[name].unlink()


def _requirements(wheel: Path, extras: Sequence[str]) -> Iterable[str]:
    for line in _metadata(wheel).get_all("Requires-Dist") or []:
        of = re.search(r"extra *== *['\"]([^'\"]+)", line)
        if not of or of[1] in extras:
            yield _required_package(f"Requires-Dist: {line}")


def _metadata(wheel: Path) -> email.message.Message:
    with zipfile.ZipFile(wheel) as archive:
        path = next(name for name in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name))
        return email.message_from_bytes(archive.read(path))


def describe_contents(folder: Path) -> dict[str, Any]:
    """Return the bill of materials of a folder of wheels, as CycloneDX 1.6."""
    components, dependencies = [], []
    wheels = {_normalize_name(wheel.name.split("-")[0]): wheel for wheel in sorted(folder.glob("*.whl"))}
    for name, wheel in wheels.items():
        metadata, version = _metadata(wheel), wheel.name.split("-")[1]
        purl = f"pkg:pypi/{name}@{version.removesuffix('+slim')}"  # the name by which faults are reported
        component = {"type": "library", "bom-ref": name, "name": name, "version": version, "purl": purl}
        hashes = [{"alg": "SHA-256", "content": hashlib.sha256(wheel.read_bytes()).hexdigest()}]
        expression, named = metadata["License-Expression"], (metadata["License"] or "unknown").strip().splitlines()[0]
        licence = {"expression": expression} if expression else {"license": {"name": named}}
        components.append({**component, "hashes": hashes, "licenses": [licence]})
        required = {_required_package(f"Requires-Dist: {line}") for line in metadata.get_all("Requires-Dist") or []}
        dependencies.append({"ref": name, "dependsOn": sorted(required & wheels.keys())})
    about = {"component": {"type": "application", "name": "edgesearch", "bom-ref": "wheels"}}
    head = {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "metadata": about}
    return {**head, "components": components, "dependencies": dependencies}


def _required_package(line: str) -> str:
    """Return the package that a line of metadata requires; an empty string for any other line."""
    name, _, value = line.partition(": ")
    return _normalize_name(re.split(r"[ ;<>=!~(\[]", value)[0]) if name == "Requires-Dist" else ""


def _normalize_name(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _print_sizes(folder: Path) -> None:
    """Print the installed size of each package, without the bytecode that pip compiles."""
    sizes = {}
    for wheel in folder.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            sizes[" ".join(wheel.name.split("-")[:2])] = sum(member.file_size for member in archive.infolist())
    for name, size in sorted(sizes.items(), key=lambda item: -item[1]):
        print(f"{size / 1e6:8.1f} MB  {name}")
    packed = sum(wheel.stat().st_size for wheel in folder.glob("*.whl"))
    print(f"{sum(sizes.values()) / 1e6:8.1f} MB  installed; {packed / 1e6:.1f} MB in {folder}")


def _check(folder: Path, extras: Sequence[str], store: str, photo: str) -> None:
    """Install the wheels as a device would, and search."""
    with tempfile.TemporaryDirectory() as work:
        venv.create(work, with_pip=True)
        python = str(Path(work, "bin", "python"))
        before = _size(Path(work, "lib"))
        name = f"edgesearch[{','.join(extras)}]" if extras else "edgesearch"
        alone = {**os.environ, "PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": "", "PYTHONPATH": ""}
        pip = [python, "-m", "pip", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "--no-index", "--find-links", str(folder), name], check=True, env=alone)  # noqa: S603
        subprocess.run([*pip, "check"], check=True, env=alone, stdout=sys.stderr)  # noqa: S603
        installed = _size(Path(work, "lib")) - before
        print(
            f"{installed / 1e6:8.1f} MB  installed here, with bytecode; pip itself: {before / 1e6:.1f} MB", flush=True
        )
        searched = [python, "-I", "-m", "edgesearch", "search", store, photo, "-k", "1"]
        subprocess.run(searched, check=True, cwd=work, env=alone)  # noqa: S603


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


if __name__ == "__main__":
    main()
