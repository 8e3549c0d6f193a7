"""Let photos teach the device, and let staff list, settle and take back what it learned."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, Field

from ..device.learned import LearnedPicture
from ..html import html_page
from ..images import image
from ..search.gallery import LEARNED
from . import request_data
from .access import Role
from .count_registry import MissingError
from .request_data import BadRequestError, Customer, Manager, Staff, State
from .search_routes import PHOTO_BODY
from .state import ServerState

router = APIRouter(tags=["learn"])
Json = dict[str, Any]
Numbers = Annotated[list[int] | None, Query(description="numbers of learned pictures")]


class Switch(BaseModel):
    """Whether and how the device learns; what is left out stays as it is.

    Attributes:
        on: Whether it learns.
        customers: Whether customers teach too.
        vectors_only: Whether it keeps no pictures.
        per_product: Pictures of a product at most.
        max_mb: Megabytes of all pictures at most.
    """

    on: bool
    customers: bool | None = None
    vectors_only: bool | None = None
    per_product: Annotated[int | None, Field(ge=1)] = None
    max_mb: Annotated[int | None, Field(ge=1)] = None


@router.post("/learn", openapi_extra=PHOTO_BODY)
async def learn(request: Request, state: State, visitor: Customer, sku: str) -> Json:
    """Learn that the photo shows this product, which a person chose; a customer's choice waits for another."""
    (photo,) = await request_data.photos(request, 1)
    await state.readers.run(_check_sku, state, sku)
    may_teach, who = visitor.role >= Role.STAFF, visitor.name or None
    return asdict(await state.workers.run(state.store.learn, photo, sku, who=who, may_teach=may_teach))


@router.get("/learning")
async def learning(state: State, _: Staff) -> Json:
    """Return whether and how the device learns."""
    return asdict(await state.readers.run(lambda: state.store.learner.settings()))


@router.put("/learning")
async def switch(state: State, manager: Manager, wanted: Switch) -> Json:
    """Switch learning on or off; searches use what was learned until it is taken back."""
    changes = wanted.model_dump(exclude_none=True)
    return asdict(await state.installer.run(lambda: state.store.learner.switch(**changes, who=manager.name or None)))


@router.get("/learned")
async def learned(state: State, _: Staff) -> Json:
    """Return every learned picture, the oldest first, with its source, person, trust and state."""
    return _list(await state.readers.run(lambda: state.store.learner.pictures()))


@router.get("/learned/{number}/picture", response_class=Response)
async def learned_picture(state: State, _: Staff, number: int) -> Response:
    """Return a learned picture as JPEG."""
    found = await state.readers.run(_read_picture, state, number)
    return Response(found, media_type=image.media_type(found), headers={"Cache-Control": "no-store"})


@router.get("/learned/progress")
async def progress(state: State, _: Manager) -> Json:
    """Return how recognition grew by week and by product, and what a person should settle; this takes seconds."""
    return (await state.installer.run(lambda: state.store.learner.progress())).to_dict()


@router.get("/learned/report", response_class=HTMLResponse)
async def report(state: State, _: Manager) -> HTMLResponse:
    """Return the same as a page."""
    policy = f"{html_page.POLICY}; frame-ancestors 'none'"
    return HTMLResponse(await state.installer.run(_write_report, state), headers={"Content-Security-Policy": policy})


@router.post("/learned/accept")
async def accept(state: State, staff: Staff, number: Numbers = None, sku: str | None = None) -> Json:
    """Use pictures that wait or were set aside, as pictures of the product with this SKU if one is given."""
    who = staff.name or None
    if sku is not None:
        await state.readers.run(_check_sku, state, sku)
    return _list(await state.workers.run(lambda: state.store.learner.accept(number or [], sku=sku, who=who)))


@router.post("/learned/dismiss", status_code=204)
async def dismiss(state: State, visitor: Customer, row: int) -> None:
    """Count a wrong match against the learned picture that caused it; `row` is that of the match."""
    if state.store.overlay is not None and row < -LEARNED:
        teaching: Json = {"may_teach": visitor.role >= Role.STAFF, "who": visitor.name or None}
        await state.workers.run(lambda: state.store.learner.dismiss(-row - LEARNED, **teaching))


@router.post("/learned/check")
async def check(state: State, manager: Manager) -> Json:
    """Set aside learned pictures that look like another product, and return them."""
    return _list(await state.installer.run(lambda: state.store.learner.check(who=manager.name or None)))


@router.delete("/learned")
async def take_back(
    state: State,
    staff: Staff,
    number: Numbers = None,
    day: str | None = None,
    person: str | None = None,
    sku: str | None = None,
) -> Json:
    """Delete learned pictures for good: by number, or those of a day (UTC), a person and a product."""
    if not (number or day or person or sku):
        raise BadRequestError("the request: names no pictures; give number, day, person or sku.")
    filters = {"day": day, "person": person, "sku": sku, "who": staff.name or None}
    return _list(await state.workers.run(lambda: state.store.learner.take_back(number or [], **filters)))


@router.delete("/learned/all")
async def erase(state: State, manager: Manager) -> Json:
    """Erase every learned picture, so that no byte of them stays in the file."""
    return {"erased": await state.installer.run(lambda: state.store.learner.erase(who=manager.name or None))}


def _write_report(state: ServerState) -> str:
    from ..evaluation import learned_page  # here, so that a server starts without it

    learner = state.store.learner
    return learned_page.page(learner.progress(), state.device.resolve().name, learner.picture)


def _list(pictures: list[LearnedPicture]) -> Json:
    return {"learned": [one.to_dict() for one in pictures]}


def _check_sku(state: ServerState, sku: str) -> None:
    if not state.store.products([sku]):
        raise MissingError(f"{sku}: no product has this SKU; check it.")


def _read_picture(state: ServerState, number: int) -> bytes:
    known = {one.number for one in state.store.learner.pictures()}
    found = state.store.learner.picture(number) if number in known else None
    if found is None:
        raise MissingError(f"{number}: no learned picture of that number is kept.")
    return found
