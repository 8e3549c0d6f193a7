"""Log people in and out."""

from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from ..errors import DeviceError
from . import sessions
from .access import Role
from .request_data import COOKIE, State
from .state import ServerState

router = APIRouter(tags=["people"])


class Pin(BaseModel):
    """The PIN that somebody typed."""

    pin: str = Field(max_length=64)


@router.get("/me")
async def me(request: Request, state: State) -> dict[str, Any]:
    """Return the role of the caller, and whether staff must log in; the role is null if the caller has no rights."""
    visitor = state.sessions.identify(request.cookies.get(COOKIE), None)
    role = str(visitor.role) if visitor else None
    return {"role": role, "name": visitor.name if visitor else "", "needs_pin": state.sessions.has_secrets}


@router.post("/login")
async def log_in(request: Request, response: Response, state: State, typed: Pin) -> dict[str, Any]:
    """Log in with a PIN and set the session's cookie."""
    session, visitor = await state.workers.run(_log_in, state, typed.pin)
    response.set_cookie(
        COOKIE, session, httponly=True, samesite="strict", secure=request.url.scheme == "https", path="/"
    )
    return {"role": str(visitor.role), "name": visitor.name, "expires_s": sessions.SESSION_S}


@router.post("/logout", status_code=204)
async def log_out(request: Request, response: Response, state: State) -> None:
    """End the session; the caller is a customer again."""
    state.sessions.log_out(request.cookies.get(COOKIE, ""))
    response.delete_cookie(COOKIE, path="/")


def _log_in(state: ServerState, pin: str) -> tuple[str, sessions.Visitor]:
    if not state.sessions.has_secrets:
        raise DeviceError("no PIN is set up; at this machine everything is allowed without one.")
    try:
        session, visitor = state.sessions.log_in(pin)
    except sessions.RefusedError as error:
        if error.wait_s:
            state.record("lockout", sessions.Visitor(Role.CUSTOMER, "somebody"), wait_s=round(error.wait_s))
        raise
    state.record("login", visitor, role=str(visitor.role))
    return session, visitor
