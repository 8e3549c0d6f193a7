"""What a server takes: clients that ask photos at a steady rate, each by its own connection."""

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

from .context import SEED, Found

PRODUCTS, UNKNOWN = 60, 12
CLIENTS = 8
ASK_S = 30.0
_IMAGE = {"Content-Type": "image/jpeg"}


def measure(seconds: int, rate: float, folder: Path, seed: int) -> dict[str, float]:
    """Serve a drawn shop and ask it.

    Args:    seconds: for how long; rate: photos a second, of all clients together; folder: where it is made.
    Returns: latencies in ms from when a photo was due, so that a photo which had to wait for the one before counts its
             waiting; photos answered a second; and how many were answered by an error.
    """
    write_catalogue(folder, products=PRODUCTS, unknown=UNKNOWN, photos=1, seed=seed)
    edgesearch.build(folder / "catalogue.csv", folder / "shop.edge")
    edgesearch.install(folder / "shop.edge", folder / "device")
    photos = [path.read_bytes() for path in sorted((folder / "photos").iterdir())]
    with served(folder / "device") as port:
        latencies, errors, elapsed = _asked(port, photos, seconds, rate)
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
def served(store: Path) -> Iterator[int]:
    """A server of its own process; the port."""
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


def _asked(port: int, photos: list[bytes], seconds: int, rate: float) -> tuple[list[float], int, float]:
    """Latencies in ms of what was answered, the number of errors, and how long it took in s."""
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
    """How long and how fast."""
    parser.add_argument("--seconds", type=int, default=60, help="(default: 60)")
    parser.add_argument("--rate", type=float, default=20.0, help="photos a second, of all clients (default: 20)")


def run(options: argparse.Namespace, folder: Path) -> Found:
    """As `measure`."""
    return measure(options.seconds, options.rate, folder, SEED)
