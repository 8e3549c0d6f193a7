"""The latency of a server whose clients send photos at a steady rate, each over its own connection."""

import argparse
import http.client
import itertools
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from demo_shop import write_catalogue

import edgesearch

from .context import SEED, Results

PRODUCTS, UNKNOWN = 60, 12
CLIENTS = 8
ASK_S = 30.0
_IMAGE = {"Content-Type": "image/jpeg"}


def measure(seconds: int, rate: float, folder: Path, seed: int) -> dict[str, float]:
    """Serve a drawn shop and send photos.

    Args:    seconds: duration; rate: photos a second of all clients together; folder: where the shop is made.
    Returns: latencies in ms, counted from the time when a photo was due, so that waiting for the one before it counts;
             answered photos a second; number of errors.
    """
    write_catalogue(folder, products=PRODUCTS, unknown=UNKNOWN, photos=1, seed=seed)
    edgesearch.build(folder / "catalogue.csv", folder / "shop.edge")
    edgesearch.install(folder / "shop.edge", folder / "device")
    photos = [path.read_bytes() for path in sorted((folder / "photos").iterdir())]
    with serve_store(folder / "device") as port:
        latencies, errors, elapsed = _query_server(port, photos, seconds, rate)
    return {
        "clients": CLIENTS,
        "asked_per_s": rate,
        "seconds": seconds,
        "photos": len(latencies),
        "answered_per_s": len(latencies) / elapsed,
        "errors": errors,
        "p50_ms": float(np.median(latencies)),
        "p95_ms": float(np.quantile(latencies, 0.95)),
        "max_ms": max(latencies),
    }


@contextmanager
def serve_store(store: Path) -> Iterator[int]:
    """Run a server in its own process; yield the port.

    Raises: OSError: it did not start.
    """
    command = [sys.executable, "-m", "edgesearch", "serve", str(store), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603  our own command
        assert process.stderr
        said = process.stderr.readline()
        found = re.search(r":(\d+)/", said)
        try:
            if not found:
                raise OSError(f"the server did not start: {said}")
            yield int(found[1])
        finally:
            process.send_signal(signal.SIGINT)


def _query_server(port: int, photos: list[bytes], seconds: int, rate: float) -> tuple[list[float], int, float]:
    """Return the latencies of answers in ms, the number of errors, and the duration in s."""
    latencies, errors = list[float](), list[str]()
    start, interval = time.perf_counter() + 1, CLIENTS / rate

    def ask(client: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ASK_S)
        for turn in itertools.count():
            due = start + (turn + client / CLIENTS) * interval
            if due > start + seconds:
                return
            time.sleep(max(0.0, due - time.perf_counter()))
            try:
                connection.request("POST", "/v1/search", photos[(turn * CLIENTS + client) % len(photos)], _IMAGE)
                answer = connection.getresponse()
                answer.read()
                if answer.status != http.HTTPStatus.OK:
                    raise OSError(answer.reason)
                latencies.append((time.perf_counter() - due) * 1000)
            except (OSError, http.client.HTTPException) as error:
                errors.append(str(error))
                connection.close()

    threads = [threading.Thread(target=ask, args=(client,)) for client in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return latencies, len(errors), time.perf_counter() - start


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument("--seconds", type=int, default=60, help="duration (default: 60)")
    parser.add_argument(
        "--rate", type=float, default=20.0, help="photos a second of all clients together (default: 20)"
    )


def run(options: argparse.Namespace, folder: Path) -> Results:
    """Run the benchmark."""
    return measure(options.seconds, options.rate, folder, SEED)
