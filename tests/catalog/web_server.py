"""Serve files over http as real servers do: without a length, packed, without ranges, or busy at first."""

import contextlib
import gzip
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


@contextlib.contextmanager
def serve(files: dict[str, bytes]) -> Iterator[tuple[str, Counter[str]]]:
    """Serve files at /KIND/NAME; yield the address and the number of GET requests by path.

    KIND: "plain", "chunk" (no length), "close" (no length, ends with the connection), "gzip", "busy" (503 once),
    "never" (503 always), "cut" (ends in the middle once).
    """
    asked: Counter[str] = Counter()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None: ...

        def do_HEAD(self) -> None:
            self.answer(is_head=True)

        def do_GET(self) -> None:
            asked[self.path] += 1
            self.answer(is_head=False)

        def answer(self, is_head: bool) -> None:
            _, kind, name = self.path.split("/", 2)
            data = files.get(name)
            is_busy = kind == "never" or (kind == "busy" and asked[self.path] < 2 and not is_head)
            if data is None or is_busy:
                self.send_response(404 if data is None else 503)
                self.send_header("Retry-After", "0")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(200)
            if kind == "gzip":
                data = gzip.compress(data)
                self.send_header("Content-Encoding", "gzip")
            is_cut = kind == "cut" and asked[self.path] < 2 and not is_head
            self.close_connection = kind in ("close", "cut")
            if kind == "chunk":
                self.send_header("Transfer-Encoding", "chunked")
            elif kind != "close":
                self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            for part in () if is_head else (data[: len(data) // 2], data[len(data) // 2 : 0 if is_cut else None]):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part) if kind == "chunk" and part else part)
                self.wfile.flush()
            if kind == "chunk" and not is_head:
                self.wfile.write(b"0\r\n\r\n")

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
