"""What systemd is told: that a service is ready, that it lives, that it ends. Nothing where nobody listens."""

import contextlib
import os
import socket
import time


class Notifier:
    """Tells the service manager that started this process."""

    def __init__(self) -> None:
        address = os.environ.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._every_s = _watchdog_s() / 3
        self._beaten_s = -1e9

    def tell(self, **facts: str) -> None:
        """Facts as sd_notify has them, such as READY="1"."""
        if not self._address or not hasattr(socket, "AF_UNIX"):
            return
        text = "\n".join(f"{name}={value}" for name, value in facts.items())
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as speaker:
            speaker.settimeout(1.0)
            speaker.sendto(text.encode(errors="replace"), self._address)

    def beat(self) -> None:
        """It lives; told as often as the watchdog needs it."""
        now_s = time.monotonic()
        if self._every_s and now_s - self._beaten_s >= self._every_s:
            self._beaten_s = now_s
            self.tell(WATCHDOG="1")


def _watchdog_s() -> float:
    """0 where nobody watches this process."""
    wanted, of = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    return int(wanted) / 1e6 if wanted.isdecimal() and of in ("", str(os.getpid())) else 0.0
