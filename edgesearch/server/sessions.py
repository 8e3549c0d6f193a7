"""Identify callers while the server runs: log-ins, sessions and tokens."""

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import EdgeSearchError
from .access import Access, Role, hash_token

SESSION_S = 900.0  # since its last use
FREE_TRIES = 5  # wrong PINs in a row before a log-in has to wait
FIRST_WAIT_S, MAX_WAIT_S = 60.0, 900.0


class RefusedError(EdgeSearchError):
    """A PIN is wrong, or too many were.

    Attributes:
        wait_s: Seconds until the next try.
    """

    def __init__(self, message: str, wait_s: float = 0.0):
        super().__init__(message)
        self.wait_s = wait_s


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


class Sessions:
    """The sessions of one server, in memory: after a restart people log in again. Safe to share between threads."""

    def __init__(self, access: Access, is_local: bool, clock: Callable[[], float] = time.monotonic):
        """Start without sessions.

        Args:
            access: The PINs and tokens.
            is_local: Whether only this machine can reach the server.
            clock: Returns seconds.
        """
        self._access, self._is_local, self._clock = access, is_local, clock
        self._sessions: dict[str, _Session] = {}
        self._wrong_pins, self._locked_until = 0, 0.0
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

    def log_in(self, pin: str) -> tuple[str, Visitor]:
        """Begin a session.

        Returns:
            The session, which the client sends with every request, and the person who has the PIN.
        Raises:
            RefusedError: The PIN is wrong, or too many were.
            DeviceError: The access file is damaged.
        """
        with self._lock:  # one at a time: each try takes memory, and guesses must be counted one by one
            wait = self._locked_until - self._clock()
            if wait > 0:
                raise RefusedError(f"too many wrong PINs; try again in {wait:.0f} seconds.", wait)
            holders = [holder for holder in self._access.holders() if holder.kind == "pin"]
            found = [holder for holder in holders if holder.accepts(pin)]
            if not found:
                raise self._count_wrong_pin()
            self._wrong_pins = 0
            visitor, session = Visitor(found[0].role, found[0].name), secrets.token_urlsafe(32)
            now = self._clock()
            self._sessions = {name: known for name, known in self._sessions.items() if known.until > now}
            self._sessions[hash_token(session)] = _Session(visitor, now + SESSION_S)
            return session, visitor

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

    def _count_wrong_pin(self) -> RefusedError:
        """Count a wrong PIN, lock log-ins if there were too many, and return the error to raise."""
        self._wrong_pins += 1
        excess = self._wrong_pins - FREE_TRIES
        if excess < 0:
            return RefusedError(f"nobody has that PIN; {-excess} more tries are left.")
        wait = min(MAX_WAIT_S, FIRST_WAIT_S * 2**excess)
        self._locked_until = self._clock() + wait
        return RefusedError(f"nobody has that PIN; try again in {wait:.0f} seconds.", wait)
