"""Let staff take photos of the products that need them most, with a camera of the page."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from ..errors import CatalogError
from ..store.photo_session import PhotoSession
from . import request_data
from .count_registry import MissingError
from .request_data import Staff, State
from .responses import format_match
from .search_routes import PHOTO_BODY, Count
from .sessions import Visitor
from .state import ServerState

router = APIRouter(tags=["capture"])
Json = dict[str, Any]
Name = Annotated[str, Query(pattern="^[A-Za-z0-9]{8,64}$", description="chosen by the client, one per product")]
Place = Annotated[str, Query(max_length=200, description="only products there; A3 also names A3-2")]


@router.get("/capture")
async def products(state: State, _: Staff, location: Place = "", k: Count = 20) -> Json:
    """Return the products of which photos would help recognition most, the first one most.

    `missed` is the share of a product's photos that do not find it first, as far as pictures tell; `learns` is false on
    a device that must be told to learn before photos are taken.
    """
    needs = await state.workers.run(lambda: state.store.photo_needs(k, location=location))
    learns = await state.readers.run(lambda: state.store.learner.settings().on)
    return {"learns": learns, "products": [format_match(need.match) | need.to_dict() for need in needs]}


@router.post("/capture/frames", openapi_extra=PHOTO_BODY)
async def add_frame(request: Request, state: State, staff: Staff, session: Name, sku: str, press: bool = False) -> Json:
    """Take a camera frame of a product if it is good and shows the product in a new way, and say what to do next.

    `advice` is "taken", "turn" (a known view), "other" (`like` is what it looks like), "dark", "empty", "blurred" or
    "far". `press` asks for this frame although the view is nearly known or the product is small; after "other" it says
    that the session does not show that product. `number` is that of the learned picture.
    """
    (frame,) = await request_data.photos(request, 1)
    found = await state.readers.run(_open_session, state, session, sku, staff)
    before = len(found.numbers)
    step = await state.workers.run(found.add, frame, press)
    number = found.numbers[-1] if len(found.numbers) > before else None
    like = (await state.readers.run(state.store.named, [step.like])).get(step.like) if step.like else None
    return step.to_dict() | {"number": number, "like": format_match(like) if like else None}


@router.post("/capture/end")
async def end(state: State, staff: Staff, session: Name) -> Json:
    """End a session; return its learned pictures, and how many of them find the product, before it and after it.

    Each is asked without itself. `DELETE /v1/learned` takes them back.
    """
    found = state.photo_sessions.pop(_key(session, staff), None)
    if found is None:
        raise MissingError(f"{session}: no photos are being taken under this name; begin again.")
    recognition = await state.workers.run(found.measure)
    return {"numbers": found.numbers, "recognition": recognition.to_dict() if recognition else None}


def _open_session(state: ServerState, name: str, sku: str, staff: Visitor) -> PhotoSession:
    """Return the session of that name and product; begin it if there is none, and forget the oldest of too many."""
    key = _key(name, staff)
    found = state.photo_sessions.get(key)
    if found is None or found.sku != sku:
        try:
            found = state.store.photo_session(sku, who=staff.name or None)
        except CatalogError as error:
            raise MissingError(str(error)) from error
        state.keep_photo_session(key, found)
    return found


def _key(name: str, staff: Visitor) -> str:
    return f"{staff.name}/{name}"
