"""`tools/robustness/flood`: attack a server as a customer's device can, and measure what other customers notice.

Thousands of silent, half-sent and dripping connections, huge bodies, hostile JSON and guessed PINs arrive while honest
devices send a photo every fifth of a second, each over a new connection: one from an address of its own, one from the
attacker's. Each honest photo must be answered in time; the server must not keep memory, fill its log, or end.
"""

import argparse
import contextlib
import http.client
import itertools
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from demo_shop import write_catalogue

import edgesearch

ATTACKER, OTHER = "127.0.0.1", "127.0.0.2"
DESCRIPTORS = 1024  # the usual limit of a service
PAUSE_S = 0.2  # between two photos of an honest device
HOLD_S = 15.0  # for which an attack goes on, longer than a connection may be silent
SETTLE_S = 3.0
MAX_ANSWER_S, MAX_GROWTH_MB, MAX_LOG_BYTES = 2.0, 150.0, 100_000
PIN = "271828"
ASK_S = 10.0
UPLOAD = b"POST /v1/search HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99000000\r\n\r\n"


class Server:
    """`edgesearch serve` in its own process, with the usual limit of descriptors and its log in a file."""

    def __init__(self, device: Path, log: Path):
        self.log = log
        command = [sys.executable, "-m", "edgesearch", "serve", str(device), "--port", "0"]
        with log.open("wb") as file:
            self.process = subprocess.Popen(command, stderr=file, preexec_fn=_limit_descriptors)  # noqa: S603  # ours
        while not (found := re.search(r"http://127\.0\.0\.1:(\d+)/", log.read_text())):
            assert self.process.poll() is None, log.read_text()
            time.sleep(0.1)
        self.port = int(found[1])

    def resident_mb(self) -> float:
        """Return the memory in use."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def ask(self, address: str, verb: str, path: str, body: bytes, kind: str = "image/jpeg") -> tuple[int, bytes]:
        """Send a request over a new connection; return the status and the body of the response."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ASK_S, source_address=(address, 0))
        with contextlib.closing(connection):
            connection.request(verb, path, body, {"Content-Type": kind})
            answer = connection.getresponse()
            return answer.status, answer.read()

    def stop(self) -> int:
        """End the process as Ctrl-C does; return its exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)


def _limit_descriptors() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))


@dataclass
class Honest:
    """Customers who send photos.

    Attributes:
        times_s: from connecting to the whole answer, of each answered photo.
        failures: a line for each photo without an answer.
    """

    server: Server
    photos: Sequence[bytes]
    times_s: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    @contextlib.contextmanager
    def asking(self) -> Iterator[None]:
        """Ask from both addresses until the block ends."""
        self.times_s, self.failures, self.ended = [], [], threading.Event()
        threads = [threading.Thread(target=self._ask, args=(address,)) for address in (ATTACKER, OTHER)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.ended.set()
            for thread in threads:
                thread.join()

    def _ask(self, address: str) -> None:
        for photo in itertools.cycle(self.photos):
            if self.ended.wait(PAUSE_S):
                return
            started = time.perf_counter()
            try:
                status, answer = self.server.ask(address, "POST", "/v1/search", photo)
                if status != 200:
                    self.failures.append(f"{address}: {status} {answer[:200]!r}")
            except OSError as error:
                self.failures.append(f"{address}: {error!r}")
            self.times_s.append(time.perf_counter() - started)


def hold(sent: bytes, drip: bytes = b"", limit: int = sys.maxsize) -> "Attack":
    """Return an attack that opens connections, sends the same on each, and keeps them; `drip` is sent each second."""

    def attack(server: Server, options: argparse.Namespace) -> str:
        number = min(limit, options.connections)
        with contextlib.ExitStack() as stack:
            held = [stack.enter_context(_connect(server, sent)) for _ in range(number)]
            until = time.monotonic() + HOLD_S
            while time.monotonic() < until:
                time.sleep(1)
                for connection in held if drip else ():
                    with contextlib.suppress(OSError):
                        connection.send(drip)
        return f"{number:,} connections"

    return attack


def _connect(server: Server, sent: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", server.port), ASK_S, (ATTACKER, 0))
    with contextlib.suppress(OSError):  # closed already
        connection.sendall(sent)
    return connection


def send_json(server: Server, options: argparse.Namespace) -> str:
    """Send JSON that is large, deep, or full of mistakes; none may be accepted."""
    found: Counter[object] = Counter()
    bodies = [
        json.dumps({"sku": "a", "shown": [1] * 1_000_000}).encode(),
        json.dumps({"sku": "a", "shown": [1] * 20_000}).encode(),
        json.dumps({"sku": "a", "shown": ["x" * 100] * 600}).encode(),
        json.dumps({f"{number:x}": [] for number in range(5_000)}).encode(),
        b"[" * 60_000,
        b'{"sku": ' + b"9" * 60_000 + b"}",
        b"\xff" * 60_000,
        b'{"pin": "' + b"1" * 4_000_000 + b'"}',
    ]
    paths = ("/v1/feedback", "/v1/login")
    for number in range(options.bodies):
        try:
            found[server.ask(ATTACKER, "POST", paths[number // 8 % 2], bodies[number % 8], "application/json")[0]] += 1
        except OSError as error:  # the server refused before it read all
            found[type(error).__name__] += 1
    assert not {200, 500} & found.keys(), found
    return ", ".join(f"{number:,}x {what}" for what, number in found.most_common())


def guess_pins(server: Server, options: argparse.Namespace) -> str:
    """Guess PINs; only the first few may be tried, and staff must get in elsewhere."""
    guesses = [_log_in(server, ATTACKER, f"{number:06}") for number in range(100_000, 100_200)]
    assert _log_in(server, OTHER, PIN) == 200, "a right PIN is refused at another address"
    tried = guesses.count("WrongPinError")
    assert tried <= 5, f"{tried} PINs were tried"
    return f"{tried} of {len(guesses)} PINs were tried"


def _log_in(server: Server, address: str, pin: str) -> object:
    status, body = server.ask(address, "POST", "/v1/login", json.dumps({"pin": pin}).encode(), "application/json")
    return json.loads(body)["error"]["kind"] if status == 403 else status


def _wait(server: Server, options: argparse.Namespace) -> str:
    time.sleep(HOLD_S)
    return "the same without an attack"


Attack = Callable[[Server, argparse.Namespace], str]
ATTACKS: dict[str, Attack] = {
    "nobody": _wait,
    "silent": hold(b""),
    "half a header": hold(b"GET / HTTP/1.1\r\nHost: 127."),
    "dripping headers": hold(b"GET / HTTP/1.1\r\nA: ", b"a"),
    "half a body": hold(UPLOAD + b"\xff" * 1000),
    "dripping bodies": hold(UPLOAD, b"\xff"),
    "huge idle bodies": hold(UPLOAD + bytes(98_000_000), limit=8),
    "pictures nobody reads": hold(b"GET /v1/openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 30),
    "hostile JSON": send_json,
    "guessed PINs": guess_pins,
}


def main() -> int:
    """Print a row for each attack; return 1 if a customer noticed it, or the server kept memory or filled its log."""
    options = _parser().parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory() as folder:
        device, photos = _make_device(Path(folder), options.seed)
        server = Server(device, Path(folder) / "log")
        try:
            failures = _attack(server, Honest(server, photos), options)
        finally:
            status = server.stop()
    failures += [f"the server ended with {status}"] if status else []
    for failure in failures:
        print(f"tools/robustness/flood: {failure}", file=sys.stderr)
    return int(bool(failures))


def _make_device(folder: Path, seed: int) -> tuple[Path, list[bytes]]:
    write_catalogue(folder, products=30, unknown=0, photos=1, seed=seed)
    edgesearch.build(folder / "catalogue.csv", folder / "shop.edge")
    device = folder / "device"
    edgesearch.install(folder / "shop.edge", device)
    command = [sys.executable, "-m", "edgesearch", "access", str(device), "--add", "Ada"]
    subprocess.run(command, input=f"{PIN}\n", text=True, check=True, stderr=subprocess.DEVNULL)  # noqa: S603  our own
    return device, [path.read_bytes() for path in sorted((folder / "photos").iterdir())]


def _attack(server: Server, honest: Honest, options: argparse.Namespace) -> list[str]:
    """Run the attacks; return what broke."""
    failures: list[str] = []
    print(f"{'attack':22} {'photos':>6} {'failed':>6} {'median ms':>9} {'worst ms':>8} {'MB':>6} {'log bytes':>9}")
    start_mb = 0.0
    for name in [name for name in ATTACKS if name.startswith(tuple(options.only))]:
        did = ""
        with honest.asking():
            try:
                did = ATTACKS[name](server, options)
            except (AssertionError, OSError) as error:
                failures.append(f"{name}: {error!r}")
        time.sleep(SETTLE_S)
        resident_mb, times_ms = server.resident_mb(), 1000 * np.array(honest.times_s)
        start_mb = start_mb or resident_mb
        print(
            f"{name:22} {times_ms.size:6} {len(honest.failures):6} {np.median(times_ms):9.0f} {times_ms.max():8.0f} "
            f"{resident_mb:6.0f} {server.log.stat().st_size:9,}  {did}",
            flush=True,
        )
        failures += [f"{name}: {failure}" for failure in honest.failures[:3]]
        if times_ms.max() > 1000 * MAX_ANSWER_S:
            failures.append(f"{name}: a photo took {times_ms.max():.0f} ms")
    if (grown_mb := server.resident_mb() - start_mb) > MAX_GROWTH_MB:
        failures.append(f"the server keeps {grown_mb:.0f} MB more than at its start")
    if (size := server.log.stat().st_size) > MAX_LOG_BYTES:
        failures.append(f"the log has {size:,} bytes")
    return failures


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tools/robustness/flood", description="Attack a server over the network, and measure what others notice."
    )
    parser.add_argument("--connections", type=int, default=10_000, help="of each attack (default: 10,000)")
    parser.add_argument("--bodies", type=int, default=2_000, help="of hostile JSON (default: 2,000)")
    parser.add_argument("--only", nargs="+", default=[""], metavar="ATTACK", help="first letters of attacks")
    parser.add_argument("--seed", type=int, default=0)
    return parser


if __name__ == "__main__":
    sys.exit(main())
