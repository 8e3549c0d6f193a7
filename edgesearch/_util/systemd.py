"""Notify systemd that a service is ready, alive or stopping; do nothing if it was not started by systemd."""

import contextlib
import os
import socket
import time


class Notifier:
    """Notifies the service manager that started this process."""

    def __init__(self) -> None:
        address = os.environ.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._interval_s = _watchdog_s() / 3
        self._last_beat_s = -1e9

    def notify(self, **values: str) -> None:
        """Send values as sd_notify defines them, such as READY="1"."""
        if not self._address or not hasattr(socket, "AF_UNIX"):
            return
        text = "\n".join(f"{name}={value}" for name, value in values.items())
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.settimeout(1.0)
            sender.sendto(text.encode(errors="replace"), self._address)

    def beat(self) -> None:
        """Tell the watchdog that the process is alive, as often as it requires; call this at least that often."""
        now_s = time.monotonic()
        if self._interval_s and now_s - self._last_beat_s >= self._interval_s:
            self._last_beat_s = now_s
            self.notify(WATCHDOG="1")


def _watchdog_s() -> float:
    """Return the interval that the watchdog requires; 0: no watchdog watches this process."""
    interval_us, process = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    return int(interval_us) / 1e6 if interval_us.isdecimal() and process in ("", str(os.getpid())) else 0.0
