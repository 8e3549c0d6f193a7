"""Logging in and out."""

from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from ..errors import DeviceError
from . import sessions
from .access import Role
from .request_data import COOKIE, Shared
from .state import Served

router = APIRouter(tags=["people"])


class Pin(BaseModel):
    """What somebody typed."""

    pin: str = Field(max_length=64)


@router.get("/me")
async def me(request: Request, served: Shared) -> dict[str, Any]:
    """Who asks, and whether staff must log in; role is null where nothing may be asked."""
    visitor = served.door.visitor(request.cookies.get(COOKIE), None)
    role = str(visitor.role) if visitor else None
    return {"role": role, "name": visitor.name if visitor else "", "needs_pin": served.door.has_secrets}


@router.post("/login")
async def log_in(request: Request, response: Response, served: Shared, typed: Pin) -> dict[str, Any]:
    """Who has that PIN, from now on by a cookie."""
    session, visitor = await served.workers.run(_logged_in, served, typed.pin)
    response.set_cookie(
        COOKIE, session, httponly=True, samesite="strict", secure=request.url.scheme == "https", path="/"
    )
    return {"role": str(visitor.role), "name": visitor.name, "expires_s": sessions.SESSION_S}


@router.post("/logout", status_code=204)
async def log_out(request: Request, response: Response, served: Shared) -> None:
    """Be a customer again."""
    served.door.log_out(request.cookies.get(COOKIE, ""))
    response.delete_cookie(COOKIE, path="/")


def _logged_in(served: Served, pin: str) -> tuple[str, sessions.Visitor]:
    if not served.door.has_secrets:
        raise DeviceError("no PIN is set up; who sits at this machine may do everything.")
    try:
        session, visitor = served.door.log_in(pin)
    except sessions.RefusedError as error:
        if error.wait_s:
            served.record("lockout", sessions.Visitor(Role.CUSTOMER, "somebody"), wait_s=round(error.wait_s))
        raise
    served.record("login", visitor, role=str(visitor.role))
    return session, visitor
