"""install, rollback, overlay, log, doctor: the commands for a device folder as a whole."""

import argparse
import json
from pathlib import Path

from ..bundle.manifest import Manifest
from ..device import maintenance as device
from ..device.overlay import Event
from ..evaluation import doctor
from .arguments import STORE, WHO, Adder, positive_int
from .output import print_line, print_note


def add(command: Adder) -> None:
    """Add the commands."""
    text = "Install a bundle in a device folder."
    parser = command("install", _install, text, "store.edge --to device --trust shop.pub")
    parser.add_argument("bundle", type=Path, help=".edge file, or a delta of the installed bundle")
    parser.add_argument("--to", type=Path, required=True, metavar="DEVICE", help="device folder; created if absent")
    parser.add_argument("--trust", type=Path, metavar="PUB", help="public key that a new device folder trusts")
    parser.add_argument("--encrypt", action="store_true", help="encrypt a new device folder with the device key")
    parser.add_argument(
        "--accept-changes", action="store_true", help="accept, and log, what was changed in it without the device key"
    )
    parser.add_argument(
        "--any-sequence", action="store_true", help="accept, and log, an older bundle, or one far ahead of the clock"
    )
    parser.add_argument("--who", help=WHO)

    parser = command("rollback", _rollback, "Return to the bundle before the last install.", "device")
    parser.add_argument("device", type=Path, help="device folder")
    parser.add_argument("--forward", action="store_true", help="run the bundle again that the last rollback left")
    parser.add_argument("--who", help=WHO)

    parser = command("overlay", _overlay, "Export what a device was taught to a folder.", "export device -o taught")
    parser.add_argument("action", choices=["export"], help="action")
    parser.add_argument("device", type=Path, help="device folder")
    parser.add_argument("-o", "--output", type=Path, required=True, help="new folder, for `build` to merge")

    parser = command("log", _log, "Check and print the log of every change to a device.", "device")
    parser.add_argument("device", type=Path, help="device folder")
    parser.add_argument("--json", action="store_true", help="print one JSON object per line")

    parser = command(
        "doctor", _doctor, "Measure the best settings for a store on this device, and use them from then on.", "device"
    )
    parser.add_argument("store", type=Path, nargs="?", help=f"{STORE} (default: a drawn store with the shipped model)")
    parser.add_argument(
        "--budget-ms",
        type=positive_int,
        default=doctor.BUDGET_MS,
        metavar="MS",
        help=f"time limit per photo; if three crops exceed it, use one (default: {doctor.BUDGET_MS:.0f})",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _install(options: argparse.Namespace) -> None:
    given = (options.bundle, options.to, options.trust, options.who, options.encrypt)
    accepted = {"accept_changes": options.accept_changes, "any_sequence": options.any_sequence}
    manifest = device.install(*given, **accepted)
    _print_running(options.to, manifest)


def _rollback(options: argparse.Namespace) -> None:
    _print_running(options.device, device.rollback(options.device, options.who, forward=options.forward))


def _print_running(device: Path, manifest: Manifest) -> None:
    print_line(f"{device}: runs {manifest.name}, sequence {manifest.sequence}, {manifest.counts['products']} products.")


def _overlay(options: argparse.Namespace) -> None:
    done = device.export(options.device, options.output)
    how = "merge them with `build --merge-overlay`"
    if done.learned:
        how = f"{done.learned} learned pictures; {how} and `--merge-learned`"
    print_line(f"{options.output}: changes to {done.products} products; {how}.")


def _log(options: argparse.Namespace) -> None:
    for event in device.log(options.device):
        print_line(json.dumps(event.to_dict(), ensure_ascii=False) if options.json else _format_event(event))


def _format_event(event: Event) -> str:
    details = [", ".join(event.changes)] if event.changes else []
    if event.what == "accept":
        details = [", ".join(event.detail["files"]) or "nothing was changed"]
    if event.what == "learning":
        details = [f"{name} {value}" for name, value in event.detail.items()]
    if "undoes" in event.detail:
        details.insert(0, f"line {event.detail['undoes']}")
    if "sequence" in event.detail:
        accepted = ", accepted with --any-sequence" if event.detail.get("any_sequence") else ""
        details = [f"{event.detail['name']}, sequence {event.detail['sequence']}{accepted}"]
    details += [f"{event.detail[name]}" for name in ("source", "code", "state", "why") if event.detail.get(name)]
    return "  ".join([f"{event.number:5}", event.time, event.who, event.what, event.sku, *details]).rstrip()


def _doctor(options: argparse.Namespace) -> None:
    report = doctor.examine(options.store, options.budget_ms)
    print(json.dumps(report.to_dict()) if options.json else _format_report(report), flush=True)
    if options.store is not None and options.store.is_dir():
        doctor.save(options.store, report)
        print_note(f"{options.store}: uses these settings from now on.")


def _format_report(report: doctor.Report) -> str:
    start = report.start
    resident, own = (
        "unknown" if size is None else f"{size / 1e6:.0f} MB" for size in (start.resident_bytes, start.own_bytes)
    )
    return "\n".join(
        [
            "kernels  threads  crops    p50 ms    p95 ms  photos  cosine to int8  golden queries",
            *map(_format_measurement, report.measurements),
            f"new process: first answer after {start.total_ms:.0f} ms (import {start.import_ms:.0f}, open "
            f"{start.open_ms:.0f}, photo {start.answer_ms:.0f}); {resident} resident, {own} of it its own; idle at "
            f"{start.idle_cpu:.1%} of a processor",
            *report.reasons,
        ]
    )


def _format_measurement(measurement: doctor.Measurement) -> str:
    settings, golden = measurement.settings, "right" if measurement.golden else "wrong"
    return (
        f"{settings.kernels:7}  {settings.threads:7}  {settings.crops:5}  {measurement.median_ms:8.1f}  "
        f"{measurement.p95_ms:8.1f}  {measurement.photos:6}  {measurement.agreement:14.4f}  {golden:>14}"
    )
