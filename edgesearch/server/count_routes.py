"""Let staff count with a camera, one photo at a time, and settle doubtful photos at once."""

import datetime
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from ..counting.count_journal import CountEntry
from ..counting.photo_count import Count
from . import request_data
from .count_registry import MissingError
from .request_data import Staff, State
from .state import ServerState

router = APIRouter(prefix="/counts", tags=["count"])
Times = Annotated[int, Query(ge=1, le=100_000, description="number of pieces that the photo stands for")]


class CountName(BaseModel):
    """The name of a count."""

    name: str


class Correction(BaseModel):
    """Say what a photo shows; whatever is left out stays.

    Attributes:
        photo: The photo's id.
        sku: Its product, "-" for nothing to count, "" to decide later.
        times: Number of pieces.
    """

    photo: str
    sku: str | None = None
    times: int | None = Field(None, ge=1, le=100_000)


class Pieces(BaseModel):
    """A number of pieces of one product."""

    sku: str
    times: int = Field(1, ge=1, le=100_000)


class Total(BaseModel):
    """All pieces of one product."""

    sku: str
    total: int = Field(ge=0, le=10_000_000)


@router.get("")
async def list_counts(state: State, _: Staff) -> dict[str, Any]:
    """Return the names of all counts."""
    return {"names": await state.readers.run(state.counts.names)}


@router.post("", status_code=201)
async def begin(state: State, _: Staff, begun: CountName) -> dict[str, Any]:
    """Begin a count, or continue the one of that name."""
    return await state.workers.run(_read_count, state, begun.name, new=True)


@router.get("/{name}")
async def read_count(state: State, _: Staff, name: str) -> dict[str, Any]:
    """Return the counted products and the photos that still wait for a decision."""
    return await state.workers.run(_read_count, state, name)


@router.get("/{name}/stock.csv", response_class=Response)
async def stock(state: State, _: Staff, name: str) -> Response:
    """Return the list as `edgesearch count` writes it."""
    headers = {"Content-Disposition": 'attachment; filename="stock.csv"'}
    return Response(await state.workers.run(_write_list, state, name), media_type="text/csv", headers=headers)


@router.post("/{name}/photos")
async def add(request: Request, state: State, _: Staff, name: str, times: Times = 1) -> dict[str, Any]:
    """Count the product in a photo. If it is doubtful, `seen` gives the reason and the candidates."""
    (photo,) = await request_data.photos(request, 1)
    return await state.workers.run(_count_photo, state, name, photo, times)


@router.post("/{name}/products")
async def add_pieces(state: State, _: Staff, name: str, pieces: Pieces) -> dict[str, Any]:
    """Count pieces of a product without a photo."""
    return await state.workers.run(
        _change_count, state, name, lambda count: count.add_product(pieces.sku, pieces.times)
    )


@router.post("/{name}/totals")
async def set_total(state: State, _: Staff, name: str, given: Total) -> dict[str, Any]:
    """Set how many pieces of a product were counted in all."""
    return await state.workers.run(_change_count, state, name, lambda count: count.set_total(given.sku, given.total))


@router.get("/{name}/photos/{photo}", response_class=Response)
async def waiting_photo(state: State, _: Staff, name: str, photo: str) -> Response:
    """Return a photo that waits for a decision, as JPEG."""
    return Response(await state.workers.run(_read_photo, state, name, photo), media_type="image/jpeg")


@router.post("/{name}/correct")
async def correct(state: State, _: Staff, name: str, given: Correction) -> dict[str, Any]:
    """Set the product of a photo, or how many pieces it stands for."""
    return await state.workers.run(
        _change_count, state, name, lambda count: count.correct(given.photo, given.sku, given.times)
    )


@router.post("/{name}/undo")
async def undo(state: State, _: Staff, name: str) -> dict[str, Any]:
    """Take back the last photo or entry; each call goes one step further back. A photo then waits for a decision."""
    return await state.workers.run(_change_count, state, name, Count.undo)


def _read_count(state: ServerState, name: str, new: bool = False) -> dict[str, Any]:
    with state.counts.use(name, new) as count:
        return _describe_count(name, count)


def _write_list(state: ServerState, name: str) -> bytes:
    with state.counts.use(name) as count:
        count.write()
        return count.stock_list()


def _count_photo(state: ServerState, name: str, photo: bytes, times: int) -> dict[str, Any]:
    taken = datetime.datetime.now().isoformat(sep=" ", timespec="milliseconds")
    with state.counts.use(name) as count:
        entry, new = count.add_photo(photo, taken, times)
        return _describe_count(name, count) | {"seen": entry.to_dict(), "new": new}


def _read_photo(state: ServerState, name: str, photo: str) -> bytes:
    with state.counts.use(name) as count:
        content = count.waiting_photo(photo)
    if content is None:
        raise MissingError(f"{photo}: no photo of that id waits here; read the count again.")
    return content


def _change_count(state: ServerState, name: str, change: Callable[[Count], CountEntry | None]) -> dict[str, Any]:
    with state.counts.use(name) as count:
        entry = change(count)
        return _describe_count(name, count) | {"seen": entry and entry.to_dict()}


def _describe_count(name: str, count: Count) -> dict[str, Any]:
    names = count.names
    counted = [{"sku": sku, "name": names[sku], "count": number} for sku, number in count.counts.most_common()]
    return {"name": name, "counts": counted, "waiting": [entry.to_dict() for entry in count.to_review]}
