"""Log people in and out."""

import contextlib
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from ..errors import DeviceError
from . import sessions
from .access import Role
from .connections import client_of
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
    """Log in with a PIN and set the session's cookie; `wrong_pins` tells managers the number of the last day."""
    before = state.sessions.identify(request.cookies.get(COOKIE), None)
    address = client_of(request.client.host) if request.client else ""
    session, visitor = await state.logins.run(_log_in, state, typed.pin, address, before)
    response.set_cookie(
        COOKIE, session, httponly=True, samesite="strict", secure=request.url.scheme == "https", path="/"
    )
    told = {"wrong_pins": state.sessions.wrong_pins()} if visitor.role >= Role.MANAGER else {}
    return {"role": str(visitor.role), "name": visitor.name, "expires_s": sessions.SESSION_S} | told


@router.post("/logout", status_code=204)
async def log_out(request: Request, response: Response, state: State) -> None:
    """End the session; the caller is a customer again."""
    state.sessions.log_out(request.cookies.get(COOKIE, ""))
    response.delete_cookie(COOKIE, path="/")


def _log_in(
    state: ServerState, pin: str, address: str, before: sessions.Visitor | None
) -> tuple[str, sessions.Visitor]:
    if not state.sessions.has_secrets:
        raise DeviceError("no PIN is set up; at this machine everything is allowed without one.")
    try:
        session, visitor = state.sessions.log_in(pin, address)
    except sessions.WrongPinError as error:
        who = sessions.Visitor(Role.CUSTOMER, before.name if before and before.name else "somebody")
        _record(state, "wrong_pin", who, address=address, wait_s=round(error.wait_s))
        raise
    _record(state, "login", visitor, role=str(visitor.role), address=address)
    return session, visitor


def _record(state: ServerState, what: str, visitor: sessions.Visitor, **detail: object) -> None:
    with contextlib.suppress(DeviceError):  # a full disk must not keep out whoever has a right PIN
        state.record(what, visitor, **detail)
