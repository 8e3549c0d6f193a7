"""install, rollback, doctor, log, overlay: what is done to a device folder as a whole."""

import argparse
import json
from pathlib import Path

from ..bundle.manifest import Manifest
from ..device import maintenance as device
from ..device.overlay import Event
from ..evaluation import doctor
from .arguments import STORE, WHO, Adder, at_least_one
from .output import say


def add(command: Adder) -> None:
    """Add them."""
    added = command("install", _install, "Run a bundle in a device folder.", "store.edge --to device --trust shop.pub")
    added.add_argument("bundle", type=Path, help=".edge file, or a delta of the one that is there")
    added.add_argument(
        "--to", type=Path, required=True, metavar="DEVICE", help="device folder; made where it is absent"
    )
    added.add_argument("--trust", type=Path, metavar="PUB", help="public key that a new device trusts from now on")
    added.add_argument("--encrypt", action="store_true", help="make a new device folder that its key alone opens")
    added.add_argument("--who", help=WHO)

    added = command("rollback", _rollback, "Run again what ran before the last install.", "device")
    added.add_argument("device", type=Path, help="device folder")
    added.add_argument("--who", help=WHO)

    added = command("overlay", _overlay, "Write what a device was taught into a folder.", "export device -o taught")
    added.add_argument("action", choices=["export"], help="what to do")
    added.add_argument("device", type=Path, help="device folder")
    added.add_argument("-o", "--output", type=Path, required=True, help="new folder, for `build --merge-overlay`")

    added = command("log", _log, "Print all that was done to a device, checked.", "device")
    added.add_argument("device", type=Path, help="device folder")
    added.add_argument("--json", action="store_true", help="one JSON object a line")

    added = command("doctor", _doctor, "Measure how a store runs best on this device, and run it so.", "device")
    added.add_argument("store", type=Path, nargs="?", help=f"{STORE} (default: the shipped model on a drawn store)")
    added.add_argument(
        "--budget-ms",
        type=at_least_one,
        default=doctor.BUDGET_MS,
        metavar="MS",
        help=f"of a photo; where three looks take longer, one must do (default: {doctor.BUDGET_MS:.0f})",
    )
    added.add_argument("--json", action="store_true", help="one JSON object")


def _install(options: argparse.Namespace) -> None:
    _runs(options.to, device.install(options.bundle, options.to, options.trust, options.who, options.encrypt))


def _rollback(options: argparse.Namespace) -> None:
    _runs(options.device, device.rollback(options.device, options.who))


def _runs(device: Path, manifest: Manifest) -> None:
    print(f"{device}: runs {manifest.name}, sequence {manifest.sequence}, {manifest.counts['products']} products.")


def _overlay(options: argparse.Namespace) -> None:
    count = device.export(options.device, options.output)
    print(f"{options.output}: what was taught of {count} products; merge it with `build --merge-overlay`.")


def _log(options: argparse.Namespace) -> None:
    for event in device.log(options.device):
        print(json.dumps(event.to_dict(), ensure_ascii=False) if options.json else _line(event))


def _line(event: Event) -> str:
    said = event.detail.get("after") or {}
    details = [f"{name}={value}" for name, value in (said.get("details") or {}).items()]
    if "sequence" in event.detail:
        details = [f"{event.detail['name']}, sequence {event.detail['sequence']}"]
    return "  ".join([f"{event.number:5}", event.time, event.who, event.what, event.sku, *details]).rstrip()


def _doctor(options: argparse.Namespace) -> None:
    report = doctor.examine(options.store, options.budget_ms)
    print(json.dumps(report.to_dict()) if options.json else _examined(report), flush=True)
    if options.store is not None and options.store.is_dir():
        doctor.keep(options.store, report)
        say(f"{options.store}: runs so from now on.")


def _examined(report: doctor.Report) -> str:
    start = report.start
    resident, own = (
        "unknown" if size is None else f"{size / 1e6:.0f} MB" for size in (start.resident_bytes, start.own_bytes)
    )
    return "\n".join(
        [
            "kernels  threads  looks    p50 ms    p95 ms  photos  cosine to int8  golden queries",
            *map(_tried, report.trials),
            f"new process: first answer after {start.total_ms:.0f} ms (import {start.import_ms:.0f}, open "
            f"{start.open_ms:.0f}, photo {start.answer_ms:.0f}); {resident} resident, of which its own {own}; at rest "
            f"{start.idle_cpu:.1%} of a processor",
            *report.reasons,
        ]
    )


def _tried(trial: doctor.Trial) -> str:
    how, golden = trial.settings, "right" if trial.golden else "wrong"
    return (
        f"{how.kernels:7}  {how.threads:7}  {how.crops:5}  {trial.median_ms:8.1f}  "
        f"{trial.p95_ms:8.1f}  {trial.photos:6}  {trial.agreement:14.4f}  {golden:>14}"
    )
