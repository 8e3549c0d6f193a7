"""Identify callers while the server runs: log-ins, sessions and tokens."""

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import EdgeSearchError
from . import wrong_pins
from .access import Access, Role, hash_token
from .wrong_pins import WrongPins

SESSION_S = 900.0  # since its last use


class RefusedError(EdgeSearchError):
    """A PIN is not accepted.

    Attributes:
        wait_s: Seconds until the next try.
    """

    def __init__(self, message: str, wait_s: float = 0.0):
        super().__init__(message)
        self.wait_s = wait_s


class WrongPinError(RefusedError):
    """Nobody who may log in has that PIN."""


@dataclass(frozen=True)
class Visitor:
    """The person or program that sends a request.

    Attributes:
        name: For the log; "" for a customer.
    """

    role: Role
    name: str = ""


@dataclass
class _Session:
    visitor: Visitor
    until: float


def _since_boot_s() -> float:
    """Return seconds that also pass while the machine is suspended, as far as the system counts them."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Sessions:
    """The sessions of one server, in memory: after a restart people log in again. Safe to share between threads."""

    def __init__(
        self,
        access: Access,
        is_local: bool,
        clock: Callable[[], float] = _since_boot_s,
        wrong: WrongPins | None = None,
    ):
        """Start without sessions.

        Args:
            access: The PINs and tokens.
            is_local: Whether only this machine can reach the server.
            clock: Returns seconds.
            wrong: The wrong PINs; None for those in the file beside `access`.
        """
        self._access, self._is_local, self._clock = access, is_local, clock
        self._sessions: dict[str, _Session] = {}
        self._wrong = wrong or WrongPins(access.path.with_name(wrong_pins.FILE))
        self._lock = threading.Lock()

    @property
    def has_secrets(self) -> bool:
        """True if a PIN or a token is set up; raises DeviceError if the access file is damaged."""
        return bool(self._access.holders())

    def default_visitor(self) -> Visitor | None:
        """Return the rights of a caller without a secret.

        Returns:
            If no secrets are set up, a manager on this machine, and None elsewhere. Otherwise a customer, but None for
            other machines if there are tokens alone.
        Raises:
            DeviceError: The access file is damaged.
        """
        holders = self._access.holders()
        if not holders:
            return Visitor(Role.MANAGER) if self._is_local else None
        has_pins = any(holder.kind == "pin" for holder in holders)
        return Visitor(Role.CUSTOMER) if self._is_local or has_pins else None

    def identify(self, session: str | None, token: str | None) -> Visitor | None:
        """Return the caller with that session or token; None if the caller has no rights.

        Raises:
            DeviceError: The access file is damaged.
        """
        if token:
            found = (holder for holder in self._access.holders() if holder.kind == "token" and holder.accepts(token))
            return next((Visitor(holder.role, holder.name) for holder in found), None)
        return (self._resume(session) if session else None) or self.default_visitor()

    def log_in(self, pin: str, address: str = "") -> tuple[str, Visitor]:
        """Begin a session.

        Args:
            address: Of the client, as of `client_of`.
        Returns:
            The session, which the client sends with every request, and the person who has the PIN.
        Raises:
            WrongPinError: The PIN is wrong.
            RefusedError: Too many PINs were wrong; this one was not tried.
            DeviceError: The access file is damaged.
        """
        with self._lock:  # one at a time: each try takes memory, and guesses must be counted one by one
            names = [holder.name for holder in self._access.holders() if holder.kind == "pin"]
            if not names:
                raise RefusedError("nobody has a PIN here; send a token instead.")
            waits = {name: self._wrong.wait_s(name, address) for name in names}
            if wait := min(waits.values()):
                raise RefusedError(f"too many wrong PINs; try again in {wait:.0f} seconds.", wait)
            free = [holder for holder in self._access.holders() if waits.get(holder.name) == 0.0]
            found = [holder for holder in free if holder.accepts(pin)]
            if not found:
                self._wrong.add_wrong(address)
                raise self._wrong_pin(names, address)
            self._wrong.add_right(found[0].name, address)
            visitor, session = Visitor(found[0].role, found[0].name), secrets.token_urlsafe(32)
            now = self._clock()
            self._sessions = {name: known for name, known in self._sessions.items() if known.until > now}
            self._sessions[hash_token(session)] = _Session(visitor, now + SESSION_S)
            return session, visitor

    def wrong_pins(self) -> int:
        """Return the number of wrong PINs of the last day."""
        with self._lock:
            return self._wrong.number()

    def log_out(self, session: str) -> None:
        """End a session."""
        self._sessions.pop(hash_token(session), None)

    def _resume(self, session: str) -> Visitor | None:
        """Prolong a session; return None if it ended or its PIN was removed."""
        found, now = self._sessions.get(hash_token(session)), self._clock()
        names = [(holder.name, holder.role) for holder in self._access.holders()]
        if found is None or found.until < now or (found.visitor.name, found.visitor.role) not in names:
            return None
        found.until = now + SESSION_S
        return found.visitor

    def _wrong_pin(self, names: list[str], address: str) -> WrongPinError:
        """Return the error for a wrong PIN that was counted; it does not tell whether it is that of a locked person."""
        left = max(self._wrong.tries_left(name, address) for name in names)
        waits = [self._wrong.wait_s(name, address) for name in names]
        if not left:
            return WrongPinError(f"nobody has that PIN; try again in {min(waits):.0f} seconds.", min(waits))
        locked = f", or its owner must wait {max(waits):.0f} seconds after too many wrong ones" if max(waits) else ""
        return WrongPinError(f"nobody has that PIN{locked}; {left} more tries are left.")
