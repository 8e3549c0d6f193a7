"""Lets people and programs in while the server runs."""

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import EdgeSearchError
from .access import Access, Role, digest

SESSION_S = 900.0  # since it was last used
FREE_TRIES = 5  # wrong PINs in a row before one has to wait
FIRST_WAIT_S, LONGEST_WAIT_S = 60.0, 900.0


class RefusedError(EdgeSearchError):
    """A wrong PIN, or one too many; wait_s: seconds until one may try again."""

    def __init__(self, message: str, wait_s: float = 0.0):
        super().__init__(message)
        self.wait_s = wait_s


@dataclass(frozen=True)
class Visitor:
    """Who asks; name: for the log, "" of a customer."""

    role: Role
    name: str = ""


@dataclass
class _Session:
    visitor: Visitor
    until: float


class Door:
    """Sessions are kept in memory: a new start asks for the PIN again. Safe to share between threads."""

    def __init__(self, access: Access, is_local: bool, clock: Callable[[], float] = time.monotonic):
        """is_local: only this machine can ask; clock: seconds."""
        self._access, self._is_local, self._clock = access, is_local, clock
        self._sessions: dict[str, _Session] = {}
        self._wrong, self._shut_until = 0, 0.0
        self._lock = threading.Lock()

    @property
    def has_secrets(self) -> bool:
        """Whether a PIN or a token is set up; raises DeviceError."""
        return bool(self._access.holders())

    def anyone(self) -> Visitor | None:
        """Who asks without a secret: whoever owns this machine where there are none, else a customer, or nobody."""
        holders = self._access.holders()
        if not holders:
            return Visitor(Role.MANAGER) if self._is_local else None
        has_pins = any(holder.kind == "pin" for holder in holders)
        return Visitor(Role.CUSTOMER) if self._is_local or has_pins else None

    def visitor(self, session: str | None, token: str | None) -> Visitor | None:
        """Who asks with what they brought; None: nobody who may ask anything. Raises DeviceError."""
        if token:
            found = (holder for holder in self._access.holders() if holder.kind == "token" and holder.has(token))
            return next((Visitor(holder.role, holder.name) for holder in found), None)
        return (self._let_in(session) if session else None) or self.anyone()

    def log_in(self, pin: str) -> tuple[str, Visitor]:
        """Try a PIN.

        Returns: the session, to be sent with every request, and who that is.
        Raises:  RefusedError: it is nobody's, or too many were wrong; DeviceError.
        """
        with self._lock:  # one at a time: trying one takes memory, and guesses count one by one
            wait = self._shut_until - self._clock()
            if wait > 0:
                raise RefusedError(f"too many wrong PINs; try again in {wait:.0f} seconds.", wait)
            holders = [holder for holder in self._access.holders() if holder.kind == "pin"]
            found = [holder for holder in holders if holder.has(pin)]
            if not found:
                raise self._refused()
            self._wrong = 0
            visitor, session = Visitor(found[0].role, found[0].name), secrets.token_urlsafe(32)
            now = self._clock()
            self._sessions = {name: one for name, one in self._sessions.items() if one.until > now}
            self._sessions[digest(session)] = _Session(visitor, now + SESSION_S)
            return session, visitor

    def log_out(self, session: str) -> None:
        """Forget a session."""
        self._sessions.pop(digest(session), None)

    def _let_in(self, session: str) -> Visitor | None:
        """Nobody whose secret was taken away meanwhile."""
        found, now = self._sessions.get(digest(session)), self._clock()
        names = [(holder.name, holder.role) for holder in self._access.holders()]
        if found is None or found.until < now or (found.visitor.name, found.visitor.role) not in names:
            return None
        found.until = now + SESSION_S
        return found.visitor

    def _refused(self) -> RefusedError:
        self._wrong += 1
        over = self._wrong - FREE_TRIES
        if over < 0:
            return RefusedError(f"that PIN is nobody's; {-over} more may be tried.")
        wait = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**over)
        self._shut_until = self._clock() + wait
        return RefusedError(f"that PIN is nobody's; try again in {wait:.0f} seconds.", wait)
