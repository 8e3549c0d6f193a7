"""Run the fast tests with the lowest versions that pyproject.toml allows, and look these up among the known faults.

    tools/release/lowest-versions                       # core and server
    tools/release/lowest-versions --extra tables tests/catalog

It installs into a folder of its own and tests this checkout with its compiled modules. pip-audit asks the
package index; what it cannot look up is listed.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TESTS = (
    "tests/_util",
    "tests/bundle",
    "tests/catalog",
    "tests/commands",
    "tests/device",
    "tests/search",
    "tests/server",
)
TOOLS = ("pytest", "pytest-randomly", "httpx", "pip-audit")
_BOUND = re.compile(r"([\w-]+)(\[[\w,-]+\])?>=([\w.]+)")


def main() -> int:
    """Run the command line; return 1 if a test fails or a version has a known fault."""
    options = _options()
    pins = lowest_versions((ROOT / "pyproject.toml").read_text(encoding="utf-8"), options.extra)
    print("\n".join(pins), flush=True)
    with tempfile.TemporaryDirectory() as work:
        venv.create(work, with_pip=True)
        python = str(Path(work) / "bin" / "python")
        pinned = Path(work) / "lowest.txt"
        pinned.write_text("\n".join(pins), encoding="utf-8")
        # uv resolves old versions in seconds; pip tries combinations for over half an hour.
        subprocess.run([python, "-m", "pip", "install", "--quiet", "uv"], check=True)  # noqa: S603  # ours
        install = [python, "-m", "uv", "pip", "install", "--quiet", "--python", python, "-c", str(pinned)]
        subprocess.run([*install, *pins, *TOOLS], check=True)  # noqa: S603  # ours
        tests = [python, "-m", "pytest", "-q", "-m", "not slow", "-p", "no:cacheprovider", *options.tests]
        failed = subprocess.run(tests, cwd=ROOT, check=False).returncode  # noqa: S603  # ours
        return int(bool(failed) | (_audit(python, pinned) if options.audit else False))


def lowest_versions(project: str, extras: Sequence[str]) -> list[str]:
    """Return the pinned lowest versions of the runtime and of extras, given the text of pyproject.toml."""
    table = tomllib.loads(project)["project"]
    wanted = [*table["dependencies"], *(one for extra in extras for one in table["optional-dependencies"][extra])]
    found = [(one, _BOUND.match(one)) for one in wanted]
    if without := [one for one, match in found if match is None]:
        sys.exit(f"lowest-versions: {without[0]} has no lower bound; give it one.")
    return [f"{match[1]}{match[2] or ''}=={match[3]}" for _, match in found if match]


def _audit(python: str, pinned: Path) -> bool:
    """Print known faults of the pinned versions, and which could not be looked up; return whether there are any."""
    command = [python, "-m", "pip_audit", "--no-deps", "--disable-pip", "--format=json", "-r", str(pinned)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # ours
    try:
        found = json.loads(done.stdout)["dependencies"]
    except ValueError:
        print(f"lowest-versions: nothing was looked up ({(done.stderr.strip().splitlines() or ['no reason'])[-1]})")
        return False
    faults = [(one["name"], fault["id"], fault["fix_versions"]) for one in found for fault in one.get("vulns", ())]
    for name, fault, fixed in faults:
        print(f"{name}: {fault}, fixed in {', '.join(fixed) or 'no version'}")
    if skipped := [one["name"] for one in found if "skip_reason" in one]:
        print(f"lowest-versions: not looked up, the index does not tell: {', '.join(skipped)}")
    return bool(faults)


def _options() -> argparse.Namespace:
    assert __doc__
    parser = argparse.ArgumentParser(
        prog="lowest-versions", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--extra", action="append", default=["server"], metavar="NAME", help="further extras")
    parser.add_argument("--no-audit", dest="audit", action="store_false", help="look up no known faults")
    parser.add_argument("tests", nargs="*", default=TESTS, help="tests to run (default: those of core and server)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
