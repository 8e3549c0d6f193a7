"""`edgesearch web` in Chromium: its answers compared with Python's, its speed, its start and its memory."""

import argparse
import base64
import contextlib
import csv
import itertools
import random
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from browsing.chromium import find_chromium, open_profile
from demo_shop import write_catalogue
from playwright.sync_api import BrowserContext, CDPSession, Page, sync_playwright

import edgesearch
from edgesearch.browser.runtime_files import find_runtime_files
from edgesearch.browser.site import write_site
from edgesearch.bundle.bundle_file import Bundle
from edgesearch.search.open_bundle import OpenBundle

from .context import SEED, Results, add_data, require_photos
from .protocols import write_all

SCRIPT = Path(__file__).with_name("web_site.js").read_text(encoding="utf-8")
GROCERIES, DRAWN = "groceries", "drawn"
DRAWN_PRODUCTS, DRAWN_PHOTOS = 60, 4
WATCH_TASKS = """() => {
  globalThis.tasks = [0];
  const watch = (list) => tasks.push(...list.getEntries().map((one) => one.duration));
  new PerformanceObserver(watch).observe({ type: "longtask" });
}"""
WAIT_MS = 600_000
STARTS = 5
SETTLED_MS = 5000  # until the browser has released what starting took
SLOW = 4  # times by which the page's processor is slowed, as on a cheap phone
WARM = 2  # photos before the measured ones
ISOLATED = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}


class _Handler(SimpleHTTPRequestHandler):
    headers_sent: ClassVar[dict[str, str]] = {}

    def end_headers(self) -> None:
        for name, value in self.headers_sent.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


class _IsolatingHandler(_Handler):
    headers_sent = ISOLATED


@contextlib.contextmanager
def serve(folder: Path, isolated: bool = False) -> Iterator[str]:
    """Serve a folder, with the headers that allow threads if `isolated`; yield its address."""
    handler = partial(_IsolatingHandler if isolated else _Handler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@dataclass
class Measured:
    """Figures of the photos of one bundle.

    Attributes:
        same_first, same_decision, cosine: of each photo, compared with Python.
        photo_ms, frame_ms: milliseconds to each answer, with all crops and local features, and with one crop.
        python_photo_ms, python_frame_ms: the same in Python, just before.
        longest_task_ms: longest task of the page's own thread, slowed as on a cheap phone; 0 if below 50.
    """

    same_first: list[bool]
    same_decision: list[bool]
    cosine: list[float]
    photo_ms: list[float]
    frame_ms: list[float]
    python_photo_ms: list[float]
    python_frame_ms: list[float]
    longest_task_ms: float


def compare(store: Path, photos: Sequence[Path], folder: Path, isolated: bool = False) -> Measured:
    """Ask Python and the site of a bundle; folder: where the site is made."""
    answers, frames = (_ask_python(store, photos, fast) for fast in (False, True))
    encoded = [base64.b64encode(path.read_bytes()).decode() for path in photos]
    with _open_site(store, folder, isolated) as (context, address, _):
        page, _ = _open(context, address)
        photo_ms, frame_ms = (_time(page, encoded, fast) for fast in (False, True))
        longest = _longest_task_ms(page, encoded[: 2 * WARM])
        found = [page.evaluate("(photo) => bench.observe(photo)", one) for one in encoded]
    pairs = list(zip(answers, found, strict=True))
    return Measured(
        [one["sku"] == other["sku"] for one, other in pairs],
        [one["decision"] == other["decision"] for one, other in pairs],
        [float(np.dot(one["embedding"], other["embedding"])) for one, other in pairs],
        photo_ms,
        frame_ms,
        [one["ms"] for one in answers],
        [one["ms"] for one in frames],
        longest,
    )


def measure_start(store: Path, folder: Path, isolated: bool = False) -> Results:
    """Return the milliseconds from opening an installed site until it can search, and the memory of its page."""
    with _open_site(store, folder, isolated) as (context, address, session):
        blank_mb = _memory_mb(session)
        page, _ = _open(context, address)
        page.wait_for_function("navigator.serviceWorker.ready.then(() => true)")
        starts = []
        for _ in range(STARTS):
            page.close()  # a page that is left may stay in memory
            page, took = _open(context, address)
            starts.append(took)
        page.wait_for_timeout(SETTLED_MS)
        return {"start_ms": float(np.median(starts)), "memory_mb": _memory_mb(session) - blank_mb}


@contextlib.contextmanager
def _open_site(store: Path, folder: Path, isolated: bool) -> Iterator[tuple[BrowserContext, str, CDPSession]]:
    """Yield an empty browser, the address of a bundle's site, and the browser's own session."""
    write_site(store, folder / "site")
    with (
        serve(folder / "site", isolated) as address,
        sync_playwright() as playwright,
        open_profile(playwright, folder / "profile") as context,
    ):
        context.set_default_timeout(WAIT_MS)
        assert context.browser is not None
        yield context, address, context.browser.new_browser_cdp_session()


def _open(context: BrowserContext, address: str) -> tuple[Page, float]:
    """Open the site; return its page, and the milliseconds until its engine answers."""
    page = context.new_page()
    page.goto(address)
    page.evaluate(SCRIPT)
    return page, float(page.evaluate("bench.start()"))


def _ask_python(store: Path, photos: Sequence[Path], fast: bool) -> list[dict[str, Any]]:
    answers = []
    opened = OpenBundle(Bundle(store))
    with contextlib.closing(opened), edgesearch.open(store) as searched:
        for photo in photos:
            start = time.perf_counter()
            answer = searched.search(photo, fast=fast)
            took = (time.perf_counter() - start) * 1000
            (vector,) = opened.embedder.embed([opened.embedder.read(photo)], fast)
            sku = answer.matches[0].sku if answer.matches else None
            answers.append({"decision": answer.decision, "sku": sku, "embedding": vector, "ms": took})
    return answers


def _time(page: Page, encoded: Sequence[str], fast: bool) -> list[float]:
    """Return the milliseconds from each photo's file to its answer."""
    asked = itertools.chain(encoded[:WARM], encoded)
    return [float(page.evaluate("([p, f]) => bench.ask(p, f)", [one, fast])) for one in asked][WARM:]


def _longest_task_ms(page: Page, encoded: Sequence[str]) -> float:
    """Return the longest task of the page's own thread while it searches, slowed as on a cheap phone; 0 if below 50."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("Emulation.setCPUThrottlingRate", {"rate": SLOW})
    page.evaluate(WATCH_TASKS)
    _time(page, encoded, False)
    devtools.send("Emulation.setCPUThrottlingRate", {"rate": 1})
    return float(page.evaluate("Math.max(...tasks)"))


def _memory_mb(session: CDPSession) -> float:
    """Return the proportional memory of all renderers in MB."""
    processes = session.send("SystemInfo.getProcessInfo")["processInfo"]
    sizes = [_pss_kb(one["id"]) for one in processes if one["type"] == "renderer"]
    return sum(sizes) * 1024 / 1e6


def _pss_kb(process: int) -> int:
    lines = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def _make_groceries(data: Path, folder: Path) -> tuple[Path, list[Path]]:
    (protocol,) = write_all(data, folder, ["groceries-catalogue"])
    edgesearch.build(protocol.catalogue, folder / "groceries.edge")
    with protocol.queries.open(encoding="utf-8", newline="") as file:
        return folder / "groceries.edge", [protocol.queries.parent / row["image"] for row in csv.DictReader(file)]


def _make_drawn(seed: int, folder: Path) -> tuple[Path, list[Path]]:
    write_catalogue(folder, products=DRAWN_PRODUCTS, unknown=DRAWN_PRODUCTS // 6, photos=DRAWN_PHOTOS, seed=seed)
    edgesearch.build(folder / "catalogue.csv", folder / "drawn.edge")
    return folder / "drawn.edge", sorted((folder / "photos").iterdir())


def _make_large(products: int, seed: int, folder: Path) -> Path:
    """Build a catalogue of many products that share some pictures: only bytes and rows count here."""
    write_catalogue(folder, products=DRAWN_PRODUCTS, unknown=0, photos=1, seed=seed)
    with (folder / "catalogue.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    edge = folder / "many.edge"
    edgesearch.build(
        folder / "catalogue.csv", edge, queries=folder / "queries.csv", resume=True
    )  # extracts each picture once
    with (folder / "many.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
        table.writerows(rows[n % len(rows)] | {"sku": f"M{n:06}"} for n in range(len(rows), products))
    edgesearch.build(folder / "many.csv", edge, queries=folder / "queries.csv", resume=True)
    return edge


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    add_data(parser)
    parser.add_argument(
        "--photos", type=int, default=200, help="photos of groceries to compare, and at most of drawn ones"
    )
    parser.add_argument(
        "--products", type=int, default=10_000, help="products of the catalogue whose start is measured"
    )
    parser.add_argument("--isolated", action="store_true", help="serve with the headers that allow threads")


def run(options: argparse.Namespace, folder: Path) -> Results:
    """Run the benchmark."""
    find_runtime_files([])  # rather now than after minutes
    if find_chromium() is None:
        raise FileNotFoundError("no Chromium found; install Debian's chromium, or set CHROMIUM to the path of one.")
    require_photos(options.data)
    shops = {GROCERIES: _make_groceries(options.data, folder / GROCERIES), DRAWN: _make_drawn(SEED, folder / DRAWN)}
    measured = {}
    for name, (store, photos) in shops.items():
        some = random.Random(SEED).sample(photos, min(options.photos, len(photos)))  # noqa: S311  # no secret
        measured[name] = compare(store, some, folder / name, options.isolated)
    large = _make_large(options.products, SEED, folder / "large")
    found = _summarize(list(measured.values())) | measure_start(large, folder / "large", options.isolated)
    found["products"] = options.products
    return found | {
        f"{name}_{key}": value for name, one in measured.items() for key, value in _summarize([one]).items()
    }


def _summarize(measured: Sequence[Measured]) -> Results:
    joined = {
        field.name: list(itertools.chain(*(getattr(one, field.name) for one in measured)))
        for field in fields(Measured)[:-1]
    }
    figures = {name: float(np.mean(joined[name])) for name in ("same_first", "same_decision", "cosine")}
    figures["cosine_min"] = min(joined["cosine"])
    figures |= {f"{name}_p50": float(np.median(values)) for name, values in joined.items() if name.endswith("_ms")}
    longest = max(one.longest_task_ms for one in measured)
    return {"photos": len(joined["cosine"])} | figures | {"longest_task_ms": longest}
