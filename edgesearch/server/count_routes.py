"""Counting with a camera in hand: a photo at a time, what is not sure said at once."""

import datetime
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from ..counting.count_journal import Seen
from ..counting.photo_count import Count
from . import request_data
from .request_data import Shared, Staff
from .state import Served

router = APIRouter(prefix="/counts", tags=["count"])
Times = Annotated[int, Query(ge=1, le=100_000, description="how many of it are there")]


class Begun(BaseModel):
    """A count by its name."""

    name: str


class Corrected(BaseModel):
    """photo: id of what was seen; sku: of what it shows, "-": nothing to count, "": to be said later."""

    photo: str
    sku: str


class Said(BaseModel):
    """So many of a product, without a photo."""

    sku: str
    times: int = Field(1, ge=1, le=100_000)


@router.get("")
async def names(served: Shared, _: Staff) -> dict[str, Any]:
    """The names of all counts."""
    return {"names": await served.readers.run(served.counts.names)}


@router.post("", status_code=201)
async def begin(served: Shared, _: Staff, begun: Begun) -> dict[str, Any]:
    """Begin a count, or go on with it where it is there."""
    return await served.workers.run(_state, served, begun.name, new=True)


@router.get("/{name}")
async def state(served: Shared, _: Staff, name: str) -> dict[str, Any]:
    """What was counted, and the photos of which nobody has said yet what they show."""
    return await served.workers.run(_state, served, name)


@router.get("/{name}/stock.csv", response_class=Response)
async def stock(served: Shared, _: Staff, name: str) -> Response:
    """The list, as `edgesearch count` writes it."""
    headers = {"Content-Disposition": 'attachment; filename="stock.csv"'}
    return Response(await served.workers.run(_list, served, name), media_type="text/csv", headers=headers)


@router.post("/{name}/photos")
async def add(request: Request, served: Shared, _: Staff, name: str, times: Times = 1) -> dict[str, Any]:
    """Count what a photo shows, so many times; where that is not sure, `seen` says why, and what it may be."""
    (photo,) = await request_data.photos(request, 1)
    return await served.workers.run(_added, served, name, photo, times)


@router.post("/{name}/products")
async def say(served: Shared, _: Staff, name: str, said: Said) -> dict[str, Any]:
    """Count so many of a product, without a photo."""
    return await served.workers.run(_told, served, name, lambda count: count.say(said.sku, said.times))


@router.post("/{name}/correct")
async def correct(served: Shared, _: Staff, name: str, corrected: Corrected) -> dict[str, Any]:
    """Say what a photo shows."""
    return await served.workers.run(_told, served, name, lambda count: count.correct(corrected.photo, corrected.sku))


@router.post("/{name}/undo")
async def undo(served: Shared, _: Staff, name: str) -> dict[str, Any]:
    """Take back what was counted last, one more each time; it waits then."""
    return await served.workers.run(_told, served, name, Count.undo)


def _state(served: Served, name: str, new: bool = False) -> dict[str, Any]:
    with served.counts.use(name, new) as count:
        return _shown(name, count)


def _list(served: Served, name: str) -> bytes:
    with served.counts.use(name) as count:
        count.write()
        return served.counts.path(name).read_bytes()


def _added(served: Served, name: str, photo: bytes, times: int) -> dict[str, Any]:
    taken = datetime.datetime.now().isoformat(sep=" ", timespec="milliseconds")
    with served.counts.use(name) as count:
        seen, new = count.take(photo, taken, times)
        return _shown(name, count) | {"seen": seen.to_dict(), "new": new}


def _told(served: Served, name: str, tell: Callable[[Count], Seen]) -> dict[str, Any]:
    with served.counts.use(name) as count:
        seen = tell(count)
        return _shown(name, count) | {"seen": seen.to_dict()}


def _shown(name: str, count: Count) -> dict[str, Any]:
    names = count.names
    listed = [{"sku": sku, "name": names[sku], "count": number} for sku, number in count.counts.most_common()]
    return {"name": name, "counts": listed, "waiting": [seen.to_dict() for seen in count.waiting]}
